use super::{json_list, map};
use crate::testing::outcome_json;
use crate::{Description, Event, Fields, Incident, List, Mapper, MappingError, Outcome, Part, Text};
use serde::Deserialize;
use serde_json::{Value, json};

/// A mapper that does nothing about faults.
struct Plain;

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    name: Text<'a>,
    at: Text<'a>,
    host: Part<Host<'a>>,
    files: List<Fields<'a>>,
    inner: Text<'a>,
}

#[derive(Deserialize)]
struct Host<'a> {
    #[serde(borrow)]
    name: Text<'a>,
}

impl Mapper for Plain {
    fn describe() -> Description {
        crate::description!("Plain", "For tests")
    }

    fn map(event: &Event) -> Result<Outcome, MappingError> {
        let payload: Payload = event.json("a payload with `id`")?;
        let id = payload.id.get().ok_or_else(|| MappingError::Malformed("`id` is absent".into()))?;
        let mut incident = Incident::new(id);
        incident.set_title(payload.name.get());
        incident.occurred_at = payload.at.time();
        incident.observe("hostname", payload.host.get().and_then(|host| host.name.get()), "");
        for file in &payload.files {
            incident.observe("filename", file.first(&["name"]), "");
        }
        for inner in payload.inner.get().map(json_list::<Fields>).unwrap_or_default() {
            incident.observe("url", inner.first(&["url"]), "");
        }
        Ok(incident.into())
    }
}

fn mapped(body: impl Into<Vec<u8>>) -> Value {
    outcome_json(&map::<Plain>(&Event::new(body)))
}

#[test]
fn a_clean_payload_has_no_problems() {
    let outcome = mapped(r#"{"id": 7, "name": "n", "at": 1705320000, "host": {"name": "h"}, "files": {"name": "f"}}"#);
    assert_eq!(outcome["problems"], json!([]));
    assert_eq!(outcome["incidents"][0]["observables"][1]["value"], "f");
}

#[test]
fn a_part_of_another_type_costs_that_part() {
    let outcome = mapped(r#"{"id": "a", "name": {"x": [1]}, "host": 7, "files": [{"name": "f"}, 8, {"name": "g"}]}"#);
    let names: Vec<&Value> = outcome["incidents"][0]["observables"].as_array().unwrap().iter().collect();
    assert_eq!((names.len(), &names[1]["value"]), (2, &json!("g")));
    assert_eq!(
        outcome["problems"],
        json!([
            "`name` is left out: expected a text, found an object",
            "`host` is left out: invalid type: integer `7`, expected an object",
            "`files[1]` is left out: invalid type: integer `8`, expected a JSON object",
        ])
    );
}

#[test]
fn faults_of_the_text_are_repaired() {
    let cases = [
        (r#"{"id": "a", "name": "cut \ud83d"}"#, "cut \u{fffd}"),
        (r#"{"id": "a", "name": "first", "name": "last"}"#, "last"),
        (r#"{"id": "a", "name": 123456789012345678901234567890}"#, "123456789012345678901234567890"),
        (r#"{"id": "a", "name": 9007199254740993}"#, "9007199254740993"),
        ("\u{feff}{\"id\": \"a\", \"name\": \"x\ty\"}", "x\ty"),
    ];
    for (body, name) in cases {
        let outcome = mapped(body);
        assert_eq!((&outcome["incidents"][0]["title"], &outcome["problems"]), (&json!(name), &json!([])), "{body}");
    }
    let deep = format!(r#"{{"id": "a", "name": "deep", "files": {}1{}}}"#, "[".repeat(200), "]".repeat(200));
    assert_eq!(mapped(deep)["incidents"][0]["title"], "deep");
}

#[test]
fn every_json_value_of_a_body_is_mapped() {
    let ids = |outcome: &Value| -> Vec<Value> {
        outcome["incidents"].as_array().unwrap().iter().map(|incident| incident["source_ref"].clone()).collect()
    };
    for body in [
        r#"{"id": "a"}{"id": "b"}"#,
        "{\"id\": \"a\"}\n{\"id\": \"b\"}\n",
        r#"[{"id": "a"}, {"id": "b"}]"#,
        r#"{"id": "a"}, {"id": "b"}"#,
    ] {
        let outcome = mapped(body);
        assert_eq!((ids(&outcome), &outcome["problems"]), (vec![json!("a"), json!("b")], &json!([])), "{body}");
    }
    let outcome = mapped("{\"id\": \"a\"}\n{\"name\": \"no id\"}\n{broken}\n{\"id\": \"d\"}\n{\"id\": \"cut");
    assert_eq!(ids(&outcome), ["a", "d"]);
    assert_eq!(
        outcome["problems"],
        json!([
            "JSON value 2 of 3: `id` is absent",
            "JSON value 3 is not JSON: unexpected `b` at byte 31",
            "JSON value 5 is cut off at the end",
        ])
    );
    assert!(mapped("[[1]]")["error"]["unsupported"].is_string());
    assert!(mapped("{\"id\": \"a")["error"]["malformed"].is_string());
}

#[test]
fn an_impossible_time_costs_the_time() {
    let outcome = mapped(
        r#"[{"id": "a", "at": "2026-02-30T10:00:00Z"}, {"id": "b", "at": "2026-02-28"}, {"id": "c", "at": "unknown"}]"#,
    );
    assert_eq!(outcome["incidents"][1]["occurred_at"], "2026-02-28T00:00:00Z");
    assert_eq!(
        outcome["problems"],
        json!(["the time `2026-02-30T10:00:00Z` is left out: there is no such day or time of day"])
    );
}

#[test]
fn json_in_texts_is_read_as_far_as_it_goes() {
    let inner = r#"[{\"url\": \"u1\"}, {\"url\": \"u2\", \"a\": 1, \"a\": 2}]"#;
    let outcome = mapped(format!(r#"{{"id": "a", "inner": "{inner}"}}"#));
    assert_eq!(outcome["incidents"][0]["observables"].as_array().unwrap().len(), 2);
    let outcome = mapped(r#"{"id": "a", "inner": "{\"url\": \"u1\"},{\"url\": \"u"}"#);
    assert_eq!(outcome["incidents"][0]["observables"].as_array().unwrap().len(), 1);
    assert_eq!(outcome["problems"].as_array().unwrap().len(), 1);
}
