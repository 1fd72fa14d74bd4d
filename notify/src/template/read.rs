//! From Handlebars' own tree of a template to what is rendered, with every name in it checked.

use super::date_pattern::DatePattern;
use super::{Comparison, Expression, Local, Node, Place, Sense, TEMPLATE_BYTES_MAX};
use crate::fields::{Shape, Trigger, nearest};
use crate::filter::{instant, known_word};
use anyhow::{Result, anyhow, bail, ensure};
use handlebars::template::{BlockParam, HelperTemplate, Parameter, TemplateElement};
use handlebars::{Path, PathSeg};
use hookmill_incident::{Severity, Tlp};
use serde_json::Value;

/// Blocks within blocks, and brackets within brackets.
const DEPTH_MAX: usize = 16;
const HELPERS: [&str; 21] = [
    "if",
    "unless",
    "each",
    "with",
    "eq",
    "ne",
    "gt",
    "gte",
    "lt",
    "lte",
    "and",
    "or",
    "not",
    "lookup",
    "len",
    "default",
    "join",
    "json",
    "urlencode",
    "severityLabel",
    "tlpLabel",
];
const DATE_FORMAT: &str = "dateFormat";

/// Reads a template's text.
pub(super) fn read(text: &str, place: Place, trigger: Trigger) -> Result<Vec<Node>> {
    ensure!(
        text.len() <= TEMPLATE_BYTES_MAX,
        "a template has at most {TEMPLATE_BYTES_MAX} bytes; this one has {}",
        text.len()
    );
    check_depth(text)?;
    let parsed = handlebars::Template::compile(text)
        .map_err(|error| anyhow!("it is no template: {}", on_one_line(&error.to_string())))?;
    let message =
        Scope { shape: Some(trigger.message()), path: String::new(), is_item: false, value_name: None, key_name: None };
    let mut reader = Reader { place, trigger, scopes: vec![message], json: JsonState::default() };
    let nodes = reader.nodes(&parsed)?;
    ensure!(place != Place::Json || !reader.json.in_string, "a string of the template's JSON is not closed");
    Ok(nodes)
}

/// The parser calls itself for whatever stands in brackets and blocks: what is too deep has to be refused before it.
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
        ensure!(blocks <= DEPTH_MAX, "blocks stand in each other at most {DEPTH_MAX} deep");
        ensure!(brackets <= DEPTH_MAX, "an expression has at most {DEPTH_MAX} brackets");
    }
    Ok(())
}

fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Where paths begin, as far as it is known.
#[derive(Clone)]
struct Scope {
    /// `None` when it cannot be told.
    shape: Option<Shape>,
    /// How it is called in messages.
    path: String,
    /// It is an element of a list or object, or within one without another scope.
    is_item: bool,
    /// `as |value key|`.
    value_name: Option<String>,
    key_name: Option<String>,
}

/// Where in a JSON document the template's text has come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct JsonState {
    in_string: bool,
    after_backslash: bool,
}

impl JsonState {
    fn read(&mut self, text: &str) {
        for byte in text.bytes() {
            match byte {
                _ if self.after_backslash => self.after_backslash = false,
                b'\\' if self.in_string => self.after_backslash = true,
                b'"' => self.in_string = !self.in_string,
                _ => {}
            }
        }
    }
}

struct Reader {
    place: Place,
    trigger: Trigger,
    scopes: Vec<Scope>,
    json: JsonState,
}

/// An expression, and what it comes to as far as that is known.
type Typed = (Expression, Option<Shape>);

impl Reader {
    fn nodes(&mut self, template: &handlebars::Template) -> Result<Vec<Node>> {
        let mut nodes = Vec::with_capacity(template.elements.len());
        for element in &template.elements {
            match element {
                TemplateElement::RawString(text) => {
                    self.place.check(text)?;
                    self.json.read(text);
                    nodes.push(Node::Text(text.clone()));
                }
                TemplateElement::Expression(helper) => nodes.push(self.expression(helper)?),
                TemplateElement::HelperBlock(block) => nodes.push(self.block(block)?),
                TemplateElement::Comment(_) => {}
                TemplateElement::HtmlExpression(helper) => {
                    let name = helper.name.as_name().unwrap_or("...");
                    bail!(
                        "what `{{{{{{{name}}}}}}}` or `{{{{&{name}}}}}` writes is not escaped; write `{{{{{name}}}}}`"
                    )
                }
                TemplateElement::DecoratorExpression(_) | TemplateElement::DecoratorBlock(_) => {
                    bail!("decorators (`{{{{*...}}}}`) are not taken")
                }
                TemplateElement::PartialExpression(_) | TemplateElement::PartialBlock(_) => {
                    bail!("partials (`{{{{> ...}}}}`) are not taken: a template is one text")
                }
                _ => bail!("something in it is not known here"),
            }
        }
        Ok(nodes)
    }

