//! The elements of a template: texts, expressions and blocks.

use super::helpers::check_name;
use super::json_position::JsonPosition;
use super::scopes::Scopes;
use crate::Trigger;
use crate::template::output_context::OutputContext;
use crate::template::syntax::{Expression, Node};
use anyhow::{Result, anyhow, bail, ensure};
use handlebars::Template;
use handlebars::template::{HelperTemplate, TemplateElement};

/// A parser of one template.
pub(super) struct TemplateParser {
    context: OutputContext,
    scopes: Scopes,
    json: JsonPosition,
}

impl TemplateParser {
    pub fn new(context: OutputContext, trigger: Trigger) -> Self {
        Self { context, scopes: Scopes::new(trigger), json: JsonPosition::default() }
    }

    /// Parses a whole template.
    pub fn template(mut self, template: &Template) -> Result<Vec<Node>> {
        let nodes = self.nodes(template)?;
        ensure!(!self.is_json() || !self.json.in_string, "a string of the template's JSON is not closed");
        Ok(nodes)
    }

    fn is_json(&self) -> bool {
        self.context == OutputContext::Json
    }

    fn nodes(&mut self, template: &Template) -> Result<Vec<Node>> {
        let mut nodes = Vec::with_capacity(template.elements.len());
        for element in &template.elements {
            match element {
                TemplateElement::RawString(text) => {
                    self.context.check(text)?;
                    self.json.advance(text);
                    nodes.push(Node::Text(text.clone()));
                }
                TemplateElement::Expression(helper) => nodes.push(self.expression(helper)?),
                TemplateElement::HelperBlock(block) => nodes.push(self.block(block)?),
                TemplateElement::Comment(_) => {}
                unsupported => return Err(refusal(unsupported)),
            }
        }
        Ok(nodes)
    }

    fn expression(&mut self, helper: &HelperTemplate) -> Result<Node> {
        let is_plain = helper.params.is_empty() && helper.hash.is_empty();
        let (expression, _) = if is_plain { self.scopes.parameter(&helper.name)? } else { self.scopes.call(helper)? };
        if self.is_json() {
            let is_json = matches!(expression, Expression::Json(_));
            check_in_json(self.json, helper.name.as_name().unwrap_or("..."), is_json)?;
        }
        Ok(match expression {
            Expression::Json(_) if matches!(self.context, OutputContext::Json | OutputContext::Text) => {
                Node::Verbatim(expression)
            }
            // The result is made of unreserved characters and percent signs, which no output context escapes further.
            Expression::UrlEncode(_) => Node::Verbatim(expression),
            _ => Node::Value(expression),
        })
    }

    fn block(&mut self, block: &HelperTemplate) -> Result<Node> {
        let name = block.name.as_name().unwrap_or_default();
        ensure!(block.hash.is_empty(), "`{name}` takes no named parameters");
        match name {
            "each" | "with" => self.scoped_block(name, block),
            "if" | "unless" | "eq" | "ne" | "gt" | "gte" | "lt" | "lte" | "and" | "or" | "not" => {
                self.conditional_block(name, block)
            }
            _ => {
                check_name(name)?;
                bail!("`{name}` is not a block; write it without `#`")
            }
        }
    }

    fn scoped_block(&mut self, name: &str, block: &HelperTemplate) -> Result<Node> {
        let (value, field_type) = self.scopes.only(name, &block.params)?;
        let scope = self.scopes.within(block, name, &block.params[0], field_type)?;
        let before = self.json;
        self.scopes.enter(scope);
        let body = self.branch(block.template.as_ref(), name, before);
        self.scopes.leave();
        let (body, otherwise) = (body?, self.branch(block.inverse.as_ref(), name, before)?);
        Ok(match name {
            "each" => Node::Each { list: value, body, otherwise },
            _ => Node::With { value, body, otherwise },
        })
    }

    fn conditional_block(&mut self, name: &str, block: &HelperTemplate) -> Result<Node> {
        ensure!(block.block_param.is_none(), "`{name}` names nothing by `as |...|`");
        let condition = match name {
            "if" => self.scopes.only(name, &block.params)?.0,
            "unless" => Expression::Not(Box::new(self.scopes.only(name, &block.params)?.0)),
            _ => self.scopes.call(block)?.0,
        };
        // Both branches begin at the position of the block, and must end at the same one.
        let before = self.json;
        let then = block.template.as_ref().map(|template| self.nodes(template)).transpose()?.unwrap_or_default();
        let after = std::mem::replace(&mut self.json, before);
        let otherwise = self.branch(block.inverse.as_ref(), name, after)?;
        Ok(Node::If { condition, then, otherwise })
    }

    /// Parses a branch that must end at the position `after`.
    fn branch(&mut self, template: Option<&Template>, name: &str, after: JsonPosition) -> Result<Vec<Node>> {
        let nodes = template.map(|template| self.nodes(template)).transpose()?.unwrap_or_default();
        ensure!(
            !self.is_json() || self.json == after,
            "a branch of `{{{{#{name}}}}}` opens or closes a string of the template's JSON that another one does not"
        );
        Ok(nodes)
    }
}

/// Checks that an expression may stand at a position of a JSON document.
fn check_in_json(position: JsonPosition, shown: &str, is_json: bool) -> Result<()> {
    ensure!(!position.after_backslash, "`{{{{{shown} ...}}}}` follows a backslash in the template's JSON");
    ensure!(
        !(position.in_string && is_json),
        "`{{{{json ...}}}}` writes its own quotes but is within a string of the template's JSON; remove the quotes \
         around it, or write the plain value"
    );
    ensure!(
        position.in_string || is_json,
        "`{{{{{shown}}}}}` is outside of a string of the template's JSON; write `{{{{json {shown}}}}}`, or put quotes \
         around it"
    );
    Ok(())
}

/// Returns the error for an element that templates cannot have.
fn refusal(element: &TemplateElement) -> anyhow::Error {
    match element {
        TemplateElement::HtmlExpression(helper) => {
            let name = helper.name.as_name().unwrap_or("...");
            anyhow!(
                "`{{{{{{{name}}}}}}}` and `{{{{&{name}}}}}` would write the value without escaping; write \
                 `{{{{{name}}}}}`"
            )
        }
        TemplateElement::DecoratorExpression(_) | TemplateElement::DecoratorBlock(_) => {
            anyhow!("decorators (`{{{{*...}}}}`) are not supported")
        }
        TemplateElement::PartialExpression(_) | TemplateElement::PartialBlock(_) => {
            anyhow!("partials (`{{{{> ...}}}}`) are not supported: a template is one text")
        }
        _ => anyhow!("the template contains an unsupported expression"),
    }
}
