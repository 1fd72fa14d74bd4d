//! Text for a terminal: tables without borders, named fields, and text of payloads without control characters.

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use hookmill_host::api::shapes::{ShownIncident, ShownRequest, Unreadable};
use hookmill_incident::{Incident, Note, Observable, PluginVersion, Technique, Triage};
use jiff::Timestamp;
use serde_json::Value;
use std::time::Duration;
use uuid::Uuid;

/// The maximum length of a cell of a table; `show` prints the whole value.
const CELL_CHARS_MAX: usize = 72;
/// The width of the names of fields.
const NAME_CHARS: usize = 14;

/// Returns a table: rows under a header.
pub(super) fn table<const N: usize>(header: [&str; N], rows: Vec<[String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(header);
    table.add_rows(rows.into_iter().map(|row| row.map(|cell| shorten(&cell))));
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

/// Returns the row of an item that the host cannot read: the id first, the error last.
pub(super) fn unreadable_row<const N: usize>(unreadable: &Unreadable) -> [String; N] {
    std::array::from_fn(|column| match column {
        0 => unreadable.id.to_string(),
        last if last + 1 == N => clean(&unreadable.error),
        _ => String::new(),
    })
}

/// Returns a line for each named value. Empty values are left out; further lines of a value are aligned with its first.
pub(super) fn fields<'a>(fields: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let mut text = String::new();
    for (name, value) in fields {
        let mut name = name;
        for line in value.lines().filter(|line| !line.is_empty()) {
            text += &format!("  {name:NAME_CHARS$}{line}\n");
            name = "";
        }
    }
    text
}

/// Replaces control characters, which could move the cursor, and characters that change the direction of writing.
/// Keeps line ends.
pub(super) fn clean(text: &str) -> String {
    let harmful = |letter: char| {
        letter.is_control() && letter != '\n' || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|letter| if harmful(letter) { '\u{fffd}' } else { letter }).collect()
}

/// Returns a JSON value as text: strings without quotes, null as an empty string.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => clean(text),
        other => clean(&other.to_string()),
    }
}

/// Returns a text of the API, or an empty string.
pub(super) fn given(text: Option<&String>) -> String {
    text.map_or_else(String::new, |text| clean(text))
}

