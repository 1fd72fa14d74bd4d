//! The texts of notifications: Handlebars templates over one JSON message.
//!
//! A template is parsed once into a tree in which every field, helper and date pattern is known to be valid. Payloads
//! only contribute values: values are escaped for the output context, a value is never read as a template, and there
//! are no partials, decorators, raw blocks or unescaped expressions. The `handlebars` crate only parses the language.
//! Its renderer is not used, because its texts for missing paths, lists and objects do not fit messages, and its loops
//! within loops have no bound.
//!
//! - A missing or null value is empty text; `{{json …}}` of it is `null`.
//! - Objects and lists are written as compact JSON.
//! - `eq gt gte lt lte ne` compare severity and TLP by rank, times as points in time, numbers by value.
//! - `false`, null, 0, and empty texts, lists and objects count as false.

mod date_pattern;
mod escape;
mod evaluate;
mod output_context;
mod parse;
mod render;
mod syntax;
mod values;

#[cfg(test)]
mod tests;

pub use output_context::OutputContext;

use crate::Trigger;
use anyhow::{Context, Result};
use serde::de::IgnoredAny;
use serde_json::Value;
use syntax::Node;

/// A template that was parsed and checked.
#[derive(Clone, Debug)]
pub struct Template {
    nodes: Vec<Node>,
    context: OutputContext,
}

impl Template {
    /// Parses a template for the messages of a trigger.
    ///
    /// # Errors
    /// Returns an error that explains the mistake and lists the allowed values.
    pub fn new(text: &str, context: OutputContext, trigger: Trigger) -> Result<Self> {
        let template = Self { nodes: parse::parse(text, context, trigger)?, context };
        // Without blocks, all messages give the same JSON document except for its values.
        let is_plain =
            template.nodes.iter().all(|node| matches!(node, Node::Text(_) | Node::Value(_) | Node::Verbatim(_)));
        if context == OutputContext::Json && is_plain {
            check_json(&template.render(&Value::Null)?)?;
        }
        Ok(template)
    }

    /// Returns whether the text contains values or blocks, so that messages decide what becomes of it.
    pub fn has_values(&self) -> bool {
        self.nodes.iter().any(|node| !matches!(node, Node::Text(_)))
    }

    /// Renders the text for a message. A text of spaces alone is not parsed as JSON: its blocks left everything out.
    ///
    /// # Errors
    /// Returns an error if the text becomes too long, or should be JSON and is not.
    pub fn render(&self, message: &Value) -> Result<String> {
        let text = render::render(&self.nodes, self.context, message)?;
        if self.context == OutputContext::Json && !text.trim().is_empty() {
            check_json(&text)?;
        }
        Ok(text)
    }
}

fn check_json(text: &str) -> Result<()> {
    serde_json::from_str::<IgnoredAny>(text).map(drop).context("the rendered template is not JSON")
}
