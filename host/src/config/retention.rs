//! `retention`: the ages from which rows are removed.

use super::scalar::Age;
use super::value::Interpolated;
use anyhow::{Result, ensure};
use hookmill_store::Retention;
use serde::Deserialize;
use std::time::Duration;

/// `retention` as declared. An absent key keeps rows as long as those that they belong to.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RetentionDeclaration {
    payloads: Option<Interpolated<Age>>,
    events: Option<Interpolated<Age>>,
    incidents: Option<Interpolated<Age>>,
    audit: Option<Interpolated<Age>>,
}

impl RetentionDeclaration {
    /// Returns the ages.
    ///
    /// # Errors
    /// Returns an error if rows are to be kept for longer than those that they belong to.
    pub fn into_retention(self) -> Result<Retention> {
        let declared = |age: &Option<Interpolated<Age>>| age.as_ref().map(|age| age.0.get());
        for (key, age, of, bound) in [
            ("payloads", declared(&self.payloads), "events", declared(&self.events)),
            ("audit", declared(&self.audit), "incidents", declared(&self.incidents)),
        ] {
            let never = Duration::MAX;
            let is_longer = age.is_some_and(|age| age.unwrap_or(never) > bound.flatten().unwrap_or(never));
            ensure!(
                !is_longer,
                "`retention.{key}` is longer than `retention.{of}`, with which they go; shorten or remove `{key}`, or \
                 raise `{of}`"
            );
        }
        let age = |age: Option<Interpolated<Age>>| age.and_then(|age| age.0.get());
        Ok(Retention {
            payloads: age(self.payloads),
            events: age(self.events),
            incidents: age(self.incidents),
            audit: age(self.audit),
        })
    }
}
