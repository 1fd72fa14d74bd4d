//! Traces: the way of a payload, from the request that brought it to the attempts of its deliveries, as spans of
//! [OpenTelemetry](https://opentelemetry.io).
//!
//! Spans hold names of the configuration and of plugins, ids, sizes and codes: never a payload, a secret, a path or a
//! query of a URL, or a text of a plugin, a sender or a receiver. While traces are off, every value of this module is
//! empty, and each of its functions costs one branch.

mod collector;
mod exporter;

pub use collector::CollectorOptions;
pub use exporter::ExportTask;

use crate::metrics::Metrics;
use anyhow::Result;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use collector::Collector;
use exporter::SpanQueue;
use hookmill_connection::Failure;
use hookmill_incident::{Clock, PluginVersion};
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{
    Link, Span as _, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt, Tracer, TracerProvider,
};
use opentelemetry::{Context, InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};
use reqwest::{Method, Response, Url};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use uuid::Uuid;

/// The header with the trace and the span of the caller: [W3C Trace Context](https://www.w3.org/TR/trace-context/).
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The options of traces.
#[derive(Clone, Debug, PartialEq)]
pub struct TracesOptions {
    /// The collector that gets the spans.
    pub collector: CollectorOptions,
    /// The share of requests that are traced, of those whose sender does not decide about it.
    pub sample: f64,
}

/// The source of spans; empty while traces are off.
#[derive(Clone, Debug, Default)]
pub struct Traces(Option<SdkTracer>);

/// The part of a trace under which further spans begin; empty outside of a trace.
#[derive(Clone, Debug, Default)]
pub struct Trace(Option<Box<Parent>>);

#[derive(Clone, Debug)]
struct Parent {
    tracer: SdkTracer,
    context: Context,
}

/// A span that has begun. It ends when it is dropped.
#[derive(Debug, Default)]
pub struct Span(Option<Box<Running>>);

#[derive(Debug)]
struct Running {
    tracer: SdkTracer,
    span: opentelemetry_sdk::trace::Span,
}

impl Traces {
    /// Starts the task that sends spans to the collector. Returns the source of spans, and the task.
    ///
    /// # Errors
    /// Returns an error if the connection to the collector cannot be set up.
    pub fn start(options: &TracesOptions, clock: Clock, metrics: Arc<Metrics>) -> Result<(Self, ExportTask)> {
        let (queue, task) = SpanQueue::start(Collector::new(&options.collector, clock)?, metrics);
        let sampler = Sampler::TraceIdRatioBased(options.sample);
        let provider = SdkTracerProvider::builder()
            .with_sampler(Sampler::ParentBased(Box::new(sampler)))
            .with_span_processor(queue)
            .build();
        let scope = InstrumentationScope::builder("hookmill").with_version(env!("CARGO_PKG_VERSION")).build();
        Ok((Self(Some(provider.tracer_with_scope(scope))), task))
    }

    /// Begins the span of a `POST` to a route. It continues the trace of the sender if the request names one.
    pub fn request(&self, route: &'static str, headers: &HeaderMap) -> Span {
        let Some(tracer) = &self.0 else { return Span::default() };
        let mut named = headers.get_all(TRACEPARENT).iter();
        let traceparent = named.next().filter(|_| named.next().is_none()).and_then(|value| value.to_str().ok());
        let builder = SpanBuilder::from_name(format!("POST {route}")).with_kind(SpanKind::Server);
        let mut span = Span::begin(tracer, builder, &context(traceparent));
        span.set("http.request.method", "POST");
        span.set("http.route", route);
        span
    }

    /// Begins the span of reading new items of a source, which is a trace of its own.
    pub fn pull(&self, source: &str) -> Span {
        let Some(tracer) = &self.0 else { return Span::default() };
        let mut span = Span::begin(tracer, SpanBuilder::from_name("pull"), &Context::new());
        span.set("hookmill.source", source);
        span
    }

    /// Begins the span of work that was stored for later, in the trace of the event that caused the work.
    pub fn later(&self, name: &'static str, traceparent: Option<&str>) -> Span {
        let Some(tracer) = &self.0 else { return Span::default() };
        let context = context(traceparent);
        let cause = context.span().span_context().clone();
        let mut builder = SpanBuilder::from_name(name);
        if cause.is_valid() {
            builder = builder.with_links(vec![Link::with_context(cause)]);
        }
        Span::begin(tracer, builder, &context)
    }

