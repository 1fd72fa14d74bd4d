//! The settings of a source from its declaration.

use super::limits::Limits;
use super::source::SourceDeclaration;
use super::value::SECRET_BYTES_MIN;
use crate::rate_limit::RateLimit;
use crate::source::{KeyServer, OnUnmappable, PluginChoice, SourceSettings};
use anyhow::{Context, Result, ensure};
use hookmill_connection::ConnectionOptions;
use hookmill_signatures::{Scheme, Secret};
use reqwest::Url;
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

/// Shorter secrets cause a warning.
const SECRET_BYTES_GOOD: usize = 24;

impl SourceDeclaration {
    /// Returns the settings of a source with these secrets, and adds warnings about settings that are valid but
    /// probably not intended.
    ///
    /// # Errors
    /// Returns an error if the settings cannot work.
    pub fn into_settings(
        mut self,
        name: &str,
        secrets: &[Secret],
        limits: &Limits,
        warnings: &mut Vec<String>,
    ) -> Result<SourceSettings> {
        let kind = self.kind();
        let scheme = Scheme::declare(&self.scheme(), secrets)?;
        check_secret_length(&scheme, name, warnings)?;
        check_tolerance(&scheme, limits.dedup.retention)?;
        if self.auto_triage.as_ref().is_some_and(|flag| flag.0) && self.playbook.is_none() {
            warnings.push(format!("source `{name}` has auto_triage and no `playbook`: nothing is triaged"));
        }
        // The keys of the connection to the server of an issuer. `with_files` has made the path absolute.
        let connection = self.take_connection(Path::new(""))?;
        let key_server = key_server(&scheme, connection)?;
        let payload_bytes_max = self.payload_mib.map_or(limits.payload_bytes, |mib| mib.0.bytes());
        ensure!(
            payload_bytes_max <= limits.body_memory_bytes,
            "its `payload_mib` is more than `limits.body_memory_mib`; lower `payload_mib` or raise `body_memory_mib`"
        );
        let on_unmappable = if scheme.is_vendor_preset() { OnUnmappable::Accept } else { OnUnmappable::Reject };
        Ok(SourceSettings {
            scheme,
            secrets_end: secrets_end(secrets),
            allow_ips: self.allow_ips.into_iter().map(|network| network.0).collect(),
            plugin: self.plugin.map_or(PluginChoice::Auto, |plugin| plugin.0),
            auto_triage: self.auto_triage.is_some_and(|flag| flag.0),
            playbook: self.playbook.map(|name| name.0.into()),
            severity_mapping: (self.severity_mapping.into_iter())
                .map(|(name, severity)| (name.to_lowercase(), severity.0))
                .collect(),
            settings: self.settings.into_iter().map(|(name, value)| (name, value.0)).collect(),
            payload_bytes_max,
            rate_limit: RateLimit::per_second(self.requests_per_second.map(|count| count.0)),
            on_unmappable: self.on_unmappable.map_or(on_unmappable, |answer| answer.0),
            silent_after: self.silent_after.map(|time| time.0.into()),
            kind,
            key_server,
        })
    }
}

/// Returns the place of the keys that the scheme needs.
fn key_server(scheme: &Scheme, connection: ConnectionOptions) -> Result<Option<KeyServer>> {
    let ConnectionOptions { allow_networks, proxy, ca, .. } = connection;
    let Some(text) = scheme.key_url() else {
        ensure!(
            allow_networks.is_empty() && proxy.is_none() && ca.is_none(),
            "the host fetches nothing for scheme `{}`, so that `allow_networks`, `proxy` and `ca` have no effect; remove \
             them, or set `allow_ips` to limit who may send",
            scheme.name()
        );
        return Ok(None);
    };
    let url: Url = text.parse().with_context(|| format!("`jwks_url`: `{text}` is not a URL"))?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let is_loopback = host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback());
    ensure!(
        url.scheme() == "https" || (url.scheme() == "http" && is_loopback),
        "`jwks_url`: `{text}` does not begin with https:, so that others could replace the keys on their way; http: is \
         for this machine only"
    );
    ensure!(
        url.username().is_empty() && url.password().is_none(),
        "`jwks_url` contains a user name; the keys of an issuer are public"
    );
    let ca = ca.map(|file| {
        let content =
            std::fs::read(&file.path).with_context(|| format!("cannot read the `ca` {}", file.path.display()))?;
        anyhow::Ok((file, Sha256::digest(content).into()))
    });
    let server = KeyServer { url, allow_networks, proxy, ca: ca.transpose()? };
    if server.proxy.is_some() || server.ca.is_some() {
        server.connection()?;
    }
    Ok(Some(server))
}

/// Returns when the last of the secrets ends; `None` if one has no end, or there are none.
fn secrets_end(secrets: &[Secret]) -> Option<i64> {
    let ends: Option<Vec<i64>> = secrets.iter().map(Secret::not_after_ms).collect();
    ends?.into_iter().max()
}

fn check_secret_length(scheme: &Scheme, name: &str, warnings: &mut Vec<String>) -> Result<()> {
    let Some(bytes) = scheme.shortest_secret_bytes() else { return Ok(()) };
    ensure!(bytes >= SECRET_BYTES_MIN, "the secret has {bytes} bytes; use at least {SECRET_BYTES_GOOD} random bytes");
    if bytes < SECRET_BYTES_GOOD {
        warnings.push(format!("the secret of source `{name}` has {bytes} bytes; use at least {SECRET_BYTES_GOOD}"));
    }
    Ok(())
}

/// A signature that stays valid for longer than it is remembered could be replayed.
fn check_tolerance(scheme: &Scheme, retention: Duration) -> Result<()> {
    let Some(tolerance_s) = scheme.tolerance_s() else { return Ok(()) };
    // A signature is valid for its tolerance before and after its time.
    ensure!(
        u128::from(tolerance_s.unsigned_abs()) * 2_000 <= retention.as_millis(),
        "signatures are valid for {} s in total, but `dedup_retention` forgets them after {} s, so that they could be used \
         again; raise `dedup_retention`, or lower the scheme's `tolerance`",
        2 * tolerance_s,
        retention.as_secs()
    );
    Ok(())
}
