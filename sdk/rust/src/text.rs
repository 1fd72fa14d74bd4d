//! A scalar in any form that vendors use.

use crate::document::{name_of, wrong_part};
use crate::fault::{check_digits, fault};
use crate::present::present;
use crate::problems;
use crate::reading;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// A scalar of a payload as text: a string, a number, a boolean, or the first element of an array.
///
/// Vendors write absent values in many ways. `null`, an empty or blank string, the strings `N/A`, `none`, `null`,
/// `unknown`, `-` and the like, an empty array and an empty object are all treated as absent. So is a missing field,
/// without `#[serde(default)]`. Another object is left out and reported as a problem, and so are further elements of an
/// array. Integers keep all their digits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text<'a>(
    /// Trimmed; empty if absent.
    Cow<'a, str>,
);

impl<'a> Text<'a> {
    /// Returns the text, or none if absent.
    pub fn get(&self) -> Option<&str> {
        (!self.0.is_empty()).then_some(&*self.0)
    }

    /// Returns the text as an owned string, or none if absent.
    pub fn owned(&self) -> Option<String> {
        self.get().map(str::to_owned)
    }

    /// Returns the text as a timestamp, or none if absent or not a time: see [`timestamp`](crate::timestamp).
    pub fn time(&self) -> Option<String> {
        crate::timestamp(self.get()?)
    }

    /// Returns the text as a number, or none if absent or not a number.
    pub fn number(&self) -> Option<f64> {
        self.get()?.parse().ok()
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(Cow::Borrowed(present(text).unwrap_or_default()))
    }
}

/// Returns a vendor's identifier as a title: `login_failed` and `LoginFailed` become `Login failed`.
pub fn sentence(name: &str) -> String {
    let mut sentence = String::with_capacity(name.len() + 8);
    let mut after_lower = false;
    for letter in name.chars() {
        let starts_word = letter.is_uppercase() && after_lower;
        after_lower = letter.is_lowercase();
        match letter {
            '_' | '-' | '.' => sentence.push(' '),
            _ if starts_word => sentence.extend([' '].into_iter().chain(letter.to_lowercase())),
            _ if sentence.is_empty() => sentence.extend(letter.to_uppercase()),
            _ => sentence.push(letter),
        }
    }
    sentence
}

/// The number of lines with which others are compared. More of them could exceed the mapper's deadline.
const LINES_COMPARED_MAX: usize = 500;

/// Returns texts as lines, or none if there are no texts. A line that repeats one of the first 500 is left out.
pub fn lines(texts: impl IntoIterator<Item = impl Into<String>>) -> Option<String> {
    let mut lines: Vec<String> = Vec::new();
    for text in texts.into_iter().map(Into::into) {
        if !lines.iter().take(LINES_COMPARED_MAX).any(|line| *line == text) {
            lines.push(text);
        }
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// Returns the last component of a path of Windows or Unix: `C:\\Users\\a\\b.exe` and `/tmp/b.exe` give `b.exe`.
pub fn file_name(path: &str) -> &str {
    let path = path.trim_end_matches(['/', '\\']);
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // As an option, because serde accepts missing fields only for options.
        if !reading::is_lenient() {
            return deserializer.deserialize_option(TextVisitor).map(Self);
        }
        let raw: Option<&'de RawValue> = Option::deserialize(deserializer)?;
        Ok(Self(raw.map(|raw| lenient(raw.get())).unwrap_or_default()))
    }
}

fn lenient(json: &str) -> Cow<'_, str> {
    if json.starts_with('{') && json != "{}" {
        problems::add_problem(|| wrong_part(json, "expected a text, found an object"));
        return Cow::default();
    }
    let is_list = json.starts_with('[');
    let count = if is_list { serde_json::from_str(json).map_or(0, |list: Vec<&RawValue>| list.len()) } else { 0 };
    if count > 1 {
        problems::add_problem(|| format!("of the {count} values in `{}`, only the first is read", name_of(json)));
    }
    serde_json::Deserializer::from_str(json).deserialize_any(TextVisitor).unwrap_or_default()
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a string, a number, a boolean or an array of them")
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(""))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(present(text).unwrap_or_default()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(present(text).map_or(Cow::Borrowed(""), |text| Cow::Owned(text.to_owned())))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(if value { "true" } else { "false" }))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Cow::Owned(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Cow::Owned(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        check_digits(value);
        Ok(Cow::Owned(value.to_string()))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(""))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let first: Option<Text<'de>> = elements.next_element()?;
        while elements.next_element::<IgnoredAny>()?.is_some() {
            fault();
        }
        Ok(first.map_or(Cow::Borrowed(""), |text| text.0))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            fault();
        }
        Ok(Cow::Borrowed(""))
    }
}

#[cfg(test)]
mod tests {
    use super::{Text, file_name, lines, sentence};
    use std::collections::BTreeMap;

    #[test]
    fn scalars_read_as_text() {
        let texts: BTreeMap<String, Text> = serde_json::from_str(
            r#"{"s": " x ", "e": "a\nb", "u": 18446744073709551615, "i": -3, "f": 2.5, "b": true, "a": [["7"], 8],
                "null": null, "na": "N/A", "empty": [], "o": {"x": 1}, "blank": "  "}"#,
        )
        .unwrap();
        let seen: Vec<(&str, Option<&str>)> = texts.iter().map(|(name, text)| (name.as_str(), text.get())).collect();
        let expected = [
            ("a", Some("7")),
            ("b", Some("true")),
            ("blank", None),
            ("e", Some("a\nb")),
            ("empty", None),
            ("f", Some("2.5")),
            ("i", Some("-3")),
            ("na", None),
            ("null", None),
            ("o", None),
            ("s", Some("x")),
            ("u", Some("18446744073709551615")),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn the_file_name_is_the_last_component_of_a_path() {
        for path in [r"C:\Users\a\b.exe", "/tmp/b.exe", "b.exe", r"C:\tmp/b.exe", "/tmp/b.exe/"] {
            assert_eq!(file_name(path), "b.exe", "{path}");
        }
    }

    #[test]
    fn lines_are_not_repeated() {
        assert_eq!(lines(["a", "b", "a"]).as_deref(), Some("a\nb"));
        assert_eq!(lines([""; 0]), None);
    }

    #[test]
    fn missing_fields_read_as_absent() {
        #[derive(serde::Deserialize)]
        struct Alert<'a> {
            #[serde(borrow)]
            name: Text<'a>,
            ports: crate::List<Text<'a>>,
        }
        let alert: Alert = serde_json::from_str("{}").unwrap();
        assert_eq!((alert.name.get(), alert.ports.len()), (None, 0));
    }

    #[test]
    fn identifiers_become_sentences() {
        let names = ["login_failed", "LoginFailed", "disk.full", "IAMChange", "Plain words", ""].map(sentence);
        assert_eq!(names, ["Login failed", "Login failed", "Disk full", "IAMChange", "Plain words", ""]);
    }
}
