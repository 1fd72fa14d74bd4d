//! The bundled mapper for CrowdStrike as a plugin of Extism, which takes and returns JSON.

#[path = "../../../plugins/crowdstrike/mapper.rs"]
mod crowdstrike;

use extism_pdk::{FnResult, plugin_fn};
use hookmill_sdk::{Event, Incident, Observable, Severity};
use serde::Serialize;

#[derive(Serialize)]
struct Mapped<'a> {
    source_ref: &'a str,
    title: Option<&'a str>,
    description: Option<&'a str>,
    severity: Option<&'a str>,
    occurred_at: Option<&'a str>,
    changed_at: Option<&'a str>,
    external_link: Option<&'a str>,
    tags: &'a [String],
    observables: Vec<Seen<'a>>,
}

#[derive(Serialize)]
struct Seen<'a> {
    data_type: &'a str,
    value: &'a str,
    message: Option<&'a str>,
    ioc: bool,
}

/// Maps one payload.
#[plugin_fn]
pub fn map(payload: Vec<u8>) -> FnResult<Vec<u8>> {
    let outcome = hookmill_sdk::map::<crowdstrike::CrowdStrike>(&Event::new(payload));
    let outcome = outcome.map_err(|error| extism_pdk::Error::msg(format!("{error:?}")))?;
    let incidents: Vec<Mapped> = outcome.incidents.iter().map(mapped).collect();
    Ok(serde_json::to_vec(&incidents)?)
}

fn mapped(incident: &Incident) -> Mapped<'_> {
    Mapped {
        source_ref: &incident.source_ref,
        title: incident.title.as_deref(),
        description: incident.description.as_deref(),
        severity: incident.severity.map(Severity::name),
        occurred_at: incident.occurred_at.as_deref(),
        changed_at: incident.changed_at.as_deref(),
        external_link: incident.external_link.as_deref(),
        tags: &incident.tags,
        observables: incident.observables.iter().map(seen).collect(),
    }
}

fn seen(Observable { data_type, value, message, ioc, .. }: &Observable) -> Seen<'_> {
    Seen { data_type, value, message: message.as_deref(), ioc: *ioc }
}