    fn expression(&mut self, helper: &HelperTemplate) -> Result<Node> {
        let is_plain = helper.params.is_empty() && helper.hash.is_empty();
        let (expression, _) = match &helper.name {
            name if is_plain => self.parameter(name)?,
            _ => self.call(helper)?,
        };
        let shown = helper.name.as_name().unwrap_or("...");
        let is_json = matches!(expression, Expression::Json(_));
        if self.place == Place::Json {
            ensure!(
                !self.json.after_backslash,
                "`{{{{{shown} ...}}}}` stands behind a backslash in the template's JSON"
            );
            ensure!(
                !(self.json.in_string && is_json),
                "`{{{{json ...}}}}` writes its own quotes and stands inside a string of the template's JSON; take the \
                 quotes around it away, or write the plain value"
            );
            ensure!(
                self.json.in_string || is_json,
                "`{{{{{shown}}}}}` stands outside of a string of the template's JSON; write `{{{{json {shown}}}}}`, or \
                 put quotes around it"
            );
        }
        Ok(match expression {
            Expression::Json(_) if matches!(self.place, Place::Json | Place::Text) => Node::Verbatim(expression),
            // All of it is unreserved characters and percent signs.
            Expression::UrlEncode(_) => Node::Verbatim(expression),
            _ => Node::Value(expression),
        })
    }

    fn block(&mut self, block: &HelperTemplate) -> Result<Node> {
        let name = block.name.as_name().unwrap_or_default().to_owned();
        let takes_hash = block.hash.is_empty();
        ensure!(takes_hash, "`{name}` takes no named values");
        match name.as_str() {
            "each" | "with" => {
                let (value, shape) = self.only(&name, &block.params)?;
                let scope = self.inner_scope(block, &name, &block.params[0], shape)?;
                let before = self.json;
                self.scopes.push(scope);
                let body = self.branch(block.template.as_ref(), &name, before);
                self.scopes.pop();
                let (body, otherwise) = (body?, self.branch(block.inverse.as_ref(), &name, before)?);
                Ok(match name.as_str() {
                    "each" => Node::Each { list: value, body, otherwise },
                    _ => Node::With { value, body, otherwise },
                })
            }
            "if" | "unless" | "eq" | "ne" | "gt" | "gte" | "lt" | "lte" | "and" | "or" | "not" => {
                ensure!(block.block_param.is_none(), "`{name}` names nothing by `as |...|`");
                let test = match name.as_str() {
                    "if" => self.only(&name, &block.params)?.0,
                    "unless" => Expression::Not(Box::new(self.only(&name, &block.params)?.0)),
                    _ => self.call(block)?.0,
                };
                // Both branches begin where the block does, and have to end at one place.
                let before = self.json;
                let then =
                    block.template.as_ref().map(|template| self.nodes(template)).transpose()?.unwrap_or_default();
                let after = std::mem::replace(&mut self.json, before);
                let otherwise = self.branch(block.inverse.as_ref(), &name, after)?;
                Ok(Node::If { test, then, otherwise })
            }
            _ => {
                self.check_helper(&name)?;
                bail!("`{name}` is no block; write it without `#`")
            }
        }
    }

    /// Reads a branch that has to end where `after` is.
    fn branch(&mut self, template: Option<&handlebars::Template>, name: &str, after: JsonState) -> Result<Vec<Node>> {
        let nodes = template.map(|template| self.nodes(template)).transpose()?.unwrap_or_default();
        ensure!(
            self.place != Place::Json || self.json == after,
            "a branch of `{{{{#{name}}}}}` begins or ends a string of the template's JSON that another one does not"
        );
        Ok(nodes)
    }

