//! What a notification says: Handlebars templates over one JSON message.
//!
//! A template is read once, into what rendering needs and no more: every field, helper and date pattern in it is known
//! to be right from then on. Payloads only ever are values: they are escaped for the place they stand in, nothing in
//! them is read as a template, and there are no partials, decorators, raw blocks or unescaped expressions.
//! The `handlebars` crate reads the language; it does not render, because what it makes of missing paths, lists and
//! objects is not what a message should say, and its loops in loops have no bound.
//!
//! - What is missing or null is empty text; in JSON, `{{json …}}` of it is `null`.
//! - Objects and lists are written as compact JSON.
//! - `eq gt gte lt lte ne` compare severity and TLP by rank, times as instants, numbers by value.
//! - False are `false`, null, 0, and empty texts, lists and objects.

mod date_pattern;
mod place;
mod read;
mod url;

pub use place::Place;
pub use url::UrlTemplate;

use super::fields::{Trigger, Words};
use super::filter::{compare_numbers, instant};
use anyhow::{Context, Result, anyhow, ensure};
use date_pattern::DatePattern;
use serde::de::IgnoredAny;
use serde_json::Value;
use std::borrow::Cow;
use std::cmp::Ordering;

/// Bytes of a template.
pub const TEMPLATE_BYTES_MAX: usize = 65_536;
/// Bytes of what is rendered.
pub const RENDERED_BYTES_MAX: usize = 1_048_576;
/// Expressions and blocks that one rendering may take, so that loops in loops end.
const STEPS_MAX: usize = 1_000_000;

/// A template that was read and checked.
#[derive(Clone, Debug)]
pub struct Template {
    nodes: Vec<Node>,
    place: Place,
}

#[derive(Clone, Debug)]
enum Node {
    Text(String),
    /// Escaped for the place.
    Value(Expression),
    /// What a helper made for the place, as it is.
    Verbatim(Expression),
    If {
        test: Expression,
        then: Vec<Node>,
        otherwise: Vec<Node>,
    },
    Each {
        list: Expression,
        body: Vec<Node>,
        otherwise: Vec<Node>,
    },
    With {
        value: Expression,
        body: Vec<Node>,
        otherwise: Vec<Node>,
    },
}

#[derive(Clone, Debug)]
enum Expression {
    Literal(Value),
    /// From the value of the scope that stands so many above the innermost.
    Path(usize, Vec<String>),
    /// `@index` and the like, of the scope that stands so many above the innermost.
    Local(usize, Local),
    Compare(Comparison, Sense, Box<[Expression; 2]>),
    And(Vec<Expression>),
    Or(Vec<Expression>),
    Not(Box<Expression>),
    Lookup(Box<[Expression; 2]>),
    Len(Box<Expression>),
    Default(Vec<Expression>),
    Join(Box<Expression>, String),
    Json(Box<Expression>),
    UrlEncode(Box<Expression>),
    SeverityLabel(Box<Expression>),
    TlpLabel(Box<Expression>),
    Date(Box<Expression>, DatePattern),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Local {
    Index,
    Key,
    First,
    Last,
    /// The key in an object, the index in a list.
    Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

/// As what two values are compared.
#[derive(Clone, Copy, Debug)]
enum Sense {
    Plain,
    Rank(Words),
    Time,
}

/// Where paths begin: the message, or what a block is about.
#[derive(Clone)]
struct Scope<'a> {
    value: Cow<'a, Value>,
    index: usize,
    key: Option<String>,
    last: bool,
}

struct Renderer<'a> {
    place: Place,
    scopes: Vec<Scope<'a>>,
    output: String,
    steps: usize,
}

impl Template {
    /// Reads a template for the messages of a trigger.
    ///
    /// # Errors
    /// What is wrong with it, and what is allowed.
    pub fn new(text: &str, place: Place, trigger: Trigger) -> Result<Self> {
        let template = Self { nodes: read::read(text, place, trigger)?, place };
        // Without blocks every message makes the same document but for its values.
        let is_plain =
            template.nodes.iter().all(|node| matches!(node, Node::Text(_) | Node::Value(_) | Node::Verbatim(_)));
        if place == Place::Json && is_plain {
            template.render(&Value::Null)?;
        }
        Ok(template)
    }

    /// The text for a message.
    ///
    /// # Errors
    /// When it becomes too long, or is no JSON and has to be.
    pub fn render(&self, message: &Value) -> Result<String> {
        let whole = Scope { value: Cow::Borrowed(message), index: 0, key: None, last: false };
        let mut renderer = Renderer { place: self.place, scopes: vec![whole], output: String::new(), steps: 0 };
        renderer.nodes(&self.nodes)?;
        if self.place == Place::Json {
            serde_json::from_str::<IgnoredAny>(&renderer.output).context("what the template makes is no JSON")?;
        }
        Ok(renderer.output)
    }
}

