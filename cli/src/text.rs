//! Text for a terminal: tables without borders, named fields, and text of payloads without control characters.

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use hookmill_host::api::shapes::Unreadable;
use jiff::Timestamp;
use serde_json::Value;

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

/// Returns a line for each named value. Empty values are left out; further lines of a value stand under its first.
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
/// Line ends stay.
pub(super) fn clean(text: &str) -> String {
    let harmful = |letter: char| {
        letter.is_control() && letter != '\n' || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|letter| if harmful(letter) { '\u{fffd}' } else { letter }).collect()
}

/// Returns a JSON value as text: strings without quotes, null as an empty string.
pub(super) fn plain(value: &Value) -> String {
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

/// Returns a time of the API's JSON to the second, with a space for the `T`.
pub(super) fn time(value: &Value) -> String {
    let text = plain(value);
    match text.get(..19) {
        Some(second) if text.ends_with('Z') => second.replace('T', " "),
        _ => text,
    }
}

/// Returns a number of bytes with a unit that keeps the number short.
pub(super) fn bytes(count: u64) -> String {
    match count {
        0..10_000 => format!("{count} bytes"),
        10_000..10_000_000 => format!("{} KiB", count / 1024),
        _ => format!("{} MiB", count / (1024 * 1024)),
    }
}

/// Returns the first digits of a digest.
pub(super) fn short(sha256: &Value) -> String {
    plain(sha256).chars().take(12).collect()
}

/// Returns all fields of an incident, stored or not.
pub(super) fn incident(incident: &Value) -> String {
    let text = |name: &str| plain(&incident[name]);
    let version = |plugin: &Value| match plugin.is_null() {
        true => String::new(),
        false => format!("{} {} ({})", plain(&plugin["name"]), plain(&plugin["version"]), short(&plugin["sha256"])),
    };
    let lines = |name: &str, line: &dyn Fn(&Value) -> String| {
        list(&incident[name]).iter().map(line).collect::<Vec<_>>().join("\n")
    };
    let details = incident["details"].as_object().into_iter().flatten();
    let details: Vec<String> = details.map(|(name, value)| format!("{}: {}", clean(name), plain(value))).collect();
    let technique = |technique: &Value| join(&[plain(&technique["id"]), plain(&technique["tactic"])], " ");
    fields([
        ("number", text("number")),
        ("id", text("id")),
        ("title", text("title")),
        ("severity", text("severity")),
        ("status", text("status")),
        ("assignee", text("assignee")),
        ("category", text("category")),
        ("tlp", text("tlp")),
        ("source", text("source")),
        ("source ref", text("source_ref")),
        ("occurred", text("occurred_at")),
        ("created", text("created_at")),
        ("updated", text("updated_at")),
        ("revision", text("revision")),
        ("occurrences", text("occurrences")),
        ("truncated", text("truncated").trim_start_matches('0').to_owned()),
        ("link", text("external_link")),
        ("playbook", text("playbook")),
        ("triage", triage(&incident["triage"])),
        ("plugin", version(&incident["plugin"])),
        ("description", text("description")),
        ("tags", lines("tags", &plain)),
        ("observables", lines("observables", &observable)),
        ("techniques", lines("techniques", &technique)),
        ("details", details.join("\n")),
        (
            "notes",
            lines("notes", &|note| format!("{} {}: {}", time(&note["at"]), plain(&note["by"]), plain(&note["text"]))),
        ),
        ("events", lines("event_ids", &plain)),
    ])
}

/// Returns a line for each action of a playbook.
pub(super) fn actions(actions: &[Value]) -> String {
    let mut text = String::new();
    for (name, value) in actions.iter().filter_map(Value::as_object).flatten() {
        let value = if name == "add_observable" { observable(value) } else { plain(value) };
        text += &fields([(name.replace('_', " ").as_str(), value)]);
    }
    text
}

/// Returns the state of a playbook's newest work on an incident.
fn triage(triage: &Value) -> String {
    let mut text =
        join(&[plain(&triage["status"]), plain(&triage["playbook"]), plain(&triage["plugin"]["version"])], " ");
    text += &triage["error"]["message"].as_str().map_or_else(String::new, |message| format!(": {}", clean(message)));
    list(&triage["problems"]).iter().for_each(|problem| text += &format!("\n{}", plain(problem)));
    text
}

fn observable(observable: &Value) -> String {
    let ioc = if observable["ioc"] == true { "[ioc]".to_owned() } else { String::new() };
    let message = plain(&observable["message"]);
    let message = if message.is_empty() { message } else { format!("({message})") };
    join(&[plain(&observable["data_type"]), plain(&observable["value"]), ioc, message], " ")
}

/// Returns the items of a JSON list; none if the value is not a list.
pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
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
    use serde_json::json;

    #[test]
    fn text_from_outside_cannot_reach_the_terminal() {
        assert_eq!(clean("a\u{1b}[31mb\u{202e}c\r\nd"), "a\u{fffd}[31mb\u{fffd}c\u{fffd}\nd");
        assert_eq!(plain(&json!(["\u{7}"])), r#"["\u0007"]"#);
        let shown = incident(&json!({"title": "one\u{9b}two", "observables": [{"data_type": "ip", "value": "\u{8}"}]}));
        assert_eq!(shown, "  title         one\u{fffd}two\n  observables   ip \u{fffd}\n");
    }

    #[test]
    fn cells_are_one_line_of_bounded_length() {
        let text = table(["A", "B"], vec![["x\ny".into(), "ä".repeat(100)]]);
        assert_eq!(text, format!("A    B\nx y  {}…", "ä".repeat(71)));
    }
}