    /// Returns the trace of a stored event.
    pub fn resume(&self, traceparent: Option<&str>) -> Trace {
        let (Some(tracer), Some(traceparent)) = (&self.0, traceparent) else { return Trace::default() };
        Trace(Some(Box::new(Parent { tracer: tracer.clone(), context: context(Some(traceparent)) })))
    }
}

impl Trace {
    /// Begins the span of a step.
    pub fn step(&self, name: &'static str) -> Span {
        let Some(parent) = &self.0 else { return Span::default() };
        Span::begin(&parent.tracer, SpanBuilder::from_name(name), &parent.context)
    }

    /// Begins the span of a request to another server.
    pub fn call(&self, method: &Method, url: &Url) -> Span {
        let Some(parent) = &self.0 else { return Span::default() };
        let builder = SpanBuilder::from_name(method.to_string()).with_kind(SpanKind::Client);
        let mut span = Span::begin(&parent.tracer, builder, &parent.context);
        span.set("http.request.method", method.as_str());
        span.set("server.address", url.host_str().unwrap_or_default());
        span.set("server.port", url.port_or_known_default().map_or(0, i64::from));
        span
    }

    /// Returns the value of the header [`TRACEPARENT`] under which spans of others continue this trace.
    pub fn traceparent(&self) -> Option<String> {
        self.0.as_ref().map(|parent| traceparent(parent.context.span().span_context()))
    }
}

impl Span {
    fn begin(tracer: &SdkTracer, builder: SpanBuilder, context: &Context) -> Self {
        let span = tracer.build_with_context(builder, context);
        Self(Some(Box::new(Running { tracer: tracer.clone(), span })))
    }

    /// Sets an attribute.
    pub fn set(&mut self, name: &'static str, value: impl IntoValue) {
        if let Some(running) = &mut self.0
            && running.span.is_recording()
        {
            running.span.set_attribute(KeyValue::new(name, value.into_value()));
        }
    }

    /// Marks the span as failed. The code is one of a few words.
    pub fn fail(&mut self, code: &str) {
        if let Some(running) = &mut self.0 {
            running.span.set_status(Status::Error { description: Cow::default() });
            self.set("error.type", code);
        }
    }

    /// Sets the plugin that was called, and the memory that the call used.
    pub fn plugin(&mut self, version: &PluginVersion, memory_bytes: usize) {
        self.set("hookmill.plugin.name", &*version.name);
        self.set("hookmill.plugin.version", &*version.version);
        self.set("hookmill.plugin.memory_bytes", memory_bytes as i64);
    }

    /// Sets the status of an answer, given or received.
    pub fn answer(&mut self, status: StatusCode) {
        self.set("http.response.status_code", i64::from(status.as_u16()));
    }

    /// Sets the result of a request to another server.
    pub fn sent(&mut self, sent: &Result<Response, Failure>) {
        match sent {
            Err(failure) => self.fail(failure.code.as_str()),
            Ok(response) => {
                self.answer(response.status());
                if response.status() >= StatusCode::BAD_REQUEST {
                    self.fail(response.status().as_str());
                }
            }
        }
    }

    /// Returns the trace under this span.
    pub fn trace(&self) -> Trace {
        let parent = self.0.as_ref().map(|running| Parent {
            tracer: running.tracer.clone(),
            context: Context::new().with_remote_span_context(running.span.span_context().clone()),
        });
        Trace(parent.map(Box::new))
    }

    /// Returns the header under which the receiver of a request continues this trace.
    pub fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        let text = traceparent(self.0.as_ref()?.span.span_context());
        HeaderValue::try_from(text).ok().map(|value| (TRACEPARENT, value))
    }
}

/// A value of an attribute.
pub trait IntoValue {
    /// Returns the value as OpenTelemetry has it.
    fn into_value(self) -> Value;
}

impl IntoValue for &str {
    fn into_value(self) -> Value {
        self.to_owned().into()
    }
}

impl IntoValue for Uuid {
    fn into_value(self) -> Value {
        self.to_string().into()
    }
}

impl IntoValue for i64 {
    fn into_value(self) -> Value {
        self.into()
    }
}

/// Returns the context of a [`TRACEPARENT`]; an empty one if the text is not valid.
fn context(traceparent: Option<&str>) -> Context {
    let Some(text) = traceparent else { return Context::new() };
    let carrier = HashMap::from([(TRACEPARENT.to_string(), text.to_owned())]);
    TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier)
}

/// Returns the text of a [`TRACEPARENT`].
fn traceparent(span: &SpanContext) -> String {
    format!("00-{}-{}-{:02x}", span.trace_id(), span.span_id(), span.trace_flags())
}
