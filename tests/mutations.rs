//! Bundled mappers under mutation: every payload of every mapper, changed at one place a time, in the sandbox.
//!
//! A mapper must not trap, and a wrong part must not cost more than that part: every incident of the unchanged payload is
//! still there, unless the part says which kind of payload this is or identifies the incident. Mutations are the same in
//! every run. `HOOKMILL_MUTATIONS` sets their number for each payload; the default takes seconds once every mapper has been
//! compiled.

use crate::guest::{mapper, project};
use crate::mutant::{Mutant, mutants};
use hookmill_incident::{Event, FailureCode, Reading};
use hookmill_sandbox::{Allocation, CompiledCode, Plugin, PluginLimits, Sandbox};
use hookmill_store::private_files::replace_file;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// The number of mutants of each payload without `HOOKMILL_MUTATIONS`.
const MUTANTS: usize = 25;
/// Tests share the machine, and interpreters are slow in a build without optimisation.
const DEADLINE: Duration = Duration::from_secs(30);
/// Mappers with an interpreter get a fifth of the mutants.
const SLOW: [&str; 2] = ["guardduty", "okta"];

/// The members without which a mapper may refuse a payload or an item of it: they tell its kind or identify the incident.
const ESSENTIAL: [(&str, &[&str]); 19] = [
    (
        "cortex-xdr",
        &[
            "reply",
            "incident",
            "incidents",
            "alerts",
            "incident_id",
            "alert_id",
            "status",
            "creation_time",
            "detection_timestamp",
        ],
    ),
    (
        "crowdstrike",
        &[
            "metadata",
            "event",
            "eventType",
            "ExternalApiType",
            "CompositeId",
            "DetectId",
            "IdentityProtectionIncidentId",
            "MobileDetectionId",
            "FalconHostLink",
            "customerIDString",
            "offset",
            "NotificationId",
            "AuditKeyValues",
            "Key",
            "ValueString",
            "Severity",
            "SeverityName",
            "composite_id",
            "resources",
            "cid",
            "id",
            "falcon_host_link",
            "created_timestamp",
        ],
    ),
    (
        "defender-office365",
        &[
            "value",
            "records",
            "id",
            "category",
            "properties",
            "AlertId",
            "severity",
            "serviceSource",
            "createdDateTime",
            "eventType",
            "creationTime",
        ],
    ),
    (
        "defender-xdr",
        &[
            "value",
            "records",
            "id",
            "incidentId",
            "incidentName",
            "displayName",
            "status",
            "severity",
            "category",
            "properties",
            "AlertId",
            "serviceSource",
            "createdDateTime",
            "lastUpdateDateTime",
        ],
    ),
    (
        "elastic",
        &[
            "_id",
            "fields",
            "_source",
            "alerts",
            "context",
            "context.alerts",
            "rule",
            "rule.name",
            "name",
            "kibana.alert.rule.name",
            "signal.rule.name",
            "signal",
            "kibana",
            "alert",
            "kibana.alert.uuid",
            "uuid",
            "@timestamp",
            "kibana.alert.original_time",
            "original_time",
            "kibana.alert.reason",
            "host.name",
            "host",
            "signal.original_time",
        ],
    ),
    (
        "falco",
        &[
            "rule",
            "priority",
            "hostname",
            "container.id",
            "proc.cmdline",
            "ka.user.name",
            "ka.verb",
            "ka.target.resource",
            "ka.target.name",
        ],
    ),
    ("generic", &["event_type", "data", "alert_id"]),
    (
        "github",
        &["alert", "number", "repository", "id", "secret_type", "rule", "security_advisory", "affected_package_name"],
    ),
    ("google-scc", &["message", "data", "finding", "listFindingsResults", "name"]),
    (
        "guardduty",
        &[
            "id",
            "source",
            "detail-type",
            "type",
            "severity",
            "arn",
            "schemaVersion",
            "service",
            "serviceName",
            "s3ObjectDetails",
            "bucketName",
            "objectKey",
            "versionId",
        ],
    ),
    (
        "okta",
        &[
            "uuid",
            "eventType",
            "outcome",
            "result",
            "debugContext",
            "debugData",
            "behaviors",
            "risk",
            "reason",
            "severity",
            "target",
        ],
    ),
    ("opencti", &["id", "data", "type", "event", "origin", "referer"]),
    (
        "security-hub",
        &[
            "source",
            "detail-type",
            "detail",
            "findings",
            "Findings",
            "Records",
            "Sns",
            "Message",
            "Id",
            "ProductArn",
            "GeneratorId",
            "SchemaVersion",
            "finding_info",
            "uid",
        ],
    ),
    (
        "sentinel",
        &[
            "value",
            "object",
            "properties",
            "name",
            "type",
            "kind",
            "incidentNumber",
            "systemAlertId",
            "IncidentName",
            "IncidentNumber",
            "SystemAlertId",
            "AlertName",
        ],
    ),
    (
        "sentinelone",
        &[
            "data",
            "alert",
            "alerts",
            "edges",
            "node",
            "alertWithRawIndicators",
            "detectionSource",
            "id",
            "threatInfo",
            "threatId",
            "activityType",
            "alertid",
        ],
    ),
    ("sentry", &["id", "issue_id", "issue_url", "action", "project"]),
    (
        "splunk",
        &[
            "result",
            "sid",
            "search_name",
            "results_link",
            "event_id",
            "rule_id",
            "_raw",
            "_bkt",
            "_cd",
            "index",
            "rule_title",
            "trigger_time",
        ],
    ),
    (
        "thehive",
        &[
            "operation",
            "action",
            "objectType",
            "objectId",
            "rootId",
            "requestId",
            "base",
            "mainAction",
            "object",
            "details",
            "context",
            "case",
            "alert",
            "_type",
            "_id",
        ],
    ),
    ("wazuh", &["id", "rule", "level", "manager", "agent", "name"]),
];

