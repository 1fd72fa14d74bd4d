//! URLs with values: the template's own text decides the host; values only fill path and query.

use crate::{OutputContext, Template, Trigger};
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use url::Url;

/// The greatest length of a rendered URL, in bytes.
const URL_BYTES_MAX: usize = 8_192;

/// A template of a URL whose scheme, host and port are literal.
///
/// Values cannot change the structure of the URL: their `/`, `?`, `#` and `%` are percent-encoded. Rendering fails if a
/// segment of the path would be `.` or `..`, because receivers also read `%2E%2E` as `..`.
#[derive(Clone, Debug)]
pub struct UrlTemplate {
    template: Template,
    /// Scheme, host and port, as written in the configuration.
    origin: String,
}

impl UrlTemplate {
    /// Parses a URL for the messages of a trigger.
    ///
    /// # Errors
    /// Returns an error that explains the mistake and lists the allowed values.
    pub fn new(text: &str, trigger: Trigger) -> Result<Self> {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let rest = rest.context("a URL must begin with https:// or http://")?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        ensure!(
            !rest[..end].contains("{{"),
            "scheme, host and port of a URL must be literal; values can follow after the next /"
        );
        ensure!(!rest[..end].contains('@'), "a URL cannot contain a name and password");
        let origin = &text[..text.len() - rest.len() + end];
        Url::parse(origin).with_context(|| format!("`{origin}` is not a URL"))?;
        let template = Template::new(text, OutputContext::Url, trigger)?;
        let url = Self { template, origin: origin.to_owned() };
        if !text.contains("{{") {
            url.render(&Value::Null)?;
        }
        Ok(url)
    }

    /// Renders the URL for a message.
    ///
    /// # Errors
    /// Returns an error if the result is not a URL, or if a value would change the structure of the path.
    pub fn render(&self, message: &Value) -> Result<Url> {
        let text = self.template.render(message)?;
        ensure!(text.len() <= URL_BYTES_MAX, "a URL has at most {URL_BYTES_MAX} bytes; this one has {}", text.len());
        self.check_path(&text)?;
        let url = Url::parse(&text).context("the rendered text is not a URL")?;
        if Url::parse(&self.origin)?.origin() != url.origin() {
            bail!("the rendered URL does not begin with {}", self.origin);
        }
        Ok(url)
    }

    fn check_path(&self, text: &str) -> Result<()> {
        let path = text.strip_prefix(self.origin.as_str()).unwrap_or(text);
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let is_dots = |segment: &str| matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..");
        ensure!(
            !path.split('/').any(is_dots),
            "a segment of the URL's path is `.` or `..`, which would change its target"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::UrlTemplate;
    use crate::Trigger;
    use crate::test_messages::{HOSTILE, message};
    use serde_json::json;

    #[test]
    fn values_never_change_the_target_of_a_url() {
        let cases = [
            ("https://t.example/{{object.source_ref}}", "https://t.example/a%2Fb%20%3F%23%25"),
            (
                "http://t.example:8080/x?a={{urlencode object.source_ref}}&b={{object.severity}}#{{object.number}}",
                "http://t.example:8080/x?a=a%2Fb%20%3F%23%25&b=critical#INC-2026-0007",
            ),
            (
                "https://t.example?q={{url}}",
                "https://t.example/?q=https%3A%2F%2Fsoc.example%2Fi%2FINC-2026-0007%3Fa%3D1%26b%3D2",
            ),
            (
                "https://t.example/{{#each object.tags}}{{../object.source}}-{{this}}/{{/each}}",
                "https://t.example/edr-apt/edr-c2/",
            ),
        ];
        for (text, expected) in cases {
            let url = UrlTemplate::new(text, Trigger::Any).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(url.render(&message()).unwrap().as_str(), expected, "{text}");
        }
        let hostile = UrlTemplate::new("https://t.example/a/{{event.source}}/c", Trigger::EventReceived).unwrap();
        for value in HOSTILE {
            let rendered = hostile.render(&json!({"event": {"source": value}}));
            match value {
                ".." => assert_eq!(
                    rendered.unwrap_err().to_string(),
                    "a segment of the URL's path is `.` or `..`, which would change its target"
                ),
                _ => {
                    let url = rendered.unwrap();
                    assert!(url.as_str().starts_with("https://t.example/a/") && url.path().ends_with("/c"), "{url}");
                    assert_eq!(url.path().split('/').count(), 4, "{url}");
                }
            }
        }
        let refused = [
            (
                "https://{{object.source}}/",
                "scheme, host and port of a URL must be literal; values can follow after the next /",
            ),
            (
                "https://t.example{{object.source}}",
                "scheme, host and port of a URL must be literal; values can follow after the next /",
            ),
            ("{{url}}", "a URL must begin with https:// or http://"),
            ("ftp://t.example/", "a URL must begin with https:// or http://"),
            ("https://user:pass@t.example/", "a URL cannot contain a name and password"),
            ("https://t.example:port/", "`https://t.example:port` is not a URL"),
            ("https://t.example/a/%2E./b", "a segment of the URL's path is `.` or `..`, which would change its target"),
            ("https://t.example/{{object.titel}}", "unknown field `object.titel`; did you mean `object.title`?"),
        ];
        for (text, expected) in refused {
            assert_eq!(UrlTemplate::new(text, Trigger::Any).unwrap_err().to_string(), expected, "{text}");
        }
        let long = UrlTemplate::new("https://t.example/{{event.source}}", Trigger::EventReceived).unwrap();
        assert!(long.render(&json!({"event": {"source": "a".repeat(10_000)}})).is_err());
    }
}
