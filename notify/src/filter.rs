//! Which messages a notification is for: TheHive's filter operators over one JSON message.
//!
//! A filter is read once, with every field and every value checked, and then only answers yes or no.
//!
//! - What is missing compares as false: only `_ne`, `_not` and `_empty` can be true of it.
//! - A path through a list is true when it is true of one element. `_ne` is `_not` of `_eq`: of no element.
//! - `_eq`, `_ne` and `_in` are exact; `_like`, `_startsWith`, `_endsWith` and `_match` do not look at case.
//! - Severity and TLP compare by rank, times as instants, numbers by value whatever their type, text by its characters.

use super::fields::{Field, Shape, Trigger, Words, is_index, nearest};
use anyhow::{Context, Result, anyhow, bail, ensure};
use jiff::Timestamp;
use serde_json::{Map, Number, Value};
use std::cmp::Ordering;

/// Filters within filters.
const DEPTH_MAX: usize = 16;
/// Operators of one filter, all in all.
const NODES_MAX: usize = 256;
/// Bytes of a value to compare with, or of a path.
const VALUE_BYTES_MAX: usize = 1_024;
/// Values of one `_in`.
const VALUES_MAX: usize = 1_000;
const OPERATORS: [&str; 21] = [
    "_and",
    "_or",
    "_not",
    "_eq",
    "_is",
    "_ne",
    "_gt",
    "_gte",
    "_lt",
    "_lte",
    "_between",
    "_in",
    "_like",
    "_startsWith",
    "_endsWith",
    "_match",
    "_has",
    "_empty",
    "_id",
    "_arrayMatch",
    "_contains",
];

/// What a message has to be.
#[derive(Clone, Debug)]
pub struct Filter(Node);

#[derive(Clone, Debug)]
enum Node {
    Always,
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    Has(Field),
    Empty(Field),
    /// One of the values at the path passes.
    Test(Field, Test),
    /// One element of the list at the path passes.
    Element(Field, Box<Node>),
}