    fn inner_scope(
        &self,
        block: &HelperTemplate,
        name: &str,
        about: &Parameter,
        shape: Option<Shape>,
    ) -> Result<Scope> {
        let around = self.scopes.last().ok_or_else(|| anyhow!("there is no scope"))?;
        let path = about.as_name().unwrap_or("this").to_owned();
        let inner = match (name, shape) {
            ("each", Some(Shape::List(element))) => Some(*element),
            ("each", Some(Shape::Texts)) => Some(Shape::Text),
            ("each", Some(Shape::Open | Shape::Object(_)) | None) => None,
            ("each", Some(_)) => bail!("`{path}` is no list"),
            (_, shape) => shape.filter(|shape| !matches!(shape, Shape::Open)),
        };
        let (value_name, key_name) = match &block.block_param {
            Some(BlockParam::Single(value)) => (value.as_name().map(str::to_owned), None),
            Some(BlockParam::Pair((value, key))) => {
                (value.as_name().map(str::to_owned), key.as_name().map(str::to_owned))
            }
            _ => (None, None),
        };
        Ok(Scope { shape: inner, path, is_item: name == "each" || around.is_item, value_name, key_name })
    }

    fn parameter(&self, parameter: &Parameter) -> Result<Typed> {
        match parameter {
            Parameter::Literal(value) => Ok((Expression::Literal(value.clone()), None)),
            Parameter::Path(path) => self.path(path, parameter.as_name().unwrap_or_default()),
            Parameter::Name(name) => self.names(0, vec![name.clone()], name, true),
            Parameter::Subexpression(inner) => match inner.as_element() {
                TemplateElement::Expression(helper) if helper.params.is_empty() && helper.hash.is_empty() => {
                    self.parameter(&helper.name)
                }
                TemplateElement::Expression(helper) => self.call(helper),
                _ => bail!("an expression in brackets calls a helper, such as (gt object.severity \"low\")"),
            },
            _ => bail!("something in it is not known here"),
        }
    }

    fn path(&self, path: &Path, shown: &str) -> Result<Typed> {
        match path {
            Path::Local((up, name, _)) => self.local(*up, name),
            Path::Relative((segments, _)) => {
                let names = segments.iter().filter_map(|segment| match segment {
                    PathSeg::Named(name) => Some(name.clone()),
                    _ => None,
                });
                let names: Vec<String> = names.collect();
                let from_root = shown.trim_start_matches("this.").trim_start_matches("./").starts_with("@root");
                let up = if from_root { self.scopes.len() - 1 } else { segments.len() - names.len() };
                let can_be_named = up == 0 && !from_root && !shown.starts_with("this") && !shown.starts_with("./");
                self.names(up, names, shown, can_be_named)
            }
        }
    }

    fn local(&self, up: usize, name: &str) -> Result<Typed> {
        if name == "root" {
            return Ok((Expression::Path(self.scopes.len() - 1, Vec::new()), Some(self.trigger.message())));
        }
        let place = self.scopes.len().checked_sub(up + 1).and_then(|place| self.scopes.get(place));
        ensure!(place.is_some_and(|scope| scope.is_item), "`@{name}` stands for something only within `{{{{#each}}}}`");
        let (local, shape) = match name {
            "index" => (Local::Index, Shape::Number),
            "key" => (Local::Key, Shape::Text),
            "first" => (Local::First, Shape::Flag),
            "last" => (Local::Last, Shape::Flag),
            _ => bail!("there is no `@{name}`; there are: @index, @key, @first, @last, @root"),
        };
        Ok((Expression::Local(up, local), Some(shape)))
    }

