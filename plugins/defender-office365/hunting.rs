//! Lists of Microsoft's APIs, and rows of alerts in Advanced Hunting, which the mapper of Defender XDR reads too.

use hookmill_sdk::{
    Event, Fields, Incident, MappingError, Outcome, Part, Text, WithRest, attack::tactic_id, is_list, json, map_list,
    timestamp,
};
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Batch<'a> {
    /// In an answer of Graph.
    #[serde(borrow)]
    value: Option<&'a RawValue>,
    /// In a message of the streaming API.
    records: Option<&'a RawValue>,
}

/// Maps a payload or each item of its list: a row of alerts with the entities that `observe` adds, another item by
/// `incident`. `row` returns the category of an item, which names the table of a row, and its properties.
pub fn map<'a, T: Deserialize<'a>>(
    event: &'a Event,
    expected: &str,
    observe: impl Fn(&mut Incident, &Fields),
    row: impl Fn(&T) -> (&Text<'a>, &Part<Fields<'a>>),
    incident: impl Fn(&T) -> Result<Incident, MappingError>,
) -> Result<Outcome, MappingError> {
    let map_item = |item: &WithRest<T>, outcome: &mut Outcome| {
        let (category, properties) = row(item);
        let table = category.get().and_then(|category| category.strip_prefix("AdvancedHunting-"));
        let mut incident = match (table, properties.get()) {
            (None, _) => incident(item)?,
            (Some("AlertInfo" | "AlertEvidence"), Some(row)) => row_incident(row, &observe)?,
            (Some(table @ ("AlertInfo" | "AlertEvidence")), None) => {
                return Err(MappingError::Malformed(format!("a row of {table} has no `properties`")));
            }
            (Some(table), _) => {
                outcome.skipped.push(format!("{table} is not a table of alerts"));
                return Ok(());
            }
        };
        incident.keep_rest(item, |_| false);
        outcome.incidents.push(incident);
        Ok(())
    };
    let batch: Batch = event.json(expected)?;
    if let Some(list) = [batch.value, batch.records].into_iter().flatten().find(|value| is_list(value)) {
        return map_list(list, expected, map_item);
    }
    let mut outcome = Outcome::default();
    map_item(&event.json(expected)?, &mut outcome)?;
    Ok(outcome)
}

/// Maps a row of AlertInfo or AlertEvidence. AlertEvidence has one row per entity. All rows repeat the alert as of
/// `Timestamp`, so they can arrive in any order, and an older row does not change a newer incident.
fn row_incident(row: &Fields, observe: impl Fn(&mut Incident, &Fields)) -> Result<Incident, MappingError> {
    let id = row.first(&["AlertId"]).ok_or_else(|| MappingError::Malformed("`properties.AlertId` is absent".into()))?;
    let mut incident = Incident::new(id);
    incident.set_title(row.first(&["Title"]));
    incident.set_severity(row.first(&["Severity"]));
    incident.occurred_at = row.first(&["Timestamp"]).and_then(timestamp);
    incident.changed_at.clone_from(&incident.occurred_at);
    // `Categories` and `AttackTechniques` are JSON in text. With several tactics, the tactic of a technique is unknown.
    let categories = row.first(&["Category", "Categories"]).unwrap_or_default();
    let mut categories = categories.split(['[', ']', '"', ',']).filter(|category| !category.trim().is_empty());
    let category = categories.next();
    incident.category = category.map(str::to_owned);
    let tactic = category.filter(|category| tactic_id(category).is_some() && categories.next().is_none());
    incident.attack(row.first(&["AttackTechniques"]).unwrap_or_default(), tactic);
    observe(&mut incident, row);
    let more = row.first(&["AdditionalFields"]).filter(|text| text.starts_with('{')).and_then(json::<Fields>);
    if let Some(more) = &more {
        observe(&mut incident, more);
    }
    incident.detail_fields(row, &["ServiceSource", "DetectionSource", "ProcessCommandLine"]);
    incident.keep_unread(row, "");
    if let Some(more) = &more {
        incident.keep_unread(more, "");
    }
    Ok(incident)
}
