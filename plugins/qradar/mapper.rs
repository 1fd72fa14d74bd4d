//! IBM QRadar: offenses of its API.

use hookmill_sdk::{Description, Event, Fields, Incident, Mapper, MappingError, Outcome, Scale, State};
use hookmill_sdk::{is_list, json, map_list};
use serde::Deserialize;
use serde_json::value::RawValue;

const EXPECTED: &str = "an offense of QRadar with `id` and `offense_source`, alone or in `offenses`";
/// The types of offenses whose `offense_source` can be an observable, by number. Those from 15 on are custom properties
/// and others.
const OFFENSE_TYPES: [(&str, &str); 8] = [
    ("0", "Source IP"),
    ("1", "Destination IP"),
    ("3", "Username"),
    ("4", "Source MAC Address"),
    ("5", "Destination MAC Address"),
    ("7", "Hostname"),
    ("10", "Source IPv6"),
    ("11", "Destination IPv6"),
];
/// Ids of rows, in place of which some programs put the addresses.
const ADDRESSES: [(&str, &[&str]); 1] = [("ip", &["source_address_ids", "local_destination_address_ids"])];
/// The fields that only offenses have.
const MARKS: [&str; 5] = ["offense_source", "offense_type", "source_address_ids", "log_sources", "closing_reason_id"];

struct QRadar;

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    offenses: Option<&'a RawValue>,
}

impl Mapper for QRadar {
    fn describe() -> Description {
        hookmill_sdk::description!("IBM QRadar", "Offenses of IBM QRadar")
    }

    fn map(event: &Event) -> Result<Outcome, MappingError> {
        let envelope: Envelope = event.json(EXPECTED)?;
        match envelope.offenses.filter(|offenses| is_list(offenses)) {
            Some(list) => map_list(list, EXPECTED, |item: &&RawValue, outcome| {
                outcome.incidents.push(incident(item)?);
                Ok(())
            }),
            None => Ok(incident(event.json(EXPECTED)?)?.into()),
        }
    }
}

fn incident(raw: &RawValue) -> Result<Incident, MappingError> {
    let unsupported = || MappingError::expected(EXPECTED);
    let offense: Fields = json(raw.get()).ok_or_else(unsupported)?;
    let first = |name: &str| offense.all(name).next();
    if !offense.has_any(&MARKS) {
        return Err(unsupported());
    }
    let mut incident = Incident::new(offense.required(&["id"])?);
    describe(&mut incident, &offense);
    // The severity of an offense is one of three parts of its magnitude.
    incident.set_severity_on(Scale::Ten, first("magnitude"));
    // An inactive offense is not closed.
    incident.state = match first("status").map(str::to_ascii_uppercase).as_deref() {
        Some("CLOSED" | "HIDDEN") => Some(State::Resolved),
        Some("OPEN") => Some(State::Open),
        _ => None,
    };
    incident.occurred_at = offense.time(&["start_time", "first_persisted_time"]);
    // The time of the last update is that of the last event, also if somebody closed the offense later.
    let changes = ["last_updated_time", "last_persisted_time", "close_time"];
    incident.changed_at =
        changes.iter().filter_map(|name| offense.time(&[name])).max_by_key(|time| (time.len(), time.clone()));
    incident.external_link = first("LinkToOffense").map(|link| match link.contains("://") {
        true => link.to_owned(),
        false => format!("https://{link}"),
    });
    observe(&mut incident, &offense);
    incident.detail("status", first("status"));
    incident.keep_unread(&offense, "");
    Ok(incident)
}

fn describe(incident: &mut Incident, offense: &Fields) {
    let text = offense.first(&["description"]);
    let line = text.map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "));
    incident.set_title(line.as_deref().or(offense.first(&["rules.name", "categories"])));
    incident.description = text.filter(|text| text.contains('\n')).map(str::to_owned);
    incident.category = offense.first(&["categories"]).map(str::to_owned);
    offense.all("categories").for_each(|category| incident.tag(category));
}

fn observe(incident: &mut Incident, offense: &Fields) {
    let (kind, source) = (offense.first(&["offense_type"]), offense.first(&["offense_source"]));
    let name =
        kind.map(|kind| OFFENSE_TYPES.iter().find(|(number, _)| *number == kind).map_or(kind, |(_, name)| *name));
    if name.is_some() {
        incident.observe_named(name, source, "offense_source");
    } else {
        incident.observe("ip", source, "offense_source");
    }
    incident.observe_fields(offense, &ADDRESSES);
    incident.detail("offense_type", name);
    incident.detail("offense_source", source);
}

hookmill_sdk::export!(QRadar);

#[cfg(test)]
mod tests {
    use hookmill_sdk::testing;

    #[test]
    fn payloads_map_as_expected() {
        testing::check::<super::QRadar>("payloads");
        testing::check_rejects_invalid::<super::QRadar>();
    }
}