    /// `names` from the scope that stands `up` above the innermost, or from what a block called by the first of them.
    fn names(&self, up: usize, mut names: Vec<String>, shown: &str, can_be_named: bool) -> Result<Typed> {
        let named = |scope: &Scope| {
            let first = names.first().filter(|_| can_be_named);
            first
                .is_some_and(|first| scope.value_name.as_ref() == Some(first) || scope.key_name.as_ref() == Some(first))
        };
        let mut up = up;
        if let Some(distance) = self.scopes.iter().rev().position(named) {
            let first = names.remove(0);
            up = distance;
            let scope = &self.scopes[self.scopes.len() - 1 - up];
            if scope.key_name.as_ref() == Some(&first) {
                ensure!(names.is_empty(), "`{first}` is a place and has nothing in it");
                return Ok((Expression::Local(up, Local::Place), None));
            }
        }
        let place = self.scopes.len().checked_sub(up + 1);
        let scope = place.and_then(|place| self.scopes.get(place));
        let scope =
            scope.ok_or_else(|| anyhow!("`{shown}` leads out of the template: there are fewer blocks around it"))?;
        let (mut shape, mut outside) = (scope.shape, scope.path.clone());
        for index in 0..names.len() {
            if let Some(Shape::Texts) = shape {
                // Names of headers may have dots in them.
                let rest = names.split_off(index).join(".");
                names.push(rest);
                shape = Some(Shape::Text);
                break;
            }
            let name = &names[index];
            shape = match shape {
                Some(shape) => Some(shape.member(name, &outside)?),
                None => None,
            };
            outside = if outside.is_empty() { name.clone() } else { format!("{outside}.{name}") };
        }
        Ok((Expression::Path(up, names), shape))
    }

    fn check_helper(&self, name: &str) -> Result<()> {
        let known = || HELPERS.into_iter().chain([DATE_FORMAT]);
        if known().any(|known| known == name) {
            return Ok(());
        }
        match nearest(name, known()) {
            Some(near) => bail!("there is no helper `{name}`; did you mean `{near}`?"),
            None => bail!("there is no helper `{name}`; there are: {}, {DATE_FORMAT}", HELPERS.join(", ")),
        }
    }

    fn call(&self, helper: &HelperTemplate) -> Result<Typed> {
        let name = helper.name.as_name().unwrap_or_default();
        self.check_helper(name)?;
        ensure!(helper.hash.is_empty(), "`{name}` takes no named values");
        let parameters = &helper.params;
        let one = || Ok::<_, anyhow::Error>(Box::new(self.only(name, parameters)?.0));
        let several = || -> Result<Vec<Expression>> {
            ensure!(parameters.len() >= 2, "`{name}` takes two values or more; here are {}", parameters.len());
            parameters.iter().map(|parameter| Ok(self.parameter(parameter)?.0)).collect()
        };
        let comparison = match name {
            "eq" => Some(Comparison::Equal),
            "ne" => Some(Comparison::NotEqual),
            "gt" => Some(Comparison::Greater),
            "gte" => Some(Comparison::GreaterOrEqual),
            "lt" => Some(Comparison::Less),
            "lte" => Some(Comparison::LessOrEqual),
            _ => None,
        };
        if let Some(comparison) = comparison {
            return self.compare(name, comparison, parameters);
        }
        let (expression, shape) = match name {
            "and" => (Expression::And(several()?), Some(Shape::Flag)),
            "or" => (Expression::Or(several()?), Some(Shape::Flag)),
            "not" => (Expression::Not(one()?), Some(Shape::Flag)),
            "default" => (Expression::Default(several()?), None),
            "len" => (Expression::Len(one()?), Some(Shape::Number)),
            "json" => (Expression::Json(one()?), Some(Shape::Text)),
            "urlencode" => (Expression::UrlEncode(one()?), Some(Shape::Text)),
            "severityLabel" => {
                let (inner, shape) = self.only(name, parameters)?;
                self.check_words(name, shape, || Severity::ALL.iter().map(|word| word.as_str()).collect())?;
                (Expression::SeverityLabel(Box::new(inner)), Some(Shape::Text))
            }
            "tlpLabel" => {
                let (inner, shape) = self.only(name, parameters)?;
                self.check_words(name, shape, || Tlp::ALL.iter().map(|word| word.as_str()).collect())?;
                (Expression::TlpLabel(Box::new(inner)), Some(Shape::Text))
            }
            "lookup" => {
                let [whole, key] = self.two(name, parameters)?;
                let shape = match (whole.1, &key.0) {
                    (Some(shape), Expression::Literal(Value::String(key))) => {
                        Some(shape.member(key, parameters[0].as_name().unwrap_or_default())?)
                    }
                    (Some(Shape::List(element)), _) => Some(*element),
                    _ => None,
                };
                (Expression::Lookup(Box::new([whole.0, key.0])), shape)
            }
            "join" => {
                let [list, between] = self.two(name, parameters)?;
                ensure!(
                    matches!(list.1, None | Some(Shape::Open | Shape::List(_))),
                    "`{}` is no list to join",
                    parameters[0].as_name().unwrap_or("...")
                );
                let Expression::Literal(Value::String(between)) = between.0 else {
                    bail!("`join` takes a list and a text in quotes, such as {{{{join object.tags \", \"}}}}")
                };
                (Expression::Join(Box::new(list.0), between), Some(Shape::Text))
            }
            DATE_FORMAT => (self.date(parameters)?, Some(Shape::Text)),
            _ => bail!("`{name}` is a block; write it as `{{{{#{name} ...}}}}...{{{{/{name}}}}}`"),
        };
        Ok((expression, shape))
    }