#[derive(Clone, Debug)]
enum Test {
    Order(Comparison, Operand),
    /// From the first on, and before the second.
    Between(Operand, Operand),
    In(Vec<Operand>),
    Like(Pattern),
    StartsWith(String),
    EndsWith(String),
    /// Each of these is a word of the text.
    Match(Vec<String>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Equal,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

/// A value of the filter, in the terms in which its field is compared.
#[derive(Clone, Debug)]
enum Operand {
    Rank(Words, usize),
    Time(Timestamp),
    /// In a vendor's own fields a time is only known by its look.
    TimeOrText(Timestamp, String),
    Text(String),
    Number(Number),
    Flag(bool),
}

impl Filter {
    /// Reads a filter for the messages of a trigger.
    ///
    /// # Errors
    /// What is wrong, with the path to its place in the filter, and what is allowed.
    pub fn parse(filter: &Value, trigger: Trigger) -> Result<Self> {
        let mut reader = Reader { trigger, nodes: 0 };
        Ok(Self(reader.node(filter, trigger.message(), "filter", 1)?))
    }

    /// Whether a message is what it has to be.
    pub fn matches(&self, message: &Value) -> bool {
        self.0.matches(message)
    }

    /// Whether it looks at a payload's body, which takes time to read.
    pub fn looks_at_body(&self) -> bool {
        self.0.looks_at_body()
    }
}

impl Node {
    fn looks_at_body(&self) -> bool {
        let is_body = |field: &Field| field.segments.iter().take(2).eq(["event", "body"]);
        match self {
            Self::Always => false,
            Self::All(nodes) | Self::Any(nodes) => nodes.iter().any(Self::looks_at_body),
            Self::Not(node) => node.looks_at_body(),
            Self::Has(field) | Self::Empty(field) | Self::Test(field, _) | Self::Element(field, _) => is_body(field),
        }
    }
}

struct Reader {
    trigger: Trigger,
    nodes: usize,
}

impl Reader {
    /// Reads the filter that stands in `place`, whose paths begin in `scope`.
    fn node(&mut self, filter: &Value, scope: Shape, place: &str, depth: usize) -> Result<Node> {
        ensure!(depth <= DEPTH_MAX, "{place}: filters stand in each other at most {DEPTH_MAX} deep");
        self.nodes += 1;
        ensure!(self.nodes <= NODES_MAX, "{place}: a filter has at most {NODES_MAX} operators");
        let members = filter.as_object().ok_or_else(|| {
            anyhow!("{place}: a filter is an object such as {{_eq: {{_field: object.status, _value: new}}}}")
        })?;
        let Some((name, argument)) = members.iter().next() else { return Ok(Node::Always) };
        if members.contains_key("_field") {
            return self.comparison("_eq", filter, scope).with_context(|| place.to_owned()).map_err(flat);
        }
        ensure!(
            members.len() == 1,
            "{place}: one operator is taken and here are {}; put several into {{_and: [...]}}",
            members.len()
        );
        let inner = format!("{place}.{name}");
        match name.as_str() {
            "_and" => Ok(Node::All(self.nodes(argument, scope, &inner, depth)?)),
            "_or" => Ok(Node::Any(self.nodes(argument, scope, &inner, depth)?)),
            "_not" => Ok(Node::Not(Box::new(self.node(argument, scope, &inner, depth + 1)?))),
            "_contains" | "_arrayMatch" => self.element(argument, scope, &inner, depth),
            "_any" if argument.as_object().is_some_and(Map::is_empty) => Ok(Node::Always),
            "_any" => bail!("{inner}: it takes nothing: {{_any: {{}}}}"),
            name if !name.starts_with('_') => {
                self.comparison("_eq", filter, scope).with_context(|| place.to_owned()).map_err(flat)
            }
            name => self.comparison(name, argument, scope).with_context(|| inner).map_err(flat),
        }
    }

    fn nodes(&mut self, list: &Value, scope: Shape, place: &str, depth: usize) -> Result<Vec<Node>> {
        let list = list.as_array().filter(|list| !list.is_empty());
        let list = list.ok_or_else(|| anyhow!("{place}: it takes a list of at least one filter"))?;
        let nodes = list.iter().enumerate();
        nodes.map(|(index, filter)| self.node(filter, scope, &format!("{place}[{index}]"), depth + 1)).collect()
    }

    /// `{_field, _filter}`: the filter's paths begin in an element of the list.
    fn element(&mut self, argument: &Value, scope: Shape, place: &str, depth: usize) -> Result<Node> {
        let members = argument.as_object().filter(|members| members.len() == 2);
        let (path, filter) = members
            .and_then(|members| Some((members.get("_field")?.as_str()?, members.get("_filter")?)))
            .ok_or_else(|| anyhow!("{place}: it takes {{_field: PATH, _filter: {{...}}}}"))?;
        let field = find(scope, path).with_context(|| place.to_owned()).map_err(flat)?;
        let element = match field.shape {
            Shape::List(element) => *element,
            Shape::Open => Shape::Open,
            _ => bail!("{place}: `{path}` is no list"),
        };
        ensure!(
            matches!(element, Shape::Open | Shape::Object(_)),
            "{place}: `{path}` is a list of plain values; compare it as it is, such as \
             {{_eq: {{_field: {path}, _value: ...}}}}"
        );
        let inner = self.node(filter, element, &format!("{place}._filter"), depth + 1)?;
        Ok(Node::Element(field, Box::new(inner)))
    }

    /// An operator that stands on values. Errors do not say its place.
    fn comparison(&self, operator: &str, argument: &Value, scope: Shape) -> Result<Node> {
        match operator {
            "_eq" | "_is" => order(Comparison::Equal, argument, scope),
            "_ne" => Ok(Node::Not(Box::new(order(Comparison::Equal, argument, scope)?))),
            "_gt" => order(Comparison::Greater, argument, scope),
            "_gte" => order(Comparison::GreaterOrEqual, argument, scope),
            "_lt" => order(Comparison::Less, argument, scope),
            "_lte" => order(Comparison::LessOrEqual, argument, scope),
            "_between" => between(argument, scope),
            "_in" => {
                let (field, values) = field_and_value(argument, "_values", scope)?;
                let values = values.as_array().filter(|values| (1..=VALUES_MAX).contains(&values.len()));
                let values = values.ok_or_else(|| anyhow!("`_values` is a list of 1 to {VALUES_MAX} values"))?;
                let operands = values.iter().map(|value| operand(&field, value)).collect::<Result<_>>()?;
                Ok(Node::Test(field, Test::In(operands)))
            }
            "_like" => text_test(argument, scope, |text| Ok(Test::Like(Pattern::new(&text)))),
            "_startsWith" => text_test(argument, scope, |text| Ok(Test::StartsWith(text))),
            "_endsWith" => text_test(argument, scope, |text| Ok(Test::EndsWith(text))),
            "_match" => text_test(argument, scope, |text| {
                let words: Vec<String> = words(&text).map(str::to_owned).collect();
                ensure!(!words.is_empty(), "`{text}` has no word in it");
                Ok(Test::Match(words))
            }),
            "_has" => Ok(Node::Has(field(argument, scope)?)),
            "_empty" => Ok(Node::Empty(field(argument, scope)?)),
            "_id" => self.id(argument),
            unknown => match nearest(unknown, OPERATORS.into_iter().chain(["_any"])) {
                Some(near) => bail!("there is no such operator; did you mean `{near}`?"),
                None => bail!("there is no such operator; there are: {}, _any", OPERATORS.join(", ")),
            },
        }
    }

    /// The thing that the message is about: by its id, an incident also by its number.
    fn id(&self, argument: &Value) -> Result<Node> {
        let id = Value::String(text(argument)?);
        let paths = ["object.id", "object.number", "event.id"];
        let known: Vec<Field> = paths.iter().filter_map(|path| self.trigger.field(path).ok()).collect();
        ensure!(!known.is_empty(), "what {} tells of has no id", self.trigger);
        let tests = known.into_iter().map(|field| {
            let operand = operand(&field, &id)?;
            Ok(Node::Test(field, Test::Order(Comparison::Equal, operand)))
        });
        Ok(Node::Any(tests.collect::<Result<_>>()?))
    }
}

/// An error and its place as one text.
fn flat(error: anyhow::Error) -> anyhow::Error {
    anyhow!("{error:#}")
}

fn find(scope: Shape, path: &str) -> Result<Field> {
    ensure!(path.len() <= VALUE_BYTES_MAX, "a path has at most {VALUE_BYTES_MAX} bytes; this one has {}", path.len());
    scope.field(path)
}

/// `object.title` or `{_field: object.title}`.
fn field(argument: &Value, scope: Shape) -> Result<Field> {
    let path = match argument {
        Value::String(path) => Some(path.as_str()),
        Value::Object(members) if members.len() == 1 => members.get("_field").and_then(Value::as_str),
        _ => None,
    };
    find(scope, path.ok_or_else(|| anyhow!("it takes a path such as object.title, or {{_field: object.title}}"))?)
}

/// `{_field: PATH, KEY: VALUE}` or `{PATH: VALUE}`.
fn field_and_value<'a>(argument: &'a Value, key: &str, scope: Shape) -> Result<(Field, &'a Value)> {
    let found = argument.as_object().and_then(|members| match members.len() {
        1 => {
            members.iter().next().filter(|(path, _)| !path.starts_with('_')).map(|(path, value)| (path.as_str(), value))
        }
        2 => Some((members.get("_field")?.as_str()?, members.get(key)?)),
        _ => None,
    });
    let (path, value) = found.ok_or_else(|| anyhow!("it takes {{_field: PATH, {key}: ...}}"))?;
    let field = find(scope, path)?;
    if let Shape::Object(_) | Shape::Texts = field.shape {
        bail!("`{path}` holds several values; name one of them, such as `{path}.{}`", example(field.shape));
    }
    if let Shape::Object(_) = element(field.shape) {
        bail!(
            "`{path}` is a list of objects; name a field of theirs, such as `{path}.{}`",
            example(element(field.shape))
        );
    }
    Ok((field, value))
}

fn example(shape: Shape) -> &'static str {
    match shape {
        Shape::Object(members) => members.first().map_or("NAME", |(name, _)| name),
        _ => "NAME",
    }
}

