//! The file `conformance.json` of a project: what only the author of a mapper knows about its payloads.

use anyhow::{Context, Result};
use serde::Deserialize;
use std::io::ErrorKind;
use std::path::Path;

/// The name of the file, beside the mapper's code.
const FILE: &str = "conformance.json";

/// What the author declares about the payloads.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Declarations {
    /// The members that tell the kind of a payload or identify an incident, in any case. A change of one of them, or of
    /// anything in it, may cost the incident.
    pub essential: Vec<String>,
    /// The members that contain the whole payload. A change of one of them may cost everything; one of something in it may
    /// not.
    pub envelopes: Vec<String>,
    /// Names of payloads about one object, the oldest state first.
    pub updates: Vec<Vec<String>>,
}

impl Declarations {
    /// Reads the file of a project; without one, nothing is declared.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read or has another shape.
    pub fn read(project: &Path) -> Result<Self> {
        let file = project.join(FILE);
        match std::fs::read(&file) {
            Ok(json) => serde_json::from_slice(&json).with_context(|| {
                format!("{} is not {{\"essential\": […], \"envelopes\": […], \"updates\": [[…]]}}", file.display())
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
        }
    }

    pub(super) fn is_essential(&self, member: &str) -> bool {
        self.essential.iter().any(|known| known.eq_ignore_ascii_case(member))
    }
}
