//! `/openapi.json`: the document that describes the API for programs.

use axum::http::header;
use axum::response::IntoResponse;

/// The document. A test below compares it with the shapes of the answers, and one of `api.rs` with the routes.
pub(super) const OPENAPI: &str = include_str!("openapi.json");

pub(super) async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI)
}

#[cfg(test)]
mod tests {
    use super::OPENAPI;
    use crate::api::shapes::{
        Accepted, Differences, ErrorAnswer, EventResult, FieldChange, IncidentRef, NamedText, PluginVersion,
        PluginWithVersions, Report, ShownDelivery, ShownDestination, ShownEvent, ShownIncident, ShownNotification,
        ShownPlugin, SourceSecret, UsableSource,
    };
    use hookmill_incident::{Note, Observable, Technique, Triage};
    use serde::Serialize;
    use serde::de::DeserializeOwned;
    use serde_json::{Map, Value, json};

    /// The members of an example of a schema.
    #[derive(Clone, Copy, PartialEq)]
    enum Members {
        /// Every property, with a value.
        All,
        /// Only the required properties, with `null` where the schema allows `null`.
        Required,
    }

    /// An example with every property must be unchanged after it was read into the shape and written again: a member
    /// that only the schema or only the shape has would be lost or added. An example with only the required properties
    /// must be readable.
    fn check<T: DeserializeOwned + Serialize>(document: &Value, name: &str) {
        let schema = &document["components"]["schemas"][name];
        assert!(schema.is_object(), "the document has no schema `{name}`");
        let whole = example(document, schema, Members::All);
        let read: T =
            serde_json::from_value(whole.clone()).unwrap_or_else(|error| panic!("{name}: {error}\n{whole:#}"));
        assert_eq!(serde_json::to_value(read).unwrap(), whole, "`{name}` and its shape have other members");
        let least = example(document, schema, Members::Required);
        let read: Result<T, _> = serde_json::from_value(least.clone());
        assert!(read.is_ok(), "`{name}` requires less than its shape: {}\n{least:#}", read.err().unwrap());
    }

    #[test]
    fn the_document_and_the_shapes_have_the_same_members() {
        let document: Value = serde_json::from_str(OPENAPI).unwrap();
        check::<Accepted>(&document, "Taken");
        check::<Differences>(&document, "Differences");
        check::<ErrorAnswer>(&document, "Error");
        check::<EventResult>(&document, "EventState");
        check::<FieldChange>(&document, "FieldChange");
        check::<IncidentRef>(&document, "IncidentRef");
        check::<NamedText>(&document, "NamedValue");
        check::<Note>(&document, "Note");
        check::<Observable>(&document, "Observable");
        check::<PluginVersion>(&document, "PluginVersion");
        check::<PluginWithVersions>(&document, "PluginWithVersions");
        check::<Report>(&document, "Proof");
        check::<ShownDelivery>(&document, "Delivery");
        check::<ShownDestination>(&document, "Destination");
        check::<ShownEvent>(&document, "Event");
        check::<ShownIncident>(&document, "Incident");
        check::<ShownNotification>(&document, "Notification");
        check::<ShownPlugin>(&document, "Plugin");
        check::<SourceSecret>(&document, "Secret");
        check::<Technique>(&document, "Technique");
        check::<Triage>(&document, "Triage");
        check::<UsableSource>(&document, "Source");
    }

    fn example(document: &Value, schema: &Value, members: Members) -> Value {
        if let Some(reference) = schema["$ref"].as_str() {
            return example(document, document.pointer(&reference[1..]).unwrap(), members);
        }
        if let Some(parts) = schema["allOf"].as_array() {
            let parts = parts.iter().map(|part| example(document, part, members));
            return parts.flat_map(|part| part.as_object().unwrap().clone()).collect::<Map<_, _>>().into();
        }
        if let Some(choices) =
            schema["anyOf"].as_array().or(schema["oneOf"].as_array()).filter(|_| schema["type"].is_null())
        {
            let is_null = |choice: &&Value| choice["type"] == "null";
            let null = choices.iter().find(is_null).filter(|_| members == Members::Required);
            return null.map_or_else(|| example(document, &choices[0], members), |_| Value::Null);
        }
        if let Some(value) = schema.get("const") {
            return value.clone();
        }
        if let Some(values) = schema["enum"].as_array() {
            return values[0].clone();
        }
        if let Some(values) = schema["examples"].as_array() {
            return values[0].clone();
        }
        let types: Vec<&str> = match &schema["type"] {
            Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
            one => one.as_str().into_iter().collect(),
        };
        if members == Members::Required && types.contains(&"null") {
            return Value::Null;
        }
        match types.first().copied() {
            Some("object") => object(document, schema, members),
            Some("array") => json!([example(document, &schema["items"], members)]),
            Some("string") => text(schema).into(),
            Some("integer" | "number") => schema["minimum"].as_u64().unwrap_or_default().max(1).into(),
            Some("boolean") => true.into(),
            _ => Value::Null,
        }
    }

    fn object(document: &Value, schema: &Value, members: Members) -> Value {
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        let is_wanted = |name: &str| members == Members::All || required.iter().any(|known| known == name);
        let properties = schema["properties"].as_object().into_iter().flatten();
        let wanted = properties.filter(|(name, _)| is_wanted(name));
        wanted.map(|(name, schema)| (name.clone(), example(document, schema, members))).collect::<Map<_, _>>().into()
    }

    fn text(schema: &Value) -> &'static str {
        match (schema["format"].as_str(), schema["pattern"].as_str()) {
            (Some("date-time"), _) => "2026-01-31T08:00:00Z",
            (Some("uuid"), _) => "019c1f3e-5c00-7000-8000-000000000001",
            (_, Some(pattern)) if pattern.contains("[0-9a-f]{64}") => {
                "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
            }
            _ => "edr",
        }
    }
}