/// What is compared: of a list, its elements.
fn element(shape: Shape) -> Shape {
    match shape {
        Shape::List(inner) => element(*inner),
        plain => plain,
    }
}

fn order(comparison: Comparison, argument: &Value, scope: Shape) -> Result<Node> {
    let (field, value) = field_and_value(argument, "_value", scope)?;
    let operand = operand(&field, value)?;
    if comparison != Comparison::Equal {
        check_ordered(&field)?;
    }
    Ok(Node::Test(field, Test::Order(comparison, operand)))
}

fn between(argument: &Value, scope: Shape) -> Result<Node> {
    let ends = argument.as_object().filter(|members| members.len() == 3);
    let (path, from, to) = ends
        .and_then(|members| Some((members.get("_field")?, members.get("_from")?, members.get("_to")?)))
        .ok_or_else(|| {
            anyhow!("it takes {{_field: PATH, _from: ..., _to: ...}}: from the first on, before the second")
        })?;
    let end = |value: &Value| {
        let pair =
            Value::Object(Map::from_iter([("_field".to_owned(), path.clone()), ("_value".to_owned(), value.clone())]));
        let (field, value) = field_and_value(&pair, "_value", scope)?;
        Ok::<_, anyhow::Error>((operand(&field, value)?, field))
    };
    let ((low, field), (high, _)) = (end(from)?, end(to)?);
    check_ordered(&field)?;
    ensure!(high.compare(to) == Some(Ordering::Equal), "`_to` cannot be compared");
    ensure!(
        low.compare(to) == Some(Ordering::Greater),
        "nothing is between `_from` {from} and `_to` {to}: it is from the first on, before the second"
    );
    Ok(Node::Test(field, Test::Between(low, high)))
}

