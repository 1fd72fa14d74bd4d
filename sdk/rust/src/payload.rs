//! Reading the event that a mapper is given.

use crate::{Event, Field, MappingError};
use serde::Deserialize;

impl Event {
    /// An event with this body and nothing else known, for tests.
    pub fn new(body: impl Into<Vec<u8>>) -> Self {
        Self {
            id: "018cc251-f400-7000-8000-000000000001".into(),
            source: "test".into(),
            received_at: 1_704_067_200_000,
            content_type: Some("application/json".into()),
            headers: Vec::new(),
            context: Vec::new(),
            settings: Vec::new(),
            body: body.into(),
        }
    }

    /// Reads the body as JSON.
    ///
    /// # Errors
    /// [`MappingError::Malformed`] when it is not JSON; [`MappingError::Unsupported`], naming what was `expected`,
    /// when it is JSON of another shape.
    pub fn json<'a, T: Deserialize<'a>>(&'a self, expected: &str) -> Result<T, MappingError> {
        let body = self.body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&self.body);
        // Checking UTF-8 once is quicker than string by string, as `from_slice` does.
        let read = std::str::from_utf8(body).map_or_else(|_| serde_json::from_slice(body), serde_json::from_str);
        read.map_err(|error| {
            if error.is_data() {
                MappingError::Unsupported(format!("expected {expected}: {error}"))
            } else {
                MappingError::Malformed(format!("not JSON: {error}; expected {expected}"))
            }
        })
    }

    /// The first header of this name, which is given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        first(&self.headers, name)
    }

    /// What is known of the delivery by this name, such as `query.team` or `sse.event`.
    pub fn context_value(&self, name: &str) -> Option<&str> {
        first(&self.context, name)
    }

    /// The first setting of this name.
    pub fn setting(&self, name: &str) -> Option<&str> {
        first(&self.settings, name)
    }
}

fn first<'a>(fields: &'a [Field], name: &str) -> Option<&'a str> {
    fields.iter().find(|field| field.name == name).map(|field| field.value.as_str())
}
