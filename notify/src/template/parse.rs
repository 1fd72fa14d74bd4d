//! The parser of templates: from Handlebars' own tree to the tree that is rendered, with every name checked.

mod blocks;
mod helpers;
mod json_position;
mod scopes;

use super::output_context::OutputContext;
use super::syntax::Node;
use crate::Trigger;
use anyhow::{Result, anyhow, ensure};
use blocks::TemplateParser;

/// The greatest length of a template, in bytes.
pub(super) const TEMPLATE_BYTES_MAX: usize = 65_536;
/// The greatest depth of blocks within blocks, and of brackets within brackets.
const DEPTH_MAX: usize = 16;

/// Parses the text of a template for the messages of a trigger.
pub(super) fn parse(text: &str, context: OutputContext, trigger: Trigger) -> Result<Vec<Node>> {
    ensure!(
        text.len() <= TEMPLATE_BYTES_MAX,
        "a template has at most {TEMPLATE_BYTES_MAX} bytes; this one has {}",
        text.len()
    );
    check_depth(text)?;
    let parsed = handlebars::Template::compile(text)
        .map_err(|error| anyhow!("the template has a syntax error: {}", on_one_line(&error.to_string())))?;
    TemplateParser::new(context, trigger).template(&parsed)
}

/// Checks the depth before the parser of `handlebars`, which is recursive, reads the text.
fn check_depth(text: &str) -> Result<()> {
    let (mut blocks, mut brackets) = (0_usize, 0_usize);
    for tag in text.split("{{").skip(1) {
        let tag = tag.trim_start_matches(['{', '~']);
        match tag.as_bytes().first() {
            Some(b'#') => blocks += 1,
            Some(b'/') => blocks = blocks.saturating_sub(1),
            _ => {}
        }
        let inside = tag.split("}}").next().unwrap_or_default();
        brackets = brackets.max(inside.bytes().filter(|byte| matches!(byte, b'(' | b'[' | b'{')).count());
        ensure!(blocks <= DEPTH_MAX, "blocks can be nested at most {DEPTH_MAX} deep");
        ensure!(brackets <= DEPTH_MAX, "an expression can have at most {DEPTH_MAX} brackets");
    }
    Ok(())
}

fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