fn check_ordered(field: &Field) -> Result<()> {
    match element(field.shape) {
        Shape::Word(_) | Shape::Flag => {
            bail!("`{}` has no order; compare it by _eq, _ne or _in", field.segments.join("."))
        }
        _ => Ok(()),
    }
}

fn text_test(argument: &Value, scope: Shape, test: impl Fn(String) -> Result<Test>) -> Result<Node> {
    let (field, value) = field_and_value(argument, "_value", scope)?;
    Ok(Node::Test(field, test(text(value)?.to_lowercase())?))
}

fn text(value: &Value) -> Result<String> {
    let text = value.as_str().filter(|text| (1..=VALUE_BYTES_MAX).contains(&text.len()));
    Ok(text.ok_or_else(|| anyhow!("it takes a text of 1 to {VALUE_BYTES_MAX} bytes"))?.to_owned())
}

/// A value of the filter as its field is compared.
fn operand(field: &Field, value: &Value) -> Result<Operand> {
    let path = || field.segments.join(".");
    if let Value::String(text) = value {
        ensure!(text.len() <= VALUE_BYTES_MAX, "a value has at most {VALUE_BYTES_MAX} bytes; this has {}", text.len());
    }
    match (element(field.shape), value) {
        (Shape::Rank(words), Value::String(word)) => {
            let canonical = known_word(words, word).with_context(path).map_err(flat)?;
            let rank = words().iter().position(|known| *known == canonical).unwrap_or_default();
            Ok(Operand::Rank(words, rank))
        }
        (Shape::Word(words), Value::String(word)) => {
            Ok(Operand::Text(known_word(words, word).with_context(path).map_err(flat)?.to_owned()))
        }
        (Shape::Rank(words) | Shape::Word(words), _) => {
            bail!("`{}` is one of: {}; not {value}", path(), words().join(", "))
        }
        (Shape::Time, _) => match instant(value) {
            Some(time) => Ok(Operand::Time(time)),
            None => bail!(
                "`{}` is a time: RFC 3339 such as 2026-01-31T08:00:00Z, or milliseconds since 1970; not {value}",
                path()
            ),
        },
        (Shape::Number, Value::Number(number)) => Ok(Operand::Number(number.clone())),
        (Shape::Number, _) => bail!("`{}` is a number; not {value}", path()),
        (Shape::Flag, Value::Bool(flag)) => Ok(Operand::Flag(*flag)),
        (Shape::Flag, _) => bail!("`{}` is true or false; not {value}", path()),
        (_, Value::Null) => bail!("nothing equals null; use {{_empty: {0}}} or {{_has: {0}}}", path()),
        (_, Value::Array(_) | Value::Object(_)) => {
            bail!("`{}` is compared with one text, number, true or false; for several there is _in", path())
        }
        (Shape::Open, Value::String(text)) => Ok(match text.parse() {
            Ok(time) => Operand::TimeOrText(time, text.clone()),
            Err(_) => Operand::Text(text.clone()),
        }),
        (Shape::Open, Value::Number(number)) => Ok(Operand::Number(number.clone())),
        (Shape::Open, Value::Bool(flag)) => Ok(Operand::Flag(*flag)),
        // A reference of digits is easily written without quotes.
        (_, Value::Number(number)) => Ok(Operand::Text(number.to_string())),
        (_, Value::String(text)) => Ok(Operand::Text(text.clone())),
        (_, Value::Bool(_)) => bail!("`{}` is a text; not {value}", path()),
    }
}