impl<'a> Renderer<'a> {
    fn nodes(&mut self, nodes: &'a [Node]) -> Result<()> {
        nodes.iter().try_for_each(|node| self.node(node))
    }

    fn node(&mut self, node: &'a Node) -> Result<()> {
        self.step()?;
        match node {
            Node::Text(text) => self.write(text),
            Node::Value(expression) => {
                let escaped = self.place.escape(&text_of(&*self.value(expression)?));
                self.write(&escaped)
            }
            Node::Verbatim(expression) => {
                let text = text_of(&*self.value(expression)?).into_owned();
                self.write(&text)
            }
            Node::If { test, then, otherwise } => {
                let holds = is_true(&*self.value(test)?);
                self.nodes(if holds { then } else { otherwise })
            }
            Node::With { value, body, otherwise } => {
                let value = self.value(value)?;
                if !is_true(&value) {
                    return self.nodes(otherwise);
                }
                let around = self.scopes.last().cloned();
                let around = around.ok_or_else(|| anyhow!("there is no scope"))?;
                self.within(Scope { value, ..around }, body)
            }
            Node::Each { list, body, otherwise } => match self.value(list)? {
                list if !is_true(&list) => self.nodes(otherwise),
                Cow::Borrowed(Value::Array(items)) => {
                    let last = items.len() - 1;
                    items
                        .iter()
                        .enumerate()
                        .try_for_each(|(index, item)| self.item(Cow::Borrowed(item), index, None, index == last, body))
                }
                Cow::Owned(Value::Array(items)) => {
                    let last = items.len() - 1;
                    items
                        .into_iter()
                        .enumerate()
                        .try_for_each(|(index, item)| self.item(Cow::Owned(item), index, None, index == last, body))
                }
                Cow::Borrowed(Value::Object(members)) => {
                    let last = members.len() - 1;
                    members.iter().enumerate().try_for_each(|(index, (key, item))| {
                        self.item(Cow::Borrowed(item), index, Some(key.clone()), index == last, body)
                    })
                }
                Cow::Owned(Value::Object(members)) => {
                    let last = members.len() - 1;
                    members.into_iter().enumerate().try_for_each(|(index, (key, item))| {
                        self.item(Cow::Owned(item), index, Some(key), index == last, body)
                    })
                }
                _ => self.nodes(otherwise),
            },
        }
    }

    fn item(
        &mut self,
        value: Cow<'a, Value>,
        index: usize,
        key: Option<String>,
        last: bool,
        body: &'a [Node],
    ) -> Result<()> {
        self.step()?;
        self.within(Scope { value, index, key, last }, body)
    }

    fn within(&mut self, scope: Scope<'a>, body: &'a [Node]) -> Result<()> {
        self.scopes.push(scope);
        let done = self.nodes(body);
        self.scopes.pop();
        done
    }

    fn step(&mut self) -> Result<()> {
        self.steps += 1;
        ensure!(self.steps <= STEPS_MAX, "the template takes more than {STEPS_MAX} steps for this message");
        Ok(())
    }

    fn write(&mut self, text: &str) -> Result<()> {
        ensure!(
            self.output.len() + text.len() <= RENDERED_BYTES_MAX,
            "the template makes more than {RENDERED_BYTES_MAX} bytes of this message"
        );
        self.output.push_str(text);
        Ok(())
    }

