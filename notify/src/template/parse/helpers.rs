//! The helpers of templates: their names, parameters and results.

use super::scopes::{Scopes, Typed};
use crate::compare::{Comparison, timestamp_of};
use crate::fields::FieldType;
use crate::message_fields::{severities, tlps};
use crate::template::date_pattern::DatePattern;
use crate::template::syntax::{ComparedAs, Expression};
use crate::vocabulary::{Vocabulary, known_word, nearest};
use anyhow::{Result, anyhow, bail, ensure};
use handlebars::template::{HelperTemplate, Parameter, TemplateElement};
use serde_json::Value;

const HELPERS: [&str; 22] = [
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
    "dateFormat",
];

/// Checks that there is a helper of this name.
///
/// # Errors
/// Returns an error with the nearest known name, or with all names.
pub(super) fn check_name(name: &str) -> Result<()> {
    if HELPERS.contains(&name) {
        return Ok(());
    }
    match nearest(name, HELPERS.into_iter()) {
        Some(near) => bail!("unknown helper `{name}`; did you mean `{near}`?"),
        None => bail!("unknown helper `{name}`; expected one of: {}", HELPERS.join(", ")),
    }
}

impl Scopes {
    /// Parses the call of a helper.
    pub fn call(&self, helper: &HelperTemplate) -> Result<Typed> {
        let name = helper.name.as_name().unwrap_or_default();
        check_name(name)?;
        ensure!(helper.hash.is_empty(), "`{name}` takes no named parameters");
        let parameters = &helper.params;
        let one = || Ok::<_, anyhow::Error>(Box::new(self.only(name, parameters)?.0));
        let text = |expression| Ok((expression, Some(FieldType::Text)));
        let boolean = |expression| Ok((expression, Some(FieldType::Boolean)));
        if let Some(comparison) = comparison(name) {
            return boolean(self.compare(name, comparison, parameters)?);
        }
        match name {
            "and" => boolean(Expression::And(self.several(name, parameters)?)),
            "or" => boolean(Expression::Or(self.several(name, parameters)?)),
            "not" => boolean(Expression::Not(one()?)),
            "default" => Ok((Expression::Default(self.several(name, parameters)?), None)),
            "len" => Ok((Expression::Len(one()?), Some(FieldType::Number))),
            "json" => text(Expression::Json(one()?)),
            "urlencode" => text(Expression::UrlEncode(one()?)),
            "severityLabel" => text(Expression::SeverityLabel(self.word(name, parameters, severities)?)),
            "tlpLabel" => text(Expression::TlpLabel(self.word(name, parameters, tlps)?)),
            "lookup" => self.lookup(parameters),
            "join" => text(self.join(parameters)?),
            "dateFormat" => text(self.date(parameters)?),
            _ => bail!("`{name}` is a block; write it as `{{{{#{name} ...}}}}...{{{{/{name}}}}}`"),
        }
    }

    /// Parses a parameter of a helper, or a whole expression without parameters.
    pub fn parameter(&self, parameter: &Parameter) -> Result<Typed> {
        match parameter {
            Parameter::Literal(value) => Ok((Expression::Literal(value.clone()), None)),
            Parameter::Path(path) => self.path(path, parameter.as_name().unwrap_or_default()),
            Parameter::Name(name) => self.named(vec![name.clone()], name),
            Parameter::Subexpression(inner) => match inner.as_element() {
                TemplateElement::Expression(helper) if helper.params.is_empty() && helper.hash.is_empty() => {
                    self.parameter(&helper.name)
                }
                TemplateElement::Expression(helper) => self.call(helper),
                _ => bail!("an expression in brackets calls a helper, such as (gt object.severity \"low\")"),
            },
            _ => bail!("the template contains an unsupported expression"),
        }
    }

    /// Parses the parameters of a helper that takes one.
    pub fn only(&self, name: &str, parameters: &[Parameter]) -> Result<Typed> {
        match parameters {
            [one] => self.parameter(one),
            _ => bail!("`{name}` takes one value; found {}", parameters.len()),
        }
    }

    fn two(&self, name: &str, parameters: &[Parameter]) -> Result<[Typed; 2]> {
        match parameters {
            [one, other] => Ok([self.parameter(one)?, self.parameter(other)?]),
            _ => bail!("`{name}` takes two values; found {}", parameters.len()),
        }
    }

    fn several(&self, name: &str, parameters: &[Parameter]) -> Result<Vec<Expression>> {
        ensure!(parameters.len() >= 2, "`{name}` takes two values or more; found {}", parameters.len());
        parameters.iter().map(|parameter| Ok(self.parameter(parameter)?.0)).collect()
    }

