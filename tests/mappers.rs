//! The bundled mappers in a real host: what they make of each payload is tested beside each of them.

use crate::guest::{mapper, project};
use crate::host::{Folder, SECRET};
use serde_json::{Value, json};

/// Those in Rust.
const NAMES: [&str; 5] = ["crowdstrike", "defender-office365", "elastic", "generic", "splunk"];

#[tokio::test]
async fn every_bundled_mapper_maps_its_seed_payload() {
    let sources: String = NAMES.iter().map(|name| format!("  {name}: {{ secret: {SECRET} }}\n")).collect();
    let mut folder = Folder::new(&format!("sources:\n{sources}  anything: {{ secret: {SECRET} }}\n"));
    for name in NAMES {
        folder = folder.with(name, &mapper(name));
    }
    let host = folder.start().await;
    for name in NAMES {
        let payloads = project(&format!("plugins/{name}/payloads"));
        let read = |file: &str| std::fs::read(payloads.join(file)).unwrap();
        let expected: Value = serde_json::from_slice(&read("seed.expected.json")).unwrap();
        let answer = host.signed(name, read("seed.json")).await;
        assert_eq!((answer.status, answer.status_word()), (202, "accepted"), "{name}: {answer:?}");
        let incident = host.get(&format!("/api/incidents/{}", answer.body["incident_number"].as_str().unwrap())).await;
        assert_eq!(incident["plugin"]["name"], *name);
        let expected = &expected["incidents"][0];
        for name in ["source_ref", "title", "external_link", "category"] {
            let said = expected.get(name).unwrap_or(&Value::Null);
            assert_eq!(&incident[name], said, "{name}: {incident}");
        }
        // Whose payload it is, the host finds out by itself.
        let found = host.signed("anything", read("seed.json")).await;
        assert_eq!(found.status_word(), "accepted", "{name}: {found:?}");
        let incident = host.get(&format!("/api/incidents/{}", found.body["incident_id"].as_str().unwrap())).await;
        assert_eq!(incident["plugin"]["name"], *name);

        let refused = host.signed(name, r#"{"hello": "world"}"#).await;
        assert_eq!((refused.status, &refused.body["error"]["code"]), (422, &json!("unmappable_payload")), "{name}");
    }
}

/// Mappers that bring an interpreter along.
#[tokio::test]
async fn bundled_mappers_in_other_languages_map_in_a_host() {
    let samples = [("okta", "two-events"), ("guardduty", "archived-credential-exfiltration")];
    let sources: String = samples.iter().map(|(name, _)| format!("  {name}: {{ secret: {SECRET} }}\n")).collect();
    let mut folder = Folder::new(&format!("sources:\n{sources}"));
    for (name, _) in samples {
        folder = folder.with(name, &mapper(name));
    }
    let host = folder.start().await;
    for (name, payload) in samples {
        let read =
            |ending: &str| std::fs::read(project(&format!("plugins/{name}/payloads/{payload}{ending}.json"))).unwrap();
        let expected: Value = serde_json::from_slice(&read(".expected")).unwrap();
        let answer = host.signed(name, read("")).await;
        assert_eq!((answer.status, answer.status_word()), (202, "accepted"), "{name}: {answer:?}");
        let incident = host.get(&format!("/api/incidents/{}", answer.body["incident_number"].as_str().unwrap())).await;
        for field in ["source_ref", "title", "severity", "external_link", "category"] {
            assert_eq!(incident[field], expected["incidents"][0][field], "{name}: {incident}");
        }
        let refused = host.signed(name, r#"{"hello": "world"}"#).await;
        assert_eq!((refused.status, &refused.body["error"]["code"]), (422, &json!("unmappable_payload")), "{name}");
    }
}
