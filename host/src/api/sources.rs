//! `/api/sources`, and `POST /api/webhooks`, which registers a source.

pub(super) mod dry_run;
mod find;

use super::request_body::{body, optional_body};
use super::shapes::{
    IssuedSource, List, NewSource, PluginNames, SecretRotation, ShownOrigin, ShownSource, SourceError, SourcePatch,
    SourceSecret, UnusableSource, UsableSource,
};
use super::time::timestamp;
use crate::config::{declaration_as_text, period, source_yaml};
use crate::extract::{Bytes, Path};
use crate::host::Host;
use crate::http_error::HttpError;
use crate::registry::{Issued, RegisterError};
use crate::source::{PluginChoice, SecretNote, Source, SourceOrigin};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use find::find;
use hookmill_signatures::has_secret_in_url;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The time for which a replaced secret stays valid if the request has no `overlap`.
const OVERLAP: Duration = Duration::from_secs(24 * 60 * 60);
const OVERLAP_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);

pub(super) async fn list(State(host): State<Arc<Host>>) -> Result<Json<List<ShownSource>>, HttpError> {
    let (sources, unusable) = (host.sources.all(), host.sources.unusable());
    let positions = host.store.cursors().await?;
    host.registry.refresh_tallies(&sources.values().map(|source| &**source).collect::<Vec<_>>()).await?;
    let usable = sources.values().map(|source| shown_with_position(&host, source, &positions));
    Ok(Json(List::complete(usable.chain(unusable.iter().map(|(name, why)| shown_unusable(name, why))))))
}

pub(super) async fn show(
    State(host): State<Arc<Host>>,
    Path(name): Path<String>,
) -> Result<Json<ShownSource>, HttpError> {
    if let Some(why) = host.sources.unusable().get(&name) {
        return Ok(Json(shown_unusable(&name, why)));
    }
    let source = find(&host, &name)?;
    host.registry.refresh_tallies(&[&*source]).await?;
    Ok(Json(shown_with_position(&host, &source, &host.store.cursors().await?)))
}

pub(super) async fn register(
    State(host): State<Arc<Host>>,
    Bytes(bytes): Bytes,
) -> Result<(StatusCode, Json<IssuedSource>), HttpError> {
    let NewSource { source, secret, declaration } = body(&bytes)?;
    let says_scheme = declaration.contains_key("scheme");
    let registering = host.clone();
    let issued = complete(async move { registering.registry.register(source, declaration, secret).await }).await?;
    let mut answer = shown_issued(&host, &issued);
    answer.suggested_scheme = vendors_scheme(&host, &issued.source).filter(|_| !says_scheme);
    Ok((StatusCode::CREATED, Json(answer)))
}

pub(super) async fn change(
    State(host): State<Arc<Host>>,
    Path(name): Path<String>,
    Bytes(bytes): Bytes,
) -> Result<Json<UsableSource>, HttpError> {
    let SourcePatch { secret, changes } = body(&bytes)?;
    if let Some(key) = ["source", "name"].into_iter().find(|key| changes.contains_key(*key)) {
        return Err(HttpError::InvalidRequest(format!("`{key}` cannot be changed; remove the source and add another")));
    }
    let changing = host.clone();
    let source = complete(async move { changing.registry.change(&name, changes, secret).await }).await?;
    Ok(Json(shown(&host, &source)))
}