/// The word as it is written in messages.
pub(super) fn known_word(words: Words, word: &str) -> Result<&'static str> {
    let words = words();
    if let Some(known) = words.iter().find(|known| known.eq_ignore_ascii_case(word.trim())) {
        return Ok(known);
    }
    match nearest(word, words.iter().copied()) {
        Some(near) => bail!("`{word}` is not one of: {}; did you mean `{near}`?", words.join(", ")),
        None => bail!("`{word}` is not one of: {}", words.join(", ")),
    }
}

/// The time that a value is: RFC 3339, or milliseconds since the Unix epoch.
pub(super) fn instant(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(text) => hookmill_incident::timestamp::parse(text).ok(),
        Value::Number(number) => Timestamp::from_millisecond(number.as_i64()?).ok(),
        _ => None,
    }
}

impl Node {
    fn matches(&self, value: &Value) -> bool {
        match self {
            Self::Always => true,
            Self::All(nodes) => nodes.iter().all(|node| node.matches(value)),
            Self::Any(nodes) => nodes.iter().any(|node| node.matches(value)),
            Self::Not(node) => !node.matches(value),
            Self::Has(field) => any_at(value, &field.segments, false, &mut |found| !found.is_null()),
            Self::Empty(field) => !any_at(value, &field.segments, false, &mut |found| !is_empty(found)),
            Self::Test(field, test) => any_at(value, &field.segments, true, &mut |found| test.passes(found)),
            Self::Element(field, node) => any_at(value, &field.segments, true, &mut |found| node.matches(found)),
        }
    }
}

/// Whether one of the values that a path leads to passes. Lists on the way stand for their elements, with `elements`
/// also one at the end.
fn any_at(value: &Value, path: &[String], elements: bool, passes: &mut dyn FnMut(&Value) -> bool) -> bool {
    let Some((name, rest)) = path.split_first() else {
        return match value {
            Value::Array(items) if elements => items.iter().any(|item| any_at(item, path, elements, passes)),
            _ => passes(value),
        };
    };
    match value {
        Value::Object(members) => {
            if let Some(member) = members.get(name)
                && any_at(member, rest, elements, passes)
            {
                return true;
            }
            // Vendors also write whole paths as one name: `process.name`.
            let whole = || members.get(&path.join("."));
            !rest.is_empty() && whole().is_some_and(|member| any_at(member, &[], elements, passes))
        }
        Value::Array(items) => {
            let place = is_index(name).then(|| name.parse().ok()).flatten().and_then(|index: usize| items.get(index));
            place.is_some_and(|item| any_at(item, rest, elements, passes))
                || items.iter().any(|item| any_at(item, path, elements, passes))
        }
        _ => false,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

impl Test {
    fn passes(&self, value: &Value) -> bool {
        match self {
            Self::Order(comparison, operand) => {
                operand.compare(value).is_some_and(|ordering| comparison.holds(ordering))
            }
            Self::Between(from, to) => {
                from.compare(value).is_some_and(Ordering::is_ge) && to.compare(value).is_some_and(Ordering::is_lt)
            }
            Self::In(operands) => operands.iter().any(|operand| operand.compare(value) == Some(Ordering::Equal)),
            Self::Like(pattern) => lowercase(value).is_some_and(|text| pattern.matches(&text)),
            Self::StartsWith(start) => lowercase(value).is_some_and(|text| text.starts_with(start)),
            Self::EndsWith(end) => lowercase(value).is_some_and(|text| text.ends_with(end)),
            Self::Match(wanted) => {
                lowercase(value).is_some_and(|text| wanted.iter().all(|word| words(&text).any(|known| known == word)))
            }
        }
    }
}

impl Comparison {
    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
        }
    }
}

