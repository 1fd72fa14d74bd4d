//! The parser of filters.

use super::arguments::{field, field_and_value, find, plain_field, text};
use super::node::FilterNode;
use super::operand::Operand;
use super::pattern::Pattern;
use super::predicate::{Predicate, words};
use crate::Trigger;
use crate::compare::Comparison;
use crate::fields::{Field, FieldType};
use crate::vocabulary::nearest;
use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::{Map, Value};
use std::cmp::Ordering;

/// The greatest depth of filters within filters.
pub(super) const DEPTH_MAX: usize = 16;
/// The greatest number of operators in one filter.
pub(super) const NODES_MAX: usize = 256;
/// The greatest number of values of one `_in`.
const VALUES_MAX: usize = 1_000;
const OPERATORS: [&str; 22] = [
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
    "_any",
];

/// Parses a filter for the messages of a trigger.
pub(super) fn parse(filter: &Value, trigger: Trigger) -> Result<FilterNode> {
    FilterParser { trigger, nodes: 0 }.node(filter, trigger.message_type(), "filter", 1)
}

struct FilterParser {
    trigger: Trigger,
    nodes: usize,
}

impl FilterParser {
    /// Parses the filter at `position`, whose paths begin in `scope`.
    fn node(&mut self, filter: &Value, scope: FieldType, position: &str, depth: usize) -> Result<FilterNode> {
        ensure!(depth <= DEPTH_MAX, "{position}: filters can be nested at most {DEPTH_MAX} deep");
        self.nodes += 1;
        ensure!(self.nodes <= NODES_MAX, "{position}: a filter has at most {NODES_MAX} operators");
        let members = filter.as_object().ok_or_else(|| {
            anyhow!("{position}: a filter is an object such as {{_eq: {{_field: object.status, _value: new}}}}")
        })?;
        let Some((name, argument)) = members.iter().next() else { return Ok(FilterNode::Always) };
        if members.contains_key("_field") {
            return at(position, self.comparison("_eq", filter, scope));
        }
        ensure!(
            members.len() == 1,
            "{position}: expected one operator, found {}; combine several with {{_and: [...]}}",
            members.len()
        );
        let inner = format!("{position}.{name}");
        match name.as_str() {
            "_and" => Ok(FilterNode::All(self.nodes(argument, scope, &inner, depth)?)),
            "_or" => Ok(FilterNode::Any(self.nodes(argument, scope, &inner, depth)?)),
            "_not" => Ok(FilterNode::Not(Box::new(self.node(argument, scope, &inner, depth + 1)?))),
            "_contains" | "_arrayMatch" => self.element(argument, scope, &inner, depth),
            "_any" if argument.as_object().is_some_and(Map::is_empty) => Ok(FilterNode::Always),
            "_any" => bail!("{inner}: expected {{_any: {{}}}}"),
            name if name.starts_with('_') => at(&inner, self.comparison(name, argument, scope)),
            _ => at(position, self.comparison("_eq", filter, scope)),
        }
    }

    fn nodes(&mut self, list: &Value, scope: FieldType, position: &str, depth: usize) -> Result<Vec<FilterNode>> {
        let list = list.as_array().filter(|list| !list.is_empty());
        let list = list.ok_or_else(|| anyhow!("{position}: expected a list of at least one filter"))?;
        let nodes = list.iter().enumerate();
        nodes.map(|(index, filter)| self.node(filter, scope, &format!("{position}[{index}]"), depth + 1)).collect()
    }

    /// Parses `{_field, _filter}`, whose filter's paths begin in an element of the list.
    fn element(&mut self, argument: &Value, scope: FieldType, position: &str, depth: usize) -> Result<FilterNode> {
        let members = argument.as_object().filter(|members| members.len() == 2);
        let (path, filter) = members
            .and_then(|members| Some((members.get("_field")?.as_str()?, members.get("_filter")?)))
            .ok_or_else(|| anyhow!("{position}: expected {{_field: PATH, _filter: {{...}}}}"))?;
        let field = at(position, find(scope, path))?;
        let element = match field.field_type {
            FieldType::List(element) => *element,
            FieldType::Any => FieldType::Any,
            _ => bail!("{position}: `{path}` is not a list"),
        };
        ensure!(
            matches!(element, FieldType::Any | FieldType::Object(_)),
            "{position}: `{path}` is a list of plain values; compare it directly, such as \
             {{_eq: {{_field: {path}, _value: ...}}}}"
        );
        let inner = self.node(filter, element, &format!("{position}._filter"), depth + 1)?;
        Ok(FilterNode::Element(field, Box::new(inner)))
    }