    fn check_words(&self, name: &str, shape: Option<Shape>, words: impl Fn() -> Vec<&'static str>) -> Result<()> {
        let fits = match shape {
            Some(Shape::Rank(of_field)) => of_field() == words(),
            None | Some(Shape::Open) => true,
            Some(_) => false,
        };
        ensure!(fits, "`{name}` takes one of: {}; its field holds something else", words().join(", "));
        Ok(())
    }

    fn date(&self, parameters: &[Parameter]) -> Result<Expression> {
        let usage = "`dateFormat` takes a time, a pattern in quotes and maybe a zone in quotes, such as \
                     {{dateFormat object.created_at \"yyyy-MM-dd HH:mm\"}}";
        let literal = |parameter: &Parameter| match parameter {
            Parameter::Literal(Value::String(text)) => Ok(text.clone()),
            _ => Err(anyhow!(usage)),
        };
        ensure!((2..=3).contains(&parameters.len()), usage);
        let (time, shape) = self.parameter(&parameters[0])?;
        let shown = parameters[0].as_name().unwrap_or("...");
        ensure!(matches!(shape, None | Some(Shape::Time | Shape::Open)), "`{shown}` is no time");
        let zone = parameters.get(2).map(literal).transpose()?;
        Ok(Expression::Date(Box::new(time), DatePattern::new(&literal(&parameters[1])?, zone.as_deref())?))
    }

    fn compare(&self, name: &str, comparison: Comparison, parameters: &[Parameter]) -> Result<Typed> {
        let [one, other] = self.two(name, parameters)?;
        let sense = match (one.1, other.1) {
            (Some(Shape::Rank(words)), _) | (_, Some(Shape::Rank(words))) => Sense::Rank(words),
            (Some(Shape::Time), _) | (_, Some(Shape::Time)) => Sense::Time,
            _ => Sense::Plain,
        };
        let words = match (one.1, other.1) {
            (Some(Shape::Rank(words) | Shape::Word(words)), _) | (_, Some(Shape::Rank(words) | Shape::Word(words))) => {
                Some(words)
            }
            _ => None,
        };
        for side in [&one.0, &other.0] {
            let Expression::Literal(literal) = side else { continue };
            match (literal, words, sense) {
                (Value::String(word), Some(words), _) => drop(known_word(words, word)?),
                (literal, Some(words), _) => bail!("`{name}` compares {literal} with one of: {}", words().join(", ")),
                (literal, _, Sense::Time) => ensure!(
                    instant(literal).is_some(),
                    "`{name}` compares a time with {literal}; write it such as \"2026-01-31T08:00:00Z\""
                ),
                _ => {}
            }
        }
        Ok((Expression::Compare(comparison, sense, Box::new([one.0, other.0])), Some(Shape::Flag)))
    }

    fn only(&self, name: &str, parameters: &[Parameter]) -> Result<Typed> {
        match parameters {
            [one] => self.parameter(one),
            _ => bail!("`{name}` takes one value; here are {}", parameters.len()),
        }
    }

    fn two(&self, name: &str, parameters: &[Parameter]) -> Result<[Typed; 2]> {
        match parameters {
            [one, other] => Ok([self.parameter(one)?, self.parameter(other)?]),
            _ => bail!("`{name}` takes two values; here are {}", parameters.len()),
        }
    }
}