/// The members that contain the whole event: a mapper may refuse a payload if one of them is changed, but not if something
/// in it is.
const ENVELOPES: [(&str, &[&str]); 4] = [
    ("falco", &["output_fields"]),
    ("guardduty", &["detail", "Records", "Sns", "Message", "Findings", "scanResultDetails", "threats"]),
    ("okta", &["detail", "data", "events"]),
    ("sentry", &["data", "issue", "event", "error", "metric_alert"]),
];

#[tokio::test(flavor = "multi_thread")]
async fn no_mutant_of_a_payload_traps_a_mapper_or_costs_more_than_the_changed_part() {
    let sandbox = Arc::new(Sandbox::with_allocation(Allocation::OnDemand, 4, 0).unwrap());
    let count = std::env::var("HOOKMILL_MUTATIONS").map_or(MUTANTS, |count| count.parse().unwrap());
    let mut mappers = JoinSet::new();
    for (name, essential) in ESSENTIAL {
        let count = if SLOW.contains(&name) { count.div_ceil(5) } else { count };
        mappers.spawn(try_mutants(name, essential, count, sandbox.clone()));
    }
    let results = mappers.join_all().await;
    let tried: usize = results.iter().map(|(tried, _)| tried).sum();
    let faults: Vec<String> = results.into_iter().flat_map(|(_, faults)| faults).collect();
    assert!(faults.is_empty(), "{} of {tried} mutants:\n{}", faults.len(), faults.join("\n"));
    assert!(tried > 20 * count, "only {tried} mutants");
}

/// Returns the number of mutants of one mapper's payloads, and the faults that they show.
async fn try_mutants(name: &str, essential: &[&str], count: usize, sandbox: Arc<Sandbox>) -> (usize, Vec<String>) {
    let plugin = load(name, sandbox).await;
    let envelopes: Vec<&str> =
        ENVELOPES.iter().filter(|(owner, _)| *owner == name).flat_map(|(_, names)| *names).copied().collect();
    let (mut tried, mut faults) = (0, Vec::new());
    for file in payloads(name) {
        let body = std::fs::read(&file).unwrap();
        let original = run(&plugin, &file, &body).await;
        for (seed, mutant) in mutants(&body, count) {
            tried += 1;
            let outcome = run(&plugin, &file, &mutant.body).await;
            if let Err(fault) = check(&original, &mutant, outcome, essential, &envelopes) {
                let change = format!("{} at `{}`", mutant.change, mutant.path.join("/"));
                faults.push(format!("{}, mutant {seed}, {change}: {fault}", file.display()));
            }
        }
    }
    (tried, faults)
}

async fn load(name: &str, sandbox: Arc<Sandbox>) -> Plugin {
    let limits = PluginLimits { deadline: DEADLINE, output_bytes: 4 << 20, incidents: 1000, ..PluginLimits::default() };
    let compiled = Arc::new(CompiledMapper { folder: project(&format!("target/mutations/{name}")) });
    Plugin::load(name, mapper(name), sandbox, limits, Some(compiled)).await.unwrap()
}

