//! The format of a rendered template, which decides how values are escaped.

use super::escape::{json, markdown, percent_encode, replace};
use anyhow::{Result, ensure};

/// The format of a rendered template. Values are escaped for this format, so that a payload can only contribute text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputContext {
    /// Plain text, which is not interpreted.
    Text,
    /// A JSON document. A plain value is within a string; `{{json …}}` is a whole value.
    Json,
    /// The path and query of a URL: all but unreserved characters are percent-encoded, `/` too.
    Url,
    /// HTML text, or an attribute in quotes.
    Html,
    /// Markdown as Mattermost and Adaptive Cards read it: links, mentions and formatting have no effect.
    Markdown,
    /// Slack's `mrkdwn`: `<`, `>` and `&` become entities, so that there are no links and no mentions. Slack has no
    /// escape for `*`, `_`, `~` and backticks, so these still format.
    Slack,
    /// The value of an HTTP header: control characters become spaces.
    Header,
}

impl OutputContext {
    /// Returns the text of a value, escaped so that it has no special meaning.
    pub(super) fn escape(self, text: &str) -> String {
        match self {
            Self::Text => text.to_owned(),
            Self::Json => json(text),
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
            Self::Markdown => markdown(text),
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
    ///
    /// # Errors
    /// Returns an error if the text contains characters that the format does not allow.
    pub(super) fn check(self, text: &str) -> Result<()> {
        match self {
            Self::Header => {
                ensure!(!text.contains(char::is_control), "a header cannot contain line breaks or control characters")
            }
            Self::Url => ensure!(
                !text.contains(|character: char| character.is_control()
                    || character.is_whitespace()
                    || character == '\\'),
                "a URL cannot contain spaces, line breaks or backslashes; percent-encode them, such as %20"
            ),
            _ => {}
        }
        Ok(())
    }
}