    /// Parses an operator on values. The caller adds the position to errors.
    fn comparison(&self, operator: &str, argument: &Value, scope: FieldType) -> Result<FilterNode> {
        match operator {
            "_eq" | "_is" => compare(Comparison::Equal, argument, scope),
            "_ne" => Ok(FilterNode::Not(Box::new(compare(Comparison::Equal, argument, scope)?))),
            "_gt" => compare(Comparison::Greater, argument, scope),
            "_gte" => compare(Comparison::GreaterOrEqual, argument, scope),
            "_lt" => compare(Comparison::Less, argument, scope),
            "_lte" => compare(Comparison::LessOrEqual, argument, scope),
            "_between" => between(argument, scope),
            "_in" => one_of(argument, scope),
            "_like" => text_predicate(argument, scope, |text| Ok(Predicate::Like(Pattern::new(&text)))),
            "_startsWith" => text_predicate(argument, scope, |text| Ok(Predicate::StartsWith(text))),
            "_endsWith" => text_predicate(argument, scope, |text| Ok(Predicate::EndsWith(text))),
            "_match" => text_predicate(argument, scope, |text| {
                let words: Vec<String> = words(&text).map(str::to_owned).collect();
                ensure!(!words.is_empty(), "`{text}` does not contain a word");
                Ok(Predicate::Match(words))
            }),
            "_has" => Ok(FilterNode::Has(field(argument, scope)?)),
            "_empty" => Ok(FilterNode::Empty(field(argument, scope)?)),
            "_id" => self.id(argument),
            unknown => match nearest(unknown, OPERATORS.into_iter()) {
                Some(near) => bail!("unknown operator; did you mean `{near}`?"),
                None => bail!("unknown operator; expected one of: {}", OPERATORS.join(", ")),
            },
        }
    }

    /// Parses a predicate on the id of the subject of the message; an incident also has its number.
    fn id(&self, argument: &Value) -> Result<FilterNode> {
        let id = Value::String(text(argument)?);
        let paths = ["object.id", "object.number", "event.id"];
        let known: Vec<Field> = paths.iter().filter_map(|path| self.trigger.field(path).ok()).collect();
        ensure!(!known.is_empty(), "messages of {} have no id", self.trigger);
        let nodes = known.into_iter().map(|field| {
            let operand = Operand::new(&field, &id)?;
            Ok(FilterNode::Value(field, Predicate::Compare(Comparison::Equal, operand)))
        });
        Ok(FilterNode::Any(nodes.collect::<Result<_>>()?))
    }
}

/// Adds the position in the filter to an error, as one text.
fn at<T>(position: &str, result: Result<T>) -> Result<T> {
    result.with_context(|| position.to_owned()).map_err(|error| anyhow!("{error:#}"))
}

fn compare(comparison: Comparison, argument: &Value, scope: FieldType) -> Result<FilterNode> {
    let (field, value) = field_and_value(argument, "_value", scope)?;
    let operand = Operand::new(&field, value)?;
    if comparison != Comparison::Equal {
        check_ordered(&field)?;
    }
    Ok(FilterNode::Value(field, Predicate::Compare(comparison, operand)))
}

fn between(argument: &Value, scope: FieldType) -> Result<FilterNode> {
    let ends = argument.as_object().filter(|members| members.len() == 3);
    let (path, from, to) = ends
        .and_then(|members| Some((members.get("_field")?.as_str()?, members.get("_from")?, members.get("_to")?)))
        .ok_or_else(|| anyhow!("expected {{_field: PATH, _from: ..., _to: ...}}; `_from` is included, `_to` is not"))?;
    let field = plain_field(path, scope)?;
    let (low, high) = (Operand::new(&field, from)?, Operand::new(&field, to)?);
    check_ordered(&field)?;
    ensure!(high.compare(to) == Some(Ordering::Equal), "`_to` cannot be compared");
    ensure!(
        low.compare(to) == Some(Ordering::Greater),
        "nothing is between `_from` {from} and `_to` {to}: `_from` is included, `_to` is not"
    );
    Ok(FilterNode::Value(field, Predicate::Between(low, high)))
}

fn one_of(argument: &Value, scope: FieldType) -> Result<FilterNode> {
    let (field, values) = field_and_value(argument, "_values", scope)?;
    let values = values.as_array().filter(|values| (1..=VALUES_MAX).contains(&values.len()));
    let values = values.ok_or_else(|| anyhow!("`_values` is a list of 1 to {VALUES_MAX} values"))?;
    let operands = values.iter().map(|value| Operand::new(&field, value)).collect::<Result<_>>()?;
    Ok(FilterNode::Value(field, Predicate::In(operands)))
}

fn text_predicate(
    argument: &Value,
    scope: FieldType,
    predicate: impl Fn(String) -> Result<Predicate>,
) -> Result<FilterNode> {
    let (field, value) = field_and_value(argument, "_value", scope)?;
    Ok(FilterNode::Value(field, predicate(text(value)?.to_lowercase())?))
}

fn check_ordered(field: &Field) -> Result<()> {
    match field.field_type.element() {
        FieldType::Word(_) | FieldType::Boolean => {
            bail!("the values of `{}` have no order; compare them with _eq, _ne or _in", field.path())
        }
        _ => Ok(()),
    }
}