/// Returns a time in UTC to the second.
pub(super) fn utc(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Returns a number of bytes with a unit that keeps the number short.
pub(super) fn bytes(count: u64) -> String {
    match count {
        0..10_000 => format!("{count} bytes"),
        10_000..10_000_000 => format!("{} KiB", count / 1024),
        _ => format!("{} MiB", count / (1024 * 1024)),
    }
}

/// Returns an age as the configuration writes it, in the largest unit that needs no fraction.
pub(super) fn whole_units(age: Duration) -> String {
    let seconds = age.as_secs();
    let units = [(86_400, "d"), (3600, "h"), (60, "m")];
    let (unit, name) = units.into_iter().find(|(unit, _)| seconds.is_multiple_of(*unit)).unwrap_or((1, "s"));
    format!("{}{name}", seconds / unit)
}

/// Returns the first digits of a digest.
pub(super) fn short(sha256: &str) -> String {
    clean(sha256).chars().take(12).collect()
}

/// Returns all fields of an incident of the store.
pub(super) fn stored_incident(shown: &ShownIncident) -> String {
    let head = fields([("number", clean(&shown.number)), ("id", shown.id.to_string())]);
    let events =
        fields([("occurrences", shown.occurrences.to_string()), ("events", lines(&shown.event_ids, Uuid::to_string))]);
    head + &incident(&shown.incident) + &events
}

/// Returns the fields that an incident has whether it is stored or not.
pub(super) fn incident(incident: &Incident) -> String {
    let truncated = incident.truncated;
    fields([
        ("title", clean(&incident.title)),
        ("severity", incident.severity.to_string()),
        ("status", incident.status.to_string()),
        ("assignee", given(incident.assignee.as_ref())),
        ("category", given(incident.category.as_ref())),
        ("tlp", incident.tlp.map(|tlp| tlp.to_string()).unwrap_or_default()),
        ("source", clean(&incident.source)),
        ("source ref", clean(&incident.source_ref)),
        ("occurred", incident.occurred_at.map(|time| time.to_string()).unwrap_or_default()),
        ("created", incident.created_at.to_string()),
        ("updated", incident.updated_at.to_string()),
        ("revision", incident.revision.to_string()),
        ("truncated", if truncated == 0 { String::new() } else { truncated.to_string() }),
        ("hold", if incident.hold { "yes".to_owned() } else { String::new() }),
        ("link", given(incident.external_link.as_ref())),
        ("playbook", given(incident.playbook.as_ref())),
        ("triage", incident.triage.as_ref().map(triage).unwrap_or_default()),
        ("plugin", plugin_version(&incident.plugin)),
        ("description", given(incident.description.as_ref())),
        ("tags", lines(&incident.tags, |tag| clean(tag))),
        ("observables", lines(&incident.observables, observable)),
        ("techniques", lines(&incident.techniques, technique)),
        ("details", lines(&*incident.details, |(name, value)| format!("{}: {}", clean(name), plain(value)))),
        ("notes", lines(&incident.notes, note)),
    ])
}

/// Returns an observable in one line.
pub(super) fn observable(observable: &Observable) -> String {
    let Observable { data_type, value, message, ioc, .. } = observable;
    let ioc = if *ioc { "[ioc]".to_owned() } else { String::new() };
    let message = message.as_ref().map(|message| format!("({})", clean(message))).unwrap_or_default();
    join(&[clean(data_type), clean(value), ioc, message], " ")
}

fn technique(technique: &Technique) -> String {
    join(&[clean(&technique.id), given(technique.tactic.as_ref())], " ")
}

fn plugin_version(plugin: &PluginVersion) -> String {
    format!("{} {} ({})", clean(&plugin.name), clean(&plugin.version), short(&plugin.sha256))
}

fn note(Note { at, by, text }: &Note) -> String {
    format!("{} {}: {}", utc(*at), clean(by), clean(text))
}

/// Returns the state of a playbook's newest work on an incident.
fn triage(Triage { playbook, status, plugin, error, problems, .. }: &Triage) -> String {
    let version = given(plugin.as_ref().map(|plugin| &plugin.version));
    let mut text = join(&[status.to_string(), clean(playbook), version], " ");
    text += &error.as_ref().map(|error| format!(": {}", clean(&error.message))).unwrap_or_default();
    text.extend(problems.iter().map(|problem| format!("\n{}", clean(problem))));
    text
}

/// Returns an HTTP request: its method and URL, its headers and its body.
pub(super) fn http_request(ShownRequest { method, url, headers, body }: &ShownRequest) -> String {
    let headers: String = headers.iter().map(|(name, value)| format!("{}: {}\n", clean(name), clean(value))).collect();
    format!("{} {}\n{headers}\n{}\n", clean(method), clean(url), clean(body))
}

/// Returns a line for each item.
fn lines<T>(items: impl IntoIterator<Item = T>, line: impl Fn(T) -> String) -> String {
    items.into_iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Joins the parts that are not empty.
pub(super) fn join(parts: &[String], separator: &str) -> String {
    parts.iter().filter(|part| !part.is_empty()).map(String::as_str).collect::<Vec<_>>().join(separator)
}

/// Returns a text as one line of bounded length.
fn shorten(text: &str) -> String {
    let line = text.replace('\n', " ");
    if line.chars().count() <= CELL_CHARS_MAX {
        return line;
    }
    line.chars().take(CELL_CHARS_MAX - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hookmill_host::config::age;
    use serde_json::json;

    #[test]
    fn text_from_outside_cannot_reach_the_terminal() {
        assert_eq!(clean("a\u{1b}[31mb\u{202e}c\r\nd"), "a\u{fffd}[31mb\u{fffd}c\u{fffd}\nd");
        assert_eq!(plain(&json!(["\u{7}"])), r#"["\u0007"]"#);
        let outside: Incident = serde_json::from_value(json!({
            "source": "edr",
            "source_ref": "a-1\u{1b}[2J",
            "title": "one\u{9b}two",
            "severity": "high",
            "status": "new",
            "tags": ["\u{7f}"],
            "observables": [{"data_type": "ip", "value": "\u{8}"}],
            "techniques": [],
            "details": {"key\r": "\u{1b}"},
            "notes": [],
            "plugin": {"name": "echo", "version": "\u{7}", "sha256": "9f86d081884c7d659a2f"},
            "truncated": 0,
            "created_at": "2026-01-31T08:00:00Z",
            "updated_at": "2026-01-31T08:00:00Z",
            "revision": 1,
        }))
        .unwrap();
        let expected = [
            "  title         one\u{fffd}two\n",
            "  severity      high\n",
            "  status        new\n",
            "  source        edr\n",
            "  source ref    a-1\u{fffd}[2J\n",
            "  created       2026-01-31T08:00:00Z\n",
            "  updated       2026-01-31T08:00:00Z\n",
            "  revision      1\n",
            "  plugin        echo \u{fffd} (9f86d081884c)\n",
            "  tags          \u{fffd}\n",
            "  observables   ip \u{fffd}\n",
            "  details       key\u{fffd}: \u{fffd}\n",
        ];
        assert_eq!(incident(&outside), expected.concat());
    }

    #[test]
    fn an_age_is_shown_as_it_is_written() {
        for text in ["45s", "90s", "1m", "90m", "12h", "36h", "90d"] {
            assert_eq!(age(&whole_units(age(text).unwrap())), age(text), "{text}");
        }
        for (text, shown) in [("45s", "45s"), ("60s", "1m"), ("90m", "90m"), ("24h", "1d"), ("1y", "365d")] {
            assert_eq!(whole_units(age(text).unwrap()), shown);
        }
    }

    #[test]
    fn cells_are_one_line_of_bounded_length() {
        let text = table(["A", "B"], vec![["x\ny".into(), "ä".repeat(100)]]);
        assert_eq!(text, format!("A    B\nx y  {}…", "ä".repeat(71)));
    }
}