    /// Parses the parameter of a helper that takes words of a vocabulary.
    fn word(&self, name: &str, parameters: &[Parameter], vocabulary: Vocabulary) -> Result<Box<Expression>> {
        let (inner, field_type) = self.only(name, parameters)?;
        let fits = match field_type {
            Some(FieldType::Rank(of_field)) => of_field() == vocabulary(),
            None | Some(FieldType::Any) => true,
            Some(_) => false,
        };
        ensure!(fits, "`{name}` takes one of: {}; its field has other values", vocabulary().join(", "));
        Ok(Box::new(inner))
    }

    fn lookup(&self, parameters: &[Parameter]) -> Result<Typed> {
        let [whole, key] = self.two("lookup", parameters)?;
        let field_type = match (whole.1, &key.0) {
            (Some(known), Expression::Literal(Value::String(key))) => {
                Some(known.member(key, parameters[0].as_name().unwrap_or_default())?)
            }
            (Some(FieldType::List(element)), _) => Some(*element),
            _ => None,
        };
        Ok((Expression::Lookup(Box::new([whole.0, key.0])), field_type))
    }

    fn join(&self, parameters: &[Parameter]) -> Result<Expression> {
        let [list, separator] = self.two("join", parameters)?;
        ensure!(
            matches!(list.1, None | Some(FieldType::Any | FieldType::List(_))),
            "`{}` is not a list to join",
            parameters[0].as_name().unwrap_or("...")
        );
        let Expression::Literal(Value::String(separator)) = separator.0 else {
            bail!("`join` takes a list and a text in quotes, such as {{{{join object.tags \", \"}}}}")
        };
        Ok(Expression::Join(Box::new(list.0), separator))
    }

    fn date(&self, parameters: &[Parameter]) -> Result<Expression> {
        let usage = "`dateFormat` takes a time, a pattern in quotes and an optional zone in quotes, such as \
                     {{dateFormat object.created_at \"yyyy-MM-dd HH:mm\"}}";
        let literal = |parameter: &Parameter| match parameter {
            Parameter::Literal(Value::String(text)) => Ok(text.clone()),
            _ => Err(anyhow!(usage)),
        };
        ensure!((2..=3).contains(&parameters.len()), usage);
        let (time, field_type) = self.parameter(&parameters[0])?;
        let shown = parameters[0].as_name().unwrap_or("...");
        ensure!(matches!(field_type, None | Some(FieldType::Time | FieldType::Any)), "`{shown}` is not a time");
        let zone = parameters.get(2).map(literal).transpose()?;
        Ok(Expression::Date(Box::new(time), DatePattern::new(&literal(&parameters[1])?, zone.as_deref())?))
    }

    fn compare(&self, name: &str, comparison: Comparison, parameters: &[Parameter]) -> Result<Expression> {
        let [one, other] = self.two(name, parameters)?;
        let types = [one.1, other.1];
        for side in [&one.0, &other.0] {
            if let Expression::Literal(literal) = side {
                check_literal(name, literal, types)?;
            }
        }
        Ok(Expression::Compare(comparison, compared_as(types), Box::new([one.0, other.0])))
    }
}

fn comparison(name: &str) -> Option<Comparison> {
    match name {
        "eq" => Some(Comparison::Equal),
        "ne" => Some(Comparison::NotEqual),
        "gt" => Some(Comparison::Greater),
        "gte" => Some(Comparison::GreaterOrEqual),
        "lt" => Some(Comparison::Less),
        "lte" => Some(Comparison::LessOrEqual),
        _ => None,
    }
}

/// Returns the type as which values of these types are compared.
fn compared_as(types: [Option<FieldType>; 2]) -> ComparedAs {
    match types {
        [Some(FieldType::Rank(vocabulary)), _] | [_, Some(FieldType::Rank(vocabulary))] => ComparedAs::Rank(vocabulary),
        [Some(FieldType::Time), _] | [_, Some(FieldType::Time)] => ComparedAs::Time,
        _ => ComparedAs::Plain,
    }
}

/// Checks a literal that is compared with a field of one of these types.
fn check_literal(name: &str, literal: &Value, types: [Option<FieldType>; 2]) -> Result<()> {
    let vocabulary = types.into_iter().flatten().find_map(|known| match known {
        FieldType::Rank(vocabulary) | FieldType::Word(vocabulary) => Some(vocabulary),
        _ => None,
    });
    match (literal, vocabulary) {
        (Value::String(word), Some(vocabulary)) => known_word(vocabulary, word).map(drop),
        (literal, Some(vocabulary)) => bail!("`{name}` compares {literal} with one of: {}", vocabulary().join(", ")),
        (literal, None) => {
            ensure!(
                !matches!(compared_as(types), ComparedAs::Time) || timestamp_of(literal).is_some(),
                "`{name}` compares a time with {literal}; write it such as \"2026-01-31T08:00:00Z\""
            );
            let is_text = types.into_iter().flatten().any(|known| matches!(known, FieldType::Text));
            ensure!(
                !is_text || !literal.is_number(),
                "`{name}` compares a text with {literal}; put {literal} into quotes"
            );
            Ok(())
        }
    }
}
