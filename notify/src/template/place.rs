//! Where a value is written, and what that asks of its text.

use anyhow::{Result, ensure};
use std::fmt::Write;

/// What a rendered template is used as. A value is escaped for it, so that no payload can mean more than its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Plain text, which nothing reads again.
    Text,
    /// A JSON document. A plain value stands inside a string, `{{json …}}` stands for a whole value.
    Json,
    /// A URL's path and query: everything but unreserved characters is percent-encoded, `/` too.
    Url,
    /// HTML text, or an attribute in quotes.
    Html,
    /// Markdown as Mattermost and Adaptive Cards read it: links, mentions and formatting are taken out of effect.
    Markdown,
    /// Slack's `mrkdwn`: `<`, `>` and `&` become entities, so that there are no links and no mentions. It has nothing
    /// that keeps `*`, `_`, `~` and backticks from being formatting.
    Slack,
    /// The value of an HTTP header: control characters become spaces.
    Header,
}

impl Place {
    /// Writes a value's text so that it stands for itself.
    pub(super) fn escape(self, text: &str) -> String {
        match self {
            Self::Text => text.to_owned(),
            Self::Json => escape_json(text),
            Self::Url => percent_encode(text),
            Self::Html => replace(text, |character| match character {
                '&' => Some("&amp;"),
                '<' => Some("&lt;"),
                '>' => Some("&gt;"),
                '"' => Some("&quot;"),
                '\'' => Some("&#x27;"),
                '`' => Some("&#x60;"),
                '=' => Some("&#x3D;"),
                _ => None,
            }),
            Self::Markdown => escape_markdown(text),
            Self::Slack => replace(text, |character| match character {
                '&' => Some("&amp;"),
                '<' => Some("&lt;"),
                '>' => Some("&gt;"),
                _ => None,
            }),
            Self::Header => replace(text, |character| character.is_control().then_some(" ")),
        }
    }

    /// Checks the template's own text.
    pub(super) fn check(self, text: &str) -> Result<()> {
        match self {
            Self::Header => {
                ensure!(!text.contains(char::is_control), "a header has no line breaks or control characters")
            }
            Self::Url => ensure!(
                !text.contains(|character: char| character.is_control()
                    || character.is_whitespace()
                    || character == '\\'),
                "a URL has no spaces, line breaks or backslashes; write %20 and the like"
            ),
            _ => {}
        }
        Ok(())
    }
}

fn replace(text: &str, with: impl Fn(char) -> Option<&'static str>) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match with(character) {
            Some(other) => escaped.push_str(other),
            None => escaped.push(character),
        }
    }
    escaped
}

/// For the inside of a string. Also what would end a script that the JSON is put into.
fn escape_json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    replace(&quoted[1..quoted.len() - 1], |character| match character {
        '<' => Some("\\u003c"),
        '>' => Some("\\u003e"),
        '&' => Some("\\u0026"),
        '\u{2028}' => Some("\\u2028"),
        '\u{2029}' => Some("\\u2029"),
        _ => None,
    })
}

/// Everything but the unreserved characters of RFC 3986.
pub(super) fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            _ => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

fn escape_markdown(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + text.len() / 8);
    let mut at_line_start = true;
    for (index, character) in text.char_indices() {
        let after = &text[index + character.len_utf8()..];
        let before = &text.as_bytes()[..index];
        let means_something = match character {
            '\\' | '`' | '*' | '_' | '[' | ']' | '(' | ')' | '<' | '>' | '#' | '|' | '~' | '!' | '&' => true,
            // Lists, rules and underlines that make headings.
            '-' | '+' | '=' => at_line_start,
            // Links without brackets.
            ':' => after.starts_with("//"),
            '.' => before.len() >= 3 && before[before.len() - 3..].eq_ignore_ascii_case(b"www"),
            _ => false,
        };
        if means_something {
            escaped.push('\\');
        }
        escaped.push(character);
        if character == '@' {
            // Mentions are looked for in the text without its backslashes.
            escaped.push('\u{200b}');
        }
        at_line_start = character == '\n' || (at_line_start && character.is_whitespace());
    }
    escaped
}