/// The compiled code of one mapper, kept in the target folder, so that only a changed mapper is compiled: those with an
/// interpreter take much longer to compile than all mutants take to map.
struct CompiledMapper {
    folder: PathBuf,
}

impl CompiledMapper {
    fn file(&self, sha256: &str, compatibility: u64) -> PathBuf {
        self.folder.join(format!("{sha256}-{compatibility:016x}"))
    }
}

impl CompiledCode for CompiledMapper {
    fn get(&self, _: &str, sha256: &str, compatibility: u64) -> Option<File> {
        File::open(self.file(sha256, compatibility)).ok()
    }

    /// Keeps the code in place of that of older files.
    fn put(&self, _: &str, sha256: &str, compatibility: u64, code: &[u8]) {
        let _ = std::fs::remove_dir_all(&self.folder);
        std::fs::create_dir_all(&self.folder).unwrap();
        replace_file(&self.folder, &self.file(sha256, compatibility), code).unwrap();
    }

    fn too_much(&self, _: &str, _: &str, _: u64) -> Option<String> {
        None
    }

    fn put_too_much(&self, plugin: &str, _: &str, _: u64, reason: &str) {
        panic!("{plugin}: {reason}");
    }
}

fn payloads(name: &str) -> Vec<PathBuf> {
    let folder = std::fs::read_dir(project(&format!("plugins/{name}/payloads"))).unwrap();
    let is_payload = |path: &PathBuf| {
        let name = path.to_str().unwrap();
        name.ends_with(".json") && !name.ends_with(".expected.json") && !name.ends_with(".event.json")
    };
    let mut files: Vec<_> = folder.map(|file| file.unwrap().path()).filter(is_payload).collect();
    files.sort();
    files
}

/// A call that ended, with the mapper's own errors and results that break the host's rules as failures.
type Outcome = Result<Result<Reading, (FailureCode, String)>, String>;

async fn run(plugin: &Plugin, file: &Path, body: &[u8]) -> Outcome {
    let (id, body) = (uuid::Uuid::nil(), body.to_owned());
    let mut event = Event::dry_run(id, 1_767_225_600_000, "mutants".into(), Vec::new(), body.into());
    let context = std::fs::read(file.with_extension("event.json"));
    let context: Value = context.map_or(Value::Null, |text| serde_json::from_slice(&text).unwrap());
    for (name, value) in context["context"].as_object().into_iter().flatten() {
        event.context.push((name.clone(), value.as_str().unwrap().to_owned()));
    }
    let call = plugin.map(&event, &[], &BTreeMap::new()).await;
    let result = call.result.map_err(|error| format!("{error}; log: {:?}", call.log))?;
    Ok(result.map_err(|failure| (failure.code, failure.message)))
}

fn check(
    original: &Outcome,
    mutant: &Mutant,
    outcome: Outcome,
    essential: &[&str],
    envelopes: &[&str],
) -> Result<(), String> {
    let original = original.as_ref().map_err(|error| format!("the payload itself: {error}"))?;
    let names_essential = |name: &String| essential.iter().any(|known| known.eq_ignore_ascii_case(name));
    let is_envelope = mutant.path.last().is_none_or(|name| envelopes.contains(&name.as_str()));
    let is_essential = is_envelope || mutant.path.iter().any(names_essential);
    let reading = match outcome? {
        Ok(reading) => reading,
        Err((FailureCode::Malformed | FailureCode::Unsupported, _)) if is_essential || original.is_err() => {
            return Ok(());
        }
        Err((code, message)) => return Err(format!("{code}: {message}")),
    };
    let Ok(original) = original else { return Ok(()) };
    if is_essential {
        return Ok(());
    }
    let refs = |reading: &Reading| -> BTreeSet<String> {
        reading.observations.iter().map(|observation| observation.source_ref.clone()).collect()
    };
    let (before, after) = (refs(original), refs(&reading));
    let lost: Vec<&String> = before.difference(&after).collect();
    // A removed item of a list is one incident fewer.
    match lost.len() {
        0 => Ok(()),
        1 if mutant.is_item => Ok(()),
        _ => Err(format!("lost {lost:?}; problems {:?}, skipped {:?}", reading.problems, reading.skipped)),
    }
}
