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
        Accepted, DeliveryWithMessage, DiscardReason, DiscardRequest, DiscardedGroup, DryRun, DryRunMessage,
        EnabledDestination, ErrorAnswer, EventDryRun, EventResult, FieldChange, GroupReplayResult, HostState,
        IncidentChangeResult, IncidentRef, IncidentsChange, IssuedSource, List, ListedItem, ListedSetting, NamedText,
        NewSource, NotificationDryRun, NotificationDryRunRequest, Overview, PayloadDifferences, PluginDryRunRequest,
        PluginSample, PluginVersion, PluginWithVersions, ProofReport, RefusedRequests, RetriedDeliveries,
        RetriedDelivery, RetryFilter, SecretRotation, SharedObservable, ShownAlert, ShownBackups, ShownCount,
        ShownDeadLetters, ShownDelivery, ShownDestination, ShownEvent, ShownHost, ShownIncident, ShownNotification,
        ShownOperatorAction, ShownOwnedSession, ShownPlugin, ShownQuarantineGroup, ShownRelatedIncident, ShownRequest,
        ShownSession, ShownSource, ShownStorage, ShownToken, SignIn, SourceDryRunRequest, SourcePatch, SourceSecret,
        Stats, StoredEvent, TriageOptions, Unreadable, UnusableSource, UsableSource, Vendor,
    };
    use hookmill_incident::{Note, Observable, Patch, Technique, Triage};
    use serde::Serialize;
    use serde::de::DeserializeOwned;
    use serde_json::{Map, Value};

    /// The maximum number of alternatives that a schema has.
    const CHOICES: usize = 6;

    /// The members of an example of a schema.
    #[derive(Clone, Copy, PartialEq)]
    enum ExampleMembers {
        /// Every property, with a value. Of several alternatives, the example uses the one with this number, modulo
        /// their count.
        All(usize),
        /// Only the required properties, with `null` where the schema allows `null`.
        Required,
    }

    /// An example with every property must be unchanged after it was read into the shape and written again: a member
    /// that only the schema or only the shape has would be lost or added. An example with only the required properties
    /// must be readable.
    fn check<T: DeserializeOwned + Serialize>(document: &Value, schema: &Value) {
        for choice in 0..CHOICES {
            let whole = example(document, schema, ExampleMembers::All(choice));
            let written = serde_json::to_value(read::<T>(&whole)).unwrap();
            assert_eq!(written, whole, "{} has other members in the document", std::any::type_name::<T>());
        }
        read::<T>(&example(document, schema, ExampleMembers::Required));
    }

    fn read<T: DeserializeOwned>(example: &Value) -> T {
        serde_json::from_value(example.clone())
            .unwrap_or_else(|error| panic!("{}: {error}\n{example:#}", std::any::type_name::<T>()))
    }

    #[test]
    fn schemas_and_shapes_have_the_same_members() {
        let document: Value = serde_json::from_str(OPENAPI).unwrap();
        let schema = |name: &str| {
            let schema = &document["components"]["schemas"][name];
            assert!(schema.is_object(), "the document has no schema `{name}`");
            schema
        };
        check::<Accepted>(&document, schema("Accepted"));
        check::<PayloadDifferences>(&document, schema("Differences"));
        check::<DryRunMessage>(&document, schema("DryRunMessage"));
        check::<ErrorAnswer>(&document, schema("Error"));
        check::<EventDryRun>(&document, schema("EventDryRun"));
        check::<EventResult>(&document, schema("EventState"));
        check::<FieldChange>(&document, schema("FieldChange"));
        check::<IncidentRef>(&document, schema("IncidentRef"));
        check::<NamedText>(&document, schema("NamedValue"));
        check::<Note>(&document, schema("Note"));
        check::<Observable>(&document, schema("Observable"));
        check::<PluginVersion>(&document, schema("PluginVersion"));
        check::<PluginWithVersions>(&document, schema("PluginWithVersions"));
        check::<ProofReport>(&document, schema("Proof"));
        check::<ShownAlert>(&document, schema("AlertChange"));
        check::<ShownDelivery>(&document, schema("Delivery"));
        check::<ShownDestination>(&document, schema("Destination"));
        check::<ShownEvent>(&document, schema("Event"));
        check::<ShownIncident>(&document, schema("Incident"));
        check::<ShownNotification>(&document, schema("Notification"));
        check::<ShownOperatorAction>(&document, schema("OperatorAction"));
        check::<ShownPlugin>(&document, schema("Plugin"));
        check::<ShownRequest>(&document, schema("HttpRequest"));
        check::<ShownSession>(&document, schema("Session"));
        check::<SharedObservable>(&document, schema("SharedObservable"));
        check::<SourceSecret>(&document, schema("Secret"));
        check::<Technique>(&document, schema("Technique"));
        check::<Triage>(&document, schema("Triage"));
        check::<Unreadable>(&document, schema("Unreadable"));
        check::<UnusableSource>(&document, schema("UnusableSource"));
        check::<UsableSource>(&document, schema("Source"));
        check::<Vendor>(&document, schema("Vendor"));
    }

    #[test]
    fn answers_of_routes_and_shapes_have_the_same_members() {
        let document: Value = serde_json::from_str(OPENAPI).unwrap();
        let answer = |method: &str, path: &str, status: &str| {
            let answer = &document["paths"][path][method]["responses"][status];
            json_schema(answer["$ref"].as_str().map_or(answer, |reference| document.pointer(&reference[1..]).unwrap()))
        };
        check::<DryRun>(&document, answer("post", "/api/sources/{name}/test", "200"));
        check::<EnabledDestination>(&document, answer("post", "/api/destinations/{name}/enable", "200"));
        check::<HostState>(&document, answer("get", "/readyz", "503"));
        check::<IssuedSource>(&document, answer("post", "/api/webhooks", "201"));
        check::<IssuedSource>(&document, answer("post", "/api/sources/{name}/rotate", "200"));
        check::<DeliveryWithMessage>(&document, answer("get", "/api/deliveries/{id}", "200"));
        check::<List<ListedSetting>>(&document, answer("get", "/api/config", "200"));
        check::<List<ShownDeadLetters>>(&document, answer("get", "/api/dead-letters", "200"));
        check::<List<ShownOwnedSession>>(&document, answer("get", "/api/sessions", "200"));
        check::<List<ShownHost>>(&document, answer("get", "/api/hosts", "200"));
        check::<List<ShownToken>>(&document, answer("get", "/api/tokens", "200"));
        check::<List<ShownDelivery>>(&document, answer("get", "/api/deliveries", "200"));
        check::<List<ShownDestination>>(&document, answer("get", "/api/destinations", "200"));
        check::<List<ListedItem<ShownEvent>>>(&document, answer("get", "/api/events", "200"));
        check::<List<ListedItem<ShownIncident>>>(&document, answer("get", "/api/incidents", "200"));
        check::<List<IncidentChangeResult>>(&document, answer("patch", "/api/incidents", "200"));
        check::<ShownCount>(&document, answer("get", "/api/incidents/count", "200"));
        check::<ShownCount>(&document, answer("get", "/api/events/count", "200"));
        check::<List<String>>(&document, answer("get", "/api/plugins/{name}/samples", "200"));
        check::<PluginSample>(&document, answer("get", "/api/plugins/{name}/samples/{sample}", "200"));
        check::<List<SharedObservable>>(&document, answer("get", "/api/incidents/{id}/observables", "200"));
        let related = answer("get", "/api/incidents/{id}/related", "200");
        check::<List<ListedItem<ShownRelatedIncident>>>(&document, related);
        check::<List<ShownNotification>>(&document, answer("get", "/api/notifications", "200"));
        check::<List<ShownOperatorAction>>(&document, answer("get", "/api/operator-actions", "200"));
        check::<List<ShownPlugin>>(&document, answer("get", "/api/plugins", "200"));
        check::<List<RefusedRequests>>(&document, answer("get", "/api/refusals", "200"));
        check::<List<ShownQuarantineGroup>>(&document, answer("get", "/api/quarantine", "200"));
        check::<GroupReplayResult>(&document, answer("post", "/api/quarantine/{group}/replay", "200"));
        check::<DiscardedGroup>(&document, answer("post", "/api/quarantine/{group}/discard", "200"));
        check::<List<ShownSource>>(&document, answer("get", "/api/sources", "200"));
        check::<List<String>>(&document, answer("get", "/api/logs", "200"));
        check::<List<Vendor>>(&document, answer("get", "/api/vendors", "200"));
        check::<Overview>(&document, answer("get", "/api/overview", "200"));
        check::<NotificationDryRun>(&document, answer("post", "/api/notifications/{name}/test", "200"));
        check::<PluginVersion>(&document, answer("post", "/api/plugins/{name}/promote", "200"));
        check::<ProofReport>(&document, answer("post", "/api/plugins/{name}/diff", "200"));
        check::<RetriedDeliveries>(&document, answer("post", "/api/deliveries/retry", "200"));
        check::<RetriedDelivery>(&document, answer("post", "/api/deliveries/{id}/retry", "200"));
        check::<ShownBackups>(&document, answer("get", "/api/backups", "200"));
        check::<ShownSource>(&document, answer("get", "/api/sources/{name}", "200"));
        check::<ShownStorage>(&document, answer("get", "/api/storage", "200"));
        check::<Stats>(&document, answer("get", "/api/stats", "200"));
        check::<StoredEvent>(&document, answer("get", "/api/events/{id}", "200"));
        check::<UsableSource>(&document, answer("patch", "/api/sources/{name}", "200"));
    }

    #[test]
    fn bodies_of_routes_and_shapes_have_the_same_members() {
        let document: Value = serde_json::from_str(OPENAPI).unwrap();
        let body = |method: &str, path: &str| json_schema(&document["paths"][path][method]["requestBody"]);
        check::<NewSource>(&document, body("post", "/api/webhooks"));
        check::<DiscardReason>(&document, body("post", "/api/events/{id}/discard"));
        check::<DiscardRequest>(&document, body("post", "/api/quarantine/{group}/discard"));
        check::<NotificationDryRunRequest>(&document, body("post", "/api/notifications/{name}/test"));
        check::<PluginDryRunRequest>(&document, body("post", "/api/plugins/{name}/run"));
        check::<RetryFilter>(&document, body("post", "/api/deliveries/retry"));
        check::<SecretRotation>(&document, body("post", "/api/sources/{name}/rotate"));
        check::<SignIn>(&document, body("post", "/api/session"));
        check::<SourceDryRunRequest>(&document, body("post", "/api/sources/{name}/test"));
        check::<SourcePatch>(&document, body("patch", "/api/sources/{name}"));
        check::<TriageOptions>(&document, body("post", "/api/incidents/{id}/triage"));
        check::<Patch>(&document, body("patch", "/api/incidents/{id}"));
        check::<IncidentsChange>(&document, body("patch", "/api/incidents"));
    }

    /// Returns the schema of a body in JSON.
    fn json_schema(body: &Value) -> &Value {
        let schema = &body["content"]["application/json"]["schema"];
        assert!(schema.is_object(), "a body in JSON has no schema: {body:#}");
        schema
    }

    fn example(document: &Value, schema: &Value, members: ExampleMembers) -> Value {
        if let Some(reference) = schema["$ref"].as_str() {
            return example(document, document.pointer(&reference[1..]).unwrap(), members);
        }
        if let Some(parts) = schema["allOf"].as_array() {
            let parts = parts.iter().map(|part| example(document, part, members));
            return parts.flat_map(|part| part.as_object().unwrap().clone()).collect::<Map<_, _>>().into();
        }
        let choices = schema["anyOf"].as_array().or(schema["oneOf"].as_array()).filter(|_| schema["type"].is_null());
        if let Some(choices) = choices {
            let choice = match members {
                ExampleMembers::All(choice) => choice % choices.len(),
                ExampleMembers::Required => {
                    choices.iter().position(|choice| choice["type"] == "null").unwrap_or_default()
                }
            };
            return example(document, &choices[choice], members);
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
        if members == ExampleMembers::Required && types.contains(&"null") {
            return Value::Null;
        }
        match types.first().copied() {
            Some("object") => object(document, schema, members),
            Some("array") if schema["items"].is_null() => Value::Array(Vec::new()),
            Some("array") => array(document, schema, members),
            Some("string") => text(schema).into(),
            Some("integer" | "number") => schema["minimum"].as_u64().unwrap_or_default().max(1).into(),
            Some("boolean") => true.into(),
            // The schema of a list refines the items of `List` without repeating the type.
            None if schema["items"].is_object() => array(document, schema, members),
            _ => Value::Null,
        }
    }

    fn array(document: &Value, schema: &Value, members: ExampleMembers) -> Value {
        let items = schema["minItems"].as_u64().unwrap_or(1);
        (0..items).map(|_| example(document, &schema["items"], members)).collect()
    }

    fn object(document: &Value, schema: &Value, members: ExampleMembers) -> Value {
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        let is_wanted = |name: &str| members != ExampleMembers::Required || required.iter().any(|known| known == name);
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
