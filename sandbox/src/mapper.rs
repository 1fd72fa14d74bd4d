//! Calls mappers: an event in, a checked reading out.

use crate::bindings::wit;
use crate::call::{Call, CallError};
use crate::component::{Interface, Kind};
use crate::outcome_json::outcome_json;
use crate::plugin::Plugin;
use crate::reading::reading;
use crate::sentences::{SENTENCE_BYTES_MAX, cut};
use hookmill_incident::{Event, FailureCode, MappingFailure, NamedValue, Reading, Severity};
use serde_json::Value;
use std::collections::BTreeMap;

type Returned = Result<wit::Outcome, wit::MappingError>;

impl Plugin {
    /// Maps one event with the settings of its source, in an instance of its own.
    ///
    /// The keys of `severity_mapping` are the vendor's severity words in lower case. The failures in the result are the
    /// mapper's own errors (`malformed`, `unsupported`) and results without a single usable incident.
    pub async fn map(
        &self,
        event: &Event,
        settings: &[NamedValue],
        severity_mapping: &BTreeMap<String, Severity>,
    ) -> Call<Result<Result<Reading, MappingFailure>, CallError>> {
        let incidents_max = self.compiled.limits.incidents;
        self.call_mapper(event, settings).await.map_value(|returned| match returned {
            Ok(outcome) => reading(outcome, severity_mapping, incidents_max),
            Err(wit::MappingError::Malformed(text)) => Err(failure(FailureCode::Malformed, &text)),
            Err(wit::MappingError::Unsupported(text)) => Err(failure(FailureCode::Unsupported, &text)),
        })
    }

    /// Maps one event and returns the mapper's result without checks, as JSON in the form of
    /// `hookmill_sdk::testing::outcome_json`.
    pub async fn outcome_json(&self, event: &Event, settings: &[NamedValue]) -> Call<Result<Value, CallError>> {
        self.call_mapper(event, settings).await.map_value(|returned| outcome_json(&returned))
    }

    async fn call_mapper(&self, event: &Event, settings: &[NamedValue]) -> Call<Result<Returned, CallError>> {
        let Interface::Mapper(indices) = &self.compiled.interface else { return self.wrong_kind(Kind::Mapper) };
        let mut id = uuid::Uuid::encode_buffer();
        let id = event.id.hyphenated().encode_lower(&mut id);
        let (headers, context, settings) = (fields(&event.headers), fields(&event.context), fields(settings));
        let argument = wit::Event {
            id,
            source: &event.source,
            received_at: event.received_at.unsigned_abs(),
            content_type: event.content_type.as_deref(),
            headers: &headers,
            context: &context,
            settings: &settings,
            body: &event.body,
        };
        let call = async |store: &mut _, instance: &_| {
            indices.load(&mut *store, instance)?.call_to_incidents(store, argument.clone()).await
        };
        self.compiled.call(event.received_at, event.id, call).await
    }
}

fn failure(code: FailureCode, text: &str) -> MappingFailure {
    MappingFailure { code, message: cut(text, SENTENCE_BYTES_MAX).to_owned() }
}

fn fields(values: &[NamedValue]) -> Vec<wit::FieldParam<'_>> {
    values.iter().map(|(name, value)| wit::FieldParam { name, value }).collect()
}