impl Operand {
    /// How a value of a message stands to this one; `None` when they cannot be compared.
    fn compare(&self, value: &Value) -> Option<Ordering> {
        match (self, value) {
            (Self::Rank(words, rank), Value::String(word)) => {
                let found = words().iter().position(|known| known.eq_ignore_ascii_case(word))?;
                Some(found.cmp(rank))
            }
            (Self::Time(time), _) => Some(instant(value)?.cmp(time)),
            (Self::TimeOrText(time, text), Value::String(other)) => match other.parse::<Timestamp>() {
                Ok(other) => Some(other.cmp(time)),
                Err(_) => Some(other.as_str().cmp(text)),
            },
            (Self::Text(text), Value::String(other)) => Some(other.as_str().cmp(text)),
            (Self::Number(number), Value::Number(other)) => compare_numbers(other, number),
            (Self::Flag(flag), Value::Bool(other)) => Some(other.cmp(flag)),
            _ => None,
        }
    }
}

/// By value: no integer is rounded, not even beside a fraction.
pub(super) fn compare_numbers(one: &Number, other: &Number) -> Option<Ordering> {
    let integer = |number: &Number| number.as_i64().map(i128::from).or(number.as_u64().map(i128::from));
    match (integer(one), integer(other)) {
        (Some(one), Some(other)) => Some(one.cmp(&other)),
        (Some(one), None) => compare_with_float(one, other.as_f64()?),
        (None, Some(other)) => compare_with_float(other, one.as_f64()?).map(Ordering::reverse),
        (None, None) => one.as_f64()?.partial_cmp(&other.as_f64()?),
    }
}

fn compare_with_float(integer: i128, float: f64) -> Option<Ordering> {
    // Beyond ±2⁶⁴ the cast keeps the order: every integer here is within.
    let whole = integer.cmp(&(float.trunc() as i128));
    Some(whole.then(0.0.partial_cmp(&float.fract())?))
}

fn lowercase(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.to_lowercase()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// Text with `*` for any number of characters. Every other character stands for itself.
#[derive(Clone, Debug)]
struct Pattern {
    start: String,
    /// In this order, between start and end.
    middle: Vec<String>,
    /// `None` without a `*`: then the start is all of it.
    end: Option<String>,
}

impl Pattern {
    fn new(text: &str) -> Self {
        let mut parts: Vec<String> = text.split('*').map(str::to_owned).collect();
        let end = if parts.len() > 1 { parts.pop() } else { None };
        let start = parts.remove(0);
        Self { start, middle: parts.into_iter().filter(|part| !part.is_empty()).collect(), end }
    }

    /// In time linear in the text: the first place where a part fits is as good as any.
    fn matches(&self, text: &str) -> bool {
        let Some(end) = &self.end else { return text == self.start };
        let Some(rest) = text.strip_prefix(self.start.as_str()) else { return false };
        let Some(mut rest) = rest.strip_suffix(end.as_str()) else { return false };
        for part in &self.middle {
            let Some((_, after)) = rest.split_once(part.as_str()) else { return false };
            rest = after;
        }
        true
    }
}

#[cfg(test)]
mod tests;
