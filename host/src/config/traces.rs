//! `traces`: where the spans of requests and deliveries go.

use super::scalar::Share;
use super::typed::TypedDeclaration;
use super::value::Interpolated;
use crate::traces::{CollectorOptions, TracesOptions};
use anyhow::{Context, Result};
use reqwest::Url;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// `traces` as declared.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TracesDeclaration {
    otlp: Interpolated<Url>,
    sample: Option<Interpolated<Share>>,
    auth: Option<TypedDeclaration>,
    ca: Option<Interpolated<PathBuf>>,
}

impl TracesDeclaration {
    /// Returns the options, with which the connection can be set up. Relative paths start at `folder`.
    ///
    /// # Errors
    /// Returns an error if a key is wrong. The error shows no secret.
    pub fn into_options(self, folder: &Path) -> Result<TracesOptions> {
        let auth = self.auth.map(|auth| auth.in_folder(folder).into_authentication()).transpose().context("`auth`")?;
        let collector = CollectorOptions {
            url: self.otlp.0,
            authentication: auth.unwrap_or_default(),
            ca: self.ca.map(|path| folder.join(path.0)),
        };
        collector.connect()?;
        Ok(TracesOptions { collector, sample: self.sample.map_or(1.0, |share| share.0.into()) })
    }
}
