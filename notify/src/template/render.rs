//! The rendering of a template's tree.

use super::evaluate::{ValueScope, ValueScopes};
use super::output_context::OutputContext;
use super::syntax::{Expression, Node};
use super::values::{is_true, text_of};
use anyhow::{Result, ensure};
use serde_json::Value;
use std::borrow::Cow;

/// The greatest length of a rendered text, in bytes.
pub(super) const RENDERED_BYTES_MAX: usize = 1_048_576;

/// Returns the text of a template for a message.
///
/// # Errors
/// Returns an error if the text or the rendering becomes too long.
pub(super) fn render(nodes: &[Node], context: OutputContext, message: &Value) -> Result<String> {
    let mut renderer = Renderer { context, scopes: ValueScopes::new(message), output: String::new() };
    renderer.nodes(nodes)?;
    Ok(renderer.output)
}

struct Renderer<'a> {
    context: OutputContext,
    scopes: ValueScopes<'a>,
    output: String,
}

impl<'a> Renderer<'a> {
    fn nodes(&mut self, nodes: &'a [Node]) -> Result<()> {
        nodes.iter().try_for_each(|node| self.node(node))
    }

    fn node(&mut self, node: &'a Node) -> Result<()> {
        self.scopes.step()?;
        match node {
            Node::Text(text) => self.write(text),
            Node::Value(expression) => {
                let value = self.scopes.evaluate(expression)?;
                self.write(&self.context.escape(&text_of(&value)))
            }
            Node::Verbatim(expression) => {
                let value = self.scopes.evaluate(expression)?;
                self.write(&text_of(&value))
            }
            Node::If { condition, then, otherwise } => {
                let holds = is_true(&*self.scopes.evaluate(condition)?);
                self.nodes(if holds { then } else { otherwise })
            }
            Node::With { value, body, otherwise } => {
                let value = self.scopes.evaluate(value)?;
                if !is_true(&value) {
                    return self.nodes(otherwise);
                }
                let around = self.scopes.scope(0)?.clone();
                self.within(ValueScope { value, ..around }, body)
            }
            Node::Each { list, body, otherwise } => self.each(list, body, otherwise),
        }
    }

    fn each(&mut self, list: &'a Expression, body: &'a [Node], otherwise: &'a [Node]) -> Result<()> {
        match self.scopes.evaluate(list)? {
            list if !is_true(&list) => self.nodes(otherwise),
            Cow::Borrowed(Value::Array(items)) => {
                self.items(items.iter().map(|item| (None, Cow::Borrowed(item))), body)
            }
            Cow::Owned(Value::Array(items)) => self.items(items.into_iter().map(|item| (None, Cow::Owned(item))), body),
            Cow::Borrowed(Value::Object(members)) => {
                self.items(members.iter().map(|(key, item)| (Some(key.clone()), Cow::Borrowed(item))), body)
            }
            Cow::Owned(Value::Object(members)) => {
                self.items(members.into_iter().map(|(key, item)| (Some(key), Cow::Owned(item))), body)
            }
            _ => self.nodes(otherwise),
        }
    }

    fn items(
        &mut self,
        items: impl ExactSizeIterator<Item = (Option<String>, Cow<'a, Value>)>,
        body: &'a [Node],
    ) -> Result<()> {
        let count = items.len();
        for (index, (key, value)) in items.enumerate() {
            self.scopes.step()?;
            self.within(ValueScope { value, index, key, is_last: index + 1 == count }, body)?;
        }
        Ok(())
    }

    fn within(&mut self, scope: ValueScope<'a>, body: &'a [Node]) -> Result<()> {
        self.scopes.enter(scope);
        let done = self.nodes(body);
        self.scopes.leave();
        done
    }

    fn write(&mut self, text: &str) -> Result<()> {
        ensure!(
            self.output.len() + text.len() <= RENDERED_BYTES_MAX,
            "the rendered message has more than {RENDERED_BYTES_MAX} bytes"
        );
        self.output.push_str(text);
        Ok(())
    }
}
