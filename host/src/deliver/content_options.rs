//! The configured content of a destination, before its templates are parsed for a trigger.

use super::content::{Content, ContentKind};
use super::destination_type::{Chat, Format};
use super::mail::MailAddresses;
use super::thehive_memory::TheHiveMemory;
use anyhow::{Context, Result, ensure};
use hookmill_connection::is_reserved;
use hookmill_notify::default_template;
use hookmill_notify::{OutputContext, Template, Trigger, UrlTemplate};
use reqwest::header::{CONTENT_TYPE, HeaderName};
use reqwest::{Method, Url};
use std::sync::Arc;

/// The configured content of a destination. Its templates are parsed for each trigger.
#[derive(Clone, Debug)]
pub enum ContentOptions {
    /// The message itself, or the request of a notifier.
    Webhook {
        /// The receiver.
        url: Url,
        /// The format of the body.
        format: Format,
        /// The plugin that renders the request.
        notifier: Option<String>,
    },
    /// Any HTTP request.
    Http {
        /// The template of the URL.
        url: String,
        /// The method.
        method: Method,
        /// The templates of the headers.
        headers: Vec<(HeaderName, String)>,
        /// Headers that only the destination sets.
        own_headers: Vec<HeaderName>,
        /// The template of the body, for steps without one.
        body: Option<String>,
        /// The format of the body if there is no template.
        format: Format,
    },
    /// A chat message.
    Chat {
        /// The webhook of the chat.
        url: Url,
        /// The chat system.
        chat: Chat,
    },
    /// A mail.
    Email(MailAddresses),
    /// An alert in TheHive.
    Thehive {
        /// The address of TheHive.
        url: Url,
        /// The parts of alerts that this TheHive does not know.
        memory: Arc<TheHiveMemory>,
    },
    /// A line of JSON.
    File {
        /// The format of the line if there is no template.
        format: Format,
    },
}

/// The templates of one step of a notification.
#[derive(Clone, Debug, Default)]
pub struct StepTemplates {
    /// The text.
    pub template: Option<String>,
    /// The body of the request.
    pub body: Option<String>,
    /// The subject of the mail.
    pub subject: Option<String>,
}

impl ContentOptions {
    /// Parses the templates for the messages of a trigger.
    ///
    /// # Errors
    /// Returns an error if a template is invalid, or if the destination's type does not use it.
    pub fn content(&self, step: &StepTemplates, trigger: Trigger) -> Result<Content> {
        self.require_used(step)?;
        let text = |place: OutputContext| match &step.template {
            Some(text) => Template::new(text, place, trigger).context("`template`"),
            None => default_template(place, trigger),
        };
        let kind = match self {
            Self::Webhook { url, format, notifier } => {
                ensure!(
                    notifier.is_none() || trigger.is_about_incidents(),
                    "the notifier of this destination renders only changes of incidents, not {trigger}"
                );
                if notifier.is_none() {
                    require_fit(*format, trigger)?;
                }
                ContentKind::Webhook { url: url.clone(), format: *format, notifier: notifier.clone() }
            }
            Self::Http { url, method, headers, own_headers, body, format } => {
                let body = step.body.as_ref().or(body.as_ref());
                if body.is_none() {
                    require_fit(*format, trigger)?;
                }
                http(url, method, headers, own_headers, body, *format, trigger)?
            }
            Self::Chat { url, chat } => {
                let place = match chat {
                    Chat::Slack => OutputContext::Slack,
                    Chat::Mattermost | Chat::Teams => OutputContext::Markdown,
                };
                ContentKind::Chat { url: url.clone(), chat: *chat, text: text(place)? }
            }
            Self::Email(addresses) => {
                let subject = match &step.subject {
                    Some(text) => Template::new(text, OutputContext::Header, trigger).context("`subject`")?,
                    None => default_template(OutputContext::Header, trigger)?,
                };
                ContentKind::Email { addresses: addresses.clone(), subject, text: text(OutputContext::Text)? }
            }
            Self::Thehive { url, memory } => {
                ensure!(trigger.is_about_incidents(), "TheHive accepts only changes of incidents, not {trigger}");
                ContentKind::Thehive { url: url.clone(), memory: memory.clone() }
            }
            Self::File { format } => {
                let line = step.template.as_ref();
                if line.is_none() {
                    require_fit(*format, trigger)?;
                }
                let line = line.map(|text| Template::new(text, OutputContext::Json, trigger).context("`template`"));
                ContentKind::File { line: line.transpose()?, format: *format }
            }
        };
        Ok(Content::new(trigger, kind))
    }

    /// Refuses templates that this type of destination would ignore.
    fn require_used(&self, step: &StepTemplates) -> Result<()> {
        let uses = match self {
            Self::Webhook { .. } | Self::Thehive { .. } => [false, false, false],
            Self::Http { .. } => [false, true, false],
            Self::Chat { .. } | Self::File { .. } => [true, false, false],
            Self::Email(_) => [true, false, true],
        };
        let templates = [("template", &step.template), ("body", &step.body), ("subject", &step.subject)];
        for ((key, template), is_used) in templates.into_iter().zip(uses) {
            ensure!(template.is_none() || is_used, "this type of destination does not support `{key}`; remove the key");
        }
        Ok(())
    }
}

/// Refuses a format that has no form for the messages of a trigger.
fn require_fit(format: Format, trigger: Trigger) -> Result<()> {
    ensure!(
        format != Format::Ocsf || trigger.is_about_incidents(),
        "the format `ocsf` has only changes of incidents, not {trigger}; use another format or a template"
    );
    Ok(())
}

fn http(
    url: &str,
    method: &Method,
    headers: &[(HeaderName, String)],
    own_headers: &[HeaderName],
    body: Option<&String>,
    format: Format,
    trigger: Trigger,
) -> Result<ContentKind> {
    let content_type = headers.iter().find(|(name, _)| *name == CONTENT_TYPE).map(|(_, value)| value);
    ensure!(!content_type.is_some_and(|kind| kind.contains("{{")), "`content-type` cannot be a template");
    let place = content_type.map_or(OutputContext::Json, |kind| place_of(kind));
    let body = body.map(|text| Template::new(text.trim_end(), place, trigger).context("`body`"));
    let others = headers.iter().filter(|(name, _)| *name != CONTENT_TYPE);
    let headers = others.map(|(name, text)| {
        ensure!(!is_reserved(name) && !own_headers.contains(name), "header `{name}` cannot be set here");
        let template = Template::new(text, OutputContext::Header, trigger);
        Ok((name.clone(), template.with_context(|| format!("header `{name}`"))?))
    });
    Ok(ContentKind::Http {
        url: UrlTemplate::new(url, trigger).context("`url`")?,
        method: method.clone(),
        headers: headers.collect::<Result<_>>()?,
        content_type: content_type.map(|kind| kind.parse()).transpose().context("`content-type`")?,
        body: body.transpose()?,
        format,
    })
}

/// Returns the escaping that values need in a body of this type.
fn place_of(content_type: &str) -> OutputContext {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match kind.as_str() {
        "text/html" | "application/xhtml+xml" | "application/xml" | "text/xml" => OutputContext::Html,
        "application/x-www-form-urlencoded" => OutputContext::Url,
        "application/json" => OutputContext::Json,
        kind if kind.ends_with("+json") => OutputContext::Json,
        kind if kind.ends_with("+xml") => OutputContext::Html,
        _ => OutputContext::Text,
    }
}
