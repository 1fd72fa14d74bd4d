//! A member of an answer that says whether there is more to read.

use super::pointer::Pointer;
use anyhow::{Result, bail};
use std::str::FromStr;

/// The position of a boolean or a number, such as `/has_more`; `not /isCaughtUp` is the opposite.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Condition {
    at: Pointer,
    is_negated: bool,
}

impl Condition {
    /// Returns whether the condition is true of an answer. A value that is missing means no, with and without `not`.
    ///
    /// # Errors
    /// Returns an error if the answer is not JSON, or the value is neither a boolean nor a number.
    pub(super) fn is_true(&self, document: &[u8]) -> Result<bool> {
        let Some(value) = self.at.find(document)? else { return Ok(false) };
        let is_true = match value.get() {
            "true" => true,
            "false" => false,
            number => match number.parse::<f64>() {
                Ok(number) => number != 0.0,
                Err(_) => bail!("the value at `more`, {}, is neither a boolean nor a number", self.at),
            },
        };
        Ok(is_true != self.is_negated)
    }
}

impl FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let negated = text.strip_prefix("not ");
        Ok(Self { at: negated.unwrap_or(text).parse()?, is_negated: negated.is_some() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_booleans_and_numbers() {
        for (condition, document, expected) in [
            ("/has_more", r#"{"has_more": true}"#, Some(true)),
            ("/has_more", r#"{"has_more": false}"#, Some(false)),
            ("not /isCaughtUp", r#"{"isCaughtUp": false}"#, Some(true)),
            ("not /isCaughtUp", r#"{"isCaughtUp": true}"#, Some(false)),
            ("/left", r#"{"left": 3}"#, Some(true)),
            ("/left", r#"{"left": 0}"#, Some(false)),
            ("/left", "{}", Some(false)),
            ("not /left", "{}", Some(false)),
            ("/left", r#"{"left": "no"}"#, None),
            ("/left", "<html>", None),
        ] {
            let parsed: Condition = condition.parse().unwrap();
            assert_eq!(parsed.is_true(document.as_bytes()).ok(), expected, "{condition} of {document}");
        }
        assert!("nothing".parse::<Condition>().is_err());
    }
}