pub(super) async fn remove(State(host): State<Arc<Host>>, Path(name): Path<String>) -> Result<StatusCode, HttpError> {
    complete(async move { host.registry.remove(&name).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn rotate(
    State(host): State<Arc<Host>>,
    Path(name): Path<String>,
    Bytes(bytes): Bytes,
) -> Result<Json<IssuedSource>, HttpError> {
    let SecretRotation { secret, overlap } = optional_body(&bytes)?;
    let overlap = overlap.map(|text| period(&text).map_err(HttpError::InvalidRequest)).transpose()?;
    let overlap = overlap.unwrap_or(OVERLAP);
    if overlap > OVERLAP_MAX {
        return Err(HttpError::InvalidRequest("`overlap` is at most 365d".into()));
    }
    let own = host.clone();
    let issued = complete(async move { own.registry.rotate(&name, secret, overlap).await }).await?;
    Ok(Json(shown_issued(&host, &issued)))
}

/// Completes a change even if the client disconnects. An interrupted change could be in the database but not in memory.
async fn complete<T: Send + 'static>(
    change: impl Future<Output = Result<T, RegisterError>> + Send + 'static,
) -> Result<T, HttpError> {
    Ok(tokio::spawn(change).await.map_err(|error| HttpError::Internal(error.into()))??)
}

fn shown_issued(host: &Host, issued: &Issued) -> IssuedSource {
    let secret = issued.secret.as_ref().map(|secret| secret.expose().to_owned());
    IssuedSource { source: shown(host, &issued.source), secret, suggested_scheme: None }
}

/// Returns the scheme that the source's own mapper recommends, if it differs from the source's scheme.
fn vendors_scheme(host: &Host, source: &Source) -> Option<String> {
    let plugin = match &source.settings.plugin {
        PluginChoice::Auto => &*source.name,
        PluginChoice::Named(names) => names.first()?,
        PluginChoice::None => return None,
    };
    let scheme = host.loaded.plugins().get(plugin)?.description.scheme.clone()?;
    (scheme != source.settings.scheme.name()).then_some(scheme)
}

fn shown(host: &Host, source: &Source) -> UsableSource {
    let (settings, tally) = (&source.settings, source.tally.now());
    let (origin, created_at, secrets, yaml) = match &source.origin {
        SourceOrigin::Configured => (ShownOrigin::Config, None, &[][..], None),
        SourceOrigin::Registered { created_at, secrets, declaration } => {
            let yaml = source_yaml(&source.name, &declaration_as_text(declaration));
            (ShownOrigin::Registered, Some(*created_at), &secrets[..], Some(yaml))
        }
    };
    UsableSource {
        name: source.name.to_string(),
        kind: settings.kind,
        origin,
        created_at: created_at.map(timestamp),
        scheme: (!settings.is_pulled()).then(|| settings.scheme.name().to_owned()),
        secret_in_url: has_secret_in_url(settings.scheme.name()),
        secrets: secrets.iter().map(shown_secret).collect(),
        plugin: plugin_names(&settings.plugin),
        auto_triage: settings.auto_triage,
        playbook: settings.playbook.clone(),
        playbook_error: host.triager.missing_playbook(source),
        severity_mapping: settings.severity_mapping.clone(),
        settings: settings.settings.iter().cloned().collect(),
        on_unmappable: settings.on_unmappable,
        silent_after_s: settings.silent_after.map(|time| time.as_secs()),
        allow_ips: settings.allow_ips.clone(),
        requests_per_second: settings.rate_limit.requests_per_second(),
        payload_mib: settings.payload_bytes_max / (1024 * 1024),
        yaml,
        received: tally.received,
        accepted: tally.accepted,
        duplicates: tally.duplicates,
        refused: tally.refused,
        last_received_at: tally.last_received_at.map(timestamp),
        silent_since: host.store.silent_since(&source.name).map(timestamp),
        last_success: tally.last_success.map(timestamp),
        last_error: tally.last_error.map(|error| SourceError {
            at: Some(timestamp(error.at)),
            code: error.code,
            message: error.message,
        }),
        position: None,
    }
}

/// Returns a source with the position up to which it was read, if the host reads it.
fn shown_with_position(host: &Host, source: &Source, positions: &BTreeMap<String, String>) -> ShownSource {
    let mut shown = shown(host, source);
    shown.position = source.settings.is_pulled().then(|| positions.get(&*source.name).cloned());
    ShownSource::Usable(Box::new(shown))
}

fn shown_unusable(name: &str, why: &str) -> ShownSource {
    let last_error = SourceError { at: None, code: "unusable".to_owned(), message: why.to_owned() };
    ShownSource::Unusable(UnusableSource { name: name.to_owned(), origin: ShownOrigin::Registered, last_error })
}

fn shown_secret(secret: &SecretNote) -> SourceSecret {
    let SecretNote { id, created_at, not_after } = *secret;
    SourceSecret { id, created_at: timestamp(created_at), not_after: not_after.map(timestamp) }
}

fn plugin_names(choice: &PluginChoice) -> PluginNames {
    match choice {
        PluginChoice::Auto => PluginNames::One("auto".to_owned()),
        PluginChoice::None => PluginNames::One("none".to_owned()),
        PluginChoice::Named(names) if names.len() == 1 => PluginNames::One(names[0].clone()),
        PluginChoice::Named(names) => PluginNames::Several(names.clone()),
    }
}
