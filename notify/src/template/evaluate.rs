//! The evaluation of a template's expressions for one message.

use super::escape::{json_value, percent_encode};
use super::syntax::{Expression, Variable};
use super::values::{find, holds, is_true, length, text_of};
use crate::compare::timestamp_of;
use anyhow::{Result, anyhow, ensure};
use serde_json::Value;
use std::borrow::Cow;

/// The greatest number of expressions and blocks in one rendering, which bounds loops within loops.
const STEPS_MAX: usize = 1_000_000;

/// The start of paths: the message, or the subject of a block.
#[derive(Clone)]
pub(super) struct ValueScope<'a> {
    pub value: Cow<'a, Value>,
    pub index: usize,
    pub key: Option<String>,
    pub is_last: bool,
}

/// The scopes around the node that is rendered, with the count of steps.
pub(super) struct ValueScopes<'a> {
    /// From the message to the innermost block.
    scopes: Vec<ValueScope<'a>>,
    steps: usize,
}

impl<'a> ValueScopes<'a> {
    pub fn new(message: &'a Value) -> Self {
        let whole = ValueScope { value: Cow::Borrowed(message), index: 0, key: None, is_last: false };
        Self { scopes: vec![whole], steps: 0 }
    }

    pub fn enter(&mut self, scope: ValueScope<'a>) {
        self.scopes.push(scope);
    }

    pub fn leave(&mut self) {
        self.scopes.pop();
    }

    /// Returns the scope that is `up` scopes outside of the innermost one.
    pub fn scope(&self, up: usize) -> Result<&ValueScope<'a>> {
        let index = self.scopes.len().checked_sub(up + 1);
        index.and_then(|index| self.scopes.get(index)).ok_or_else(|| anyhow!("there are fewer scopes than {up}"))
    }

    /// Counts a step.
    ///
    /// # Errors
    /// Returns an error if the rendering has taken too many.
    pub fn step(&mut self) -> Result<()> {
        self.steps += 1;
        ensure!(self.steps <= STEPS_MAX, "rendering this message takes more than {STEPS_MAX} steps");
        Ok(())
    }

    /// Returns the value of an expression; a missing value is null.
    pub fn evaluate(&mut self, expression: &'a Expression) -> Result<Cow<'a, Value>> {
        self.step()?;
        match expression {
            Expression::Literal(value) => Ok(Cow::Borrowed(value)),
            Expression::Path(up, names) => Ok(find(&self.scope(*up)?.value, names)),
            Expression::Variable(up, variable) => Ok(Cow::Owned(self.scope(*up)?.variable(*variable))),
            Expression::Lookup(sides) => {
                let (whole, key) = (self.evaluate(&sides[0])?, self.evaluate(&sides[1])?);
                Ok(find(&whole, &[text_of(&key).into_owned()]))
            }
            Expression::Default(expressions) => self.first_present(expressions),
            Expression::Compare(..) | Expression::And(_) | Expression::Or(_) | Expression::Not(_) => {
                Ok(Cow::Owned(Value::Bool(self.holds(expression)?)))
            }
            Expression::Len(inner) => Ok(Cow::Owned(length(&*self.evaluate(inner)?).into())),
            Expression::Join(inner, _)
            | Expression::Json(inner)
            | Expression::UrlEncode(inner)
            | Expression::SeverityLabel(inner)
            | Expression::TlpLabel(inner)
            | Expression::Date(inner, _) => {
                let value = self.evaluate(inner)?;
                Ok(Cow::Owned(Value::String(text_helper(expression, &value))))
            }
        }
    }

    /// Returns whether a condition holds.
    fn holds(&mut self, expression: &'a Expression) -> Result<bool> {
        match expression {
            Expression::Compare(comparison, compared_as, sides) => {
                let (one, other) = (self.evaluate(&sides[0])?, self.evaluate(&sides[1])?);
                Ok(holds(*comparison, *compared_as, &one, &other))
            }
            Expression::And(expressions) => {
                for expression in expressions {
                    if !is_true(&*self.evaluate(expression)?) {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Expression::Or(expressions) => {
                for expression in expressions {
                    if is_true(&*self.evaluate(expression)?) {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Expression::Not(inner) => Ok(!is_true(&*self.evaluate(inner)?)),
            other => Ok(is_true(&*self.evaluate(other)?)),
        }
    }

    /// Returns the first value that is neither null nor an empty text; else null.
    fn first_present(&mut self, expressions: &'a [Expression]) -> Result<Cow<'a, Value>> {
        for expression in expressions {
            let value = self.evaluate(expression)?;
            if !value.is_null() && value.as_str() != Some("") {
                return Ok(value);
            }
        }
        Ok(Cow::Owned(Value::Null))
    }
}

impl ValueScope<'_> {
    fn variable(&self, variable: Variable) -> Value {
        let key = || self.key.clone().map(Value::String);
        match variable {
            Variable::Index => self.index.into(),
            Variable::Key => key().unwrap_or_default(),
            Variable::KeyOrIndex => key().unwrap_or(self.index.into()),
            Variable::First => (self.index == 0).into(),
            Variable::Last => self.is_last.into(),
        }
    }
}

/// Returns the text that a helper makes of a value.
fn text_helper(helper: &Expression, value: &Value) -> String {
    match helper {
        Expression::Join(_, separator) => match value {
            Value::Array(items) => items.iter().map(text_of).collect::<Vec<_>>().join(separator),
            other => text_of(other).into_owned(),
        },
        Expression::Json(_) => json_value(value),
        Expression::UrlEncode(_) => percent_encode(&text_of(value)),
        Expression::SeverityLabel(_) => capitalized(&text_of(value)),
        Expression::TlpLabel(_) => match &*text_of(value) {
            "" => String::new(),
            word => format!("TLP:{}", word.to_uppercase().replace('-', "+")),
        },
        Expression::Date(_, pattern) => timestamp_of(value).map_or(String::new(), |time| pattern.format(time)),
        _ => text_of(value).into_owned(),
    }
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}