    fn value(&mut self, expression: &'a Expression) -> Result<Cow<'a, Value>> {
        self.step()?;
        let text = |text: String| Ok(Cow::Owned(Value::String(text)));
        let flag = |flag: bool| Ok(Cow::Owned(Value::Bool(flag)));
        match expression {
            Expression::Literal(value) => Ok(Cow::Borrowed(value)),
            Expression::Path(up, names) => Ok(self.scope(*up)?.value.find(names)),
            Expression::Local(up, local) => {
                let scope = self.scope(*up)?;
                Ok(Cow::Owned(match local {
                    Local::Index => scope.index.into(),
                    Local::Key => scope.key.clone().map_or(Value::Null, Value::String),
                    Local::Place => scope.key.clone().map_or(scope.index.into(), Value::String),
                    Local::First => (scope.index == 0).into(),
                    Local::Last => scope.last.into(),
                }))
            }
            Expression::Compare(comparison, sense, sides) => {
                let (one, other) = (self.value(&sides[0])?, self.value(&sides[1])?);
                flag(comparison.holds(*sense, &one, &other))
            }
            Expression::And(expressions) => {
                for expression in expressions {
                    if !is_true(&*self.value(expression)?) {
                        return flag(false);
                    }
                }
                flag(true)
            }
            Expression::Or(expressions) => {
                for expression in expressions {
                    if is_true(&*self.value(expression)?) {
                        return flag(true);
                    }
                }
                flag(false)
            }
            Expression::Not(inner) => {
                let holds = is_true(&*self.value(inner)?);
                flag(!holds)
            }
            Expression::Lookup(sides) => {
                let (whole, key) = (self.value(&sides[0])?, self.value(&sides[1])?);
                Ok(whole.find(&[text_of(&key).into_owned()]))
            }
            Expression::Len(inner) => Ok(Cow::Owned(match &*self.value(inner)? {
                Value::Array(items) => items.len().into(),
                Value::Object(members) => members.len().into(),
                Value::String(text) => text.chars().count().into(),
                _ => 0.into(),
            })),
            Expression::Default(expressions) => {
                for expression in expressions {
                    let value = self.value(expression)?;
                    if !value.is_null() && value.as_str() != Some("") {
                        return Ok(value);
                    }
                }
                Ok(Cow::Owned(Value::Null))
            }
            Expression::Join(list, between) => match &*self.value(list)? {
                Value::Array(items) => {
                    let texts: Vec<_> = items.iter().map(text_of).collect();
                    text(texts.join(between.as_str()))
                }
                other => text(text_of(other).into_owned()),
            },
            Expression::Json(inner) => text(json_text(&*self.value(inner)?)),
            Expression::UrlEncode(inner) => text(place::percent_encode(&text_of(&*self.value(inner)?))),
            Expression::SeverityLabel(inner) => {
                let value = self.value(inner)?;
                let word = text_of(&value);
                let mut letters = word.chars();
                text(letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect()))
            }
            Expression::TlpLabel(inner) => match &*text_of(&*self.value(inner)?) {
                "" => text(String::new()),
                word => text(format!("TLP:{}", word.to_uppercase().replace('-', "+"))),
            },
            Expression::Date(inner, pattern) => {
                let time = instant(&*self.value(inner)?);
                text(time.map_or(String::new(), |time| pattern.format(time)))
            }
        }
    }

    fn scope(&self, up: usize) -> Result<&Scope<'a>> {
        let place = self.scopes.len().checked_sub(up + 1);
        place.and_then(|place| self.scopes.get(place)).ok_or_else(|| anyhow!("there is no scope so far out"))
    }
}

/// Finds what a path leads to; what is missing is null.
trait Find<'a> {
    fn find(&self, names: &[String]) -> Cow<'a, Value>;
}

impl<'a> Find<'a> for Cow<'a, Value> {
    fn find(&self, names: &[String]) -> Cow<'a, Value> {
        match self {
            Cow::Borrowed(value) => Cow::Borrowed(descend(value, names)),
            Cow::Owned(value) => Cow::Owned(descend(value, names).clone()),
        }
    }
}

fn descend<'v>(value: &'v Value, names: &[String]) -> &'v Value {
    names.iter().fold(value, |value, name| {
        let next = match value {
            Value::Array(items) => name.parse().ok().and_then(|index: usize| items.get(index)),
            other => other.get(name.as_str()),
        };
        next.unwrap_or(&Value::Null)
    })
}

impl Comparison {
    /// Values that have no order to each other are not equal, and neither is greater.
    fn holds(self, sense: Sense, one: &Value, other: &Value) -> bool {
        let ordering = match sense {
            Sense::Rank(words) => rank(words, one).zip(rank(words, other)).map(|(one, other)| one.cmp(&other)),
            Sense::Time => instant(one).zip(instant(other)).map(|(one, other)| one.cmp(&other)),
            Sense::Plain => match (one, other) {
                (Value::Number(one), Value::Number(other)) => compare_numbers(one, other),
                (Value::String(one), Value::String(other)) => Some(one.cmp(other)),
                (one, other) => (one == other).then_some(Ordering::Equal),
            },
        };
        match self {
            Self::Equal => ordering.map_or(one == other, Ordering::is_eq),
            Self::NotEqual => ordering.map_or(one != other, Ordering::is_ne),
            Self::Greater => ordering.is_some_and(Ordering::is_gt),
            Self::GreaterOrEqual => ordering.is_some_and(Ordering::is_ge),
            Self::Less => ordering.is_some_and(Ordering::is_lt),
            Self::LessOrEqual => ordering.is_some_and(Ordering::is_le),
        }
    }
}

fn rank(words: Words, value: &Value) -> Option<usize> {
    let word = value.as_str()?;
    words().iter().position(|known| known.eq_ignore_ascii_case(word))
}

fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
    }
}

fn text_of(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Null => Cow::Borrowed(""),
        Value::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}

/// A whole JSON value, in which nothing ends a script that it is put into.
fn json_text(value: &Value) -> String {
    // Outside of its strings JSON has none of these characters.
    value
        .to_string()
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

#[cfg(test)]
mod tests;
