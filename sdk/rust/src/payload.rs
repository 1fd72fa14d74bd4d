//! Methods of [`Event`], the argument of a mapper.

use crate::fault::fault;
use crate::object::ByName;
use crate::one_pass;
use crate::reading::{is_lenient, reason_of};
use crate::{Event, Field, MappingError};
use serde::Deserialize;

impl Event {
    /// Returns an event with this body, without headers, context and settings: for tests.
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

    /// Returns this event with another body, without a copy of its own: the memory of an instance is never freed.
    pub fn with_body(&self, body: impl Into<Vec<u8>>) -> Self {
        Self {
            id: self.id.clone(),
            source: self.source.clone(),
            received_at: self.received_at,
            content_type: self.content_type.clone(),
            headers: self.headers.clone(),
            context: self.context.clone(),
            settings: self.settings.clone(),
            body: body.into(),
        }
    }

    /// Parses the body as JSON. `expected` names the expected payload in error texts.
    ///
    /// The body may begin with a byte order mark. Faults in it need no attention: after an error, [`map`](crate::map)
    /// repairs the body and calls the mapper again for each JSON value in it.
    ///
    /// # Errors
    /// Returns [`MappingError::Malformed`] if the body is not JSON, and [`MappingError::Unsupported`] if the JSON does
    /// not have the shape of `T`.
    pub fn json<'a, T: Deserialize<'a>>(&'a self, expected: &str) -> Result<T, MappingError> {
        let body = self.body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&self.body);
        // Checking UTF-8 once is faster than checking each string, as `from_slice` does.
        let text = std::str::from_utf8(body);
        if let Some(ByName(value)) = text.ok().filter(|_| !is_lenient()).and_then(one_pass::read) {
            return Ok(value);
        }
        let read: Result<ByName<T>, _> = text.map_or_else(|_| serde_json::from_slice(body), serde_json::from_str);
        read.map(|value| value.0).map_err(|error| {
            fault();
            if error.is_data() {
                MappingError::Unsupported(format!("expected {expected}: {}", reason_of(&error)))
            } else {
                MappingError::Malformed(format!("not JSON: {error}; expected {expected}"))
            }
        })
    }

    /// Returns the first header with this name, which must be in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        first(&self.headers, name)
    }

    /// Returns the first context value with this name, such as `query.team` or `sse.event`.
    pub fn context_value(&self, name: &str) -> Option<&str> {
        first(&self.context, name)
    }

    /// Returns the first setting with this name.
    pub fn setting(&self, name: &str) -> Option<&str> {
        first(&self.settings, name)
    }
}

fn first<'a>(fields: &'a [Field], name: &str) -> Option<&'a str> {
    fields.iter().find(|field| field.name == name).map(|field| field.value.as_str())
}
