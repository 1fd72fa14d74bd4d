//! URLs with values in them: where they lead is the template's own text, a value only fills path and query.

use super::{Place, Template};
use crate::Trigger;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use url::Url;

/// Bytes of a rendered URL.
const URL_BYTES_MAX: usize = 8_192;

/// A URL whose scheme, host and port are literal.
///
/// A value stands for itself: its `/`, `?`, `#` and `%` are percent-encoded. One that would make a segment of the path
/// `.` or `..` is refused when it is rendered, because receivers also take `%2E%2E` for it.
#[derive(Clone, Debug)]
pub struct UrlTemplate {
    template: Template,
    /// Scheme, host and port, as they are written.
    origin: String,
}

impl UrlTemplate {
    /// Reads a URL for the messages of a trigger.
    ///
    /// # Errors
    /// What is wrong with it, and what is allowed.
    pub fn new(text: &str, trigger: Trigger) -> Result<Self> {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let rest = rest.context("a URL begins with https:// or http://")?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        ensure!(
            !rest[..end].contains("{{"),
            "scheme, host and port of a URL are literal; values stand after the first / behind them"
        );
        ensure!(!rest[..end].contains('@'), "a URL has no name and password in it");
        let origin = &text[..text.len() - rest.len() + end];
        Url::parse(origin).with_context(|| format!("`{origin}` is no URL"))?;
        let template = Template::new(text, Place::Url, trigger)?;
        let url = Self { template, origin: origin.to_owned() };
        if !text.contains("{{") {
            url.render(&Value::Null)?;
        }
        Ok(url)
    }

    /// The URL for a message.
    ///
    /// # Errors
    /// When what comes of it is no URL, or a value would change the path.
    pub fn render(&self, message: &Value) -> Result<Url> {
        let text = self.template.render(message)?;
        ensure!(text.len() <= URL_BYTES_MAX, "a URL has at most {URL_BYTES_MAX} bytes; this one has {}", text.len());
        self.check(&text)?;
        let url = Url::parse(&text).context("what was rendered is no URL")?;
        if Url::parse(&self.origin)?.origin() != url.origin() {
            bail!("what was rendered does not begin with {}", self.origin);
        }
        Ok(url)
    }

    fn check(&self, text: &str) -> Result<()> {
        let path = text.strip_prefix(self.origin.as_str()).unwrap_or(text);
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let climbs = |segment: &str| matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..");
        ensure!(
            !path.split('/').any(climbs),
            "a part of the URL's path is `.` or `..`, which would change where it leads"
        );
        Ok(())
    }
}
