//! The interface of mappers.

use crate::{Description, Event, MappingError, Outcome};

/// Maps the payloads of one vendor to incidents.
pub trait Mapper {
    /// Returns the plugin's description; [`description!`](crate::description) adds the crate's version.
    fn describe() -> Description;

    /// Maps one payload. Must be deterministic: the same event gives the same outcome.
    ///
    /// # Errors
    /// Returns [`MappingError::Unsupported`] if the payload is of a kind that this mapper does not know; the text
    /// should name what was expected. Returns [`MappingError::Malformed`] if the payload is of a known kind but broken.
    fn map(event: &Event) -> Result<Outcome, MappingError>;
}
