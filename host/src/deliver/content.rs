//! The content of messages: parsed templates, filled with the values of a message.

use super::destination_type::{Chat, Format};
use super::mail::MailAddresses;
use super::message_body::{JSON, template_values};
use super::outgoing::OutgoingMessage;
use super::request::{OutgoingRequest, has_body};
use super::thehive::{ALERT_STAYS, Alert};
use super::thehive_memory::TheHiveMemory;
use anyhow::{Context, Result, anyhow, bail, ensure};
use hookmill_incident::Operation;
use hookmill_notify::bodies::{mattermost, slack, teams};
use hookmill_notify::{Template, Trigger, UrlTemplate};
use hookmill_store::{DueDelivery, Message};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use serde_json::Value;
use std::sync::Arc;

/// The content of messages, with parsed templates.
#[derive(Debug)]
pub struct Content {
    trigger: Trigger,
    kind: ContentKind,
}

/// The content by type of destination.
#[derive(Debug)]
pub(super) enum ContentKind {
    Webhook {
        url: Url,
        format: Format,
        notifier: Option<String>,
    },
    Http {
        url: UrlTemplate,
        method: Method,
        headers: Vec<(HeaderName, Template)>,
        content_type: Option<HeaderValue>,
        body: Option<Template>,
        format: Format,
    },
    Chat {
        url: Url,
        chat: Chat,
        text: Template,
    },
    Email {
        addresses: MailAddresses,
        subject: Template,
        text: Template,
    },
    Thehive {
        url: Url,
        memory: Arc<TheHiveMemory>,
    },
    File {
        line: Option<Template>,
        format: Format,
    },
}

impl Content {
    pub(super) fn new(trigger: Trigger, kind: ContentKind) -> Self {
        Self { trigger, kind }
    }

    /// Returns the notifier that renders the request, and the URL of the receiver.
    pub(super) fn notifier(&self) -> Option<(&Url, &str)> {
        match &self.kind {
            ContentKind::Webhook { url, notifier: Some(notifier), .. } => Some((url, notifier)),
            _ => None,
        }
    }

    /// Creates the message of a delivery, without a notifier.
    pub(super) fn fill(&self, delivery: &DueDelivery, public_url: &str) -> Result<OutgoingMessage> {
        let message =
            delivery.message.as_ref().map_err(|error| anyhow!("cannot read the message of the delivery: {error}"))?;
        self.require_trigger(message)?;
        let values = || template_values(message, self.trigger, public_url);
        Ok(match &self.kind {
            ContentKind::Webhook { url, format, .. } => {
                let (body, content_type) = format.body(delivery, message, self.trigger, public_url)?;
                OutgoingMessage::Request(OutgoingRequest::post(url, body, content_type))
            }
            ContentKind::Http { url, method, headers, content_type, body, format } => {
                let values = values();
                let (body, own_type) = match body {
                    Some(template) => match text_of(template, &values).context("`body`")? {
                        Some(text) => (text.into_bytes(), JSON),
                        None => return Ok(empty("body")),
                    },
                    None if !has_body(method) => (Vec::new(), JSON),
                    None => format.body(delivery, message, self.trigger, public_url)?,
                };
                let content_type = (!body.is_empty()).then(|| content_type.clone().unwrap_or(own_type));
                let headers = rendered_headers(content_type, headers, &values)?;
                let url = url.render(&values).context("`url`")?;
                OutgoingMessage::Request(OutgoingRequest { method: method.clone(), url, headers, body })
            }
            ContentKind::Chat { url, chat, text } => {
                let values = values();
                let Some(text) = text_of(text, &values)? else { return Ok(empty("template")) };
                let body = match chat {
                    Chat::Slack => slack(&text),
                    Chat::Mattermost => mattermost(&text),
                    Chat::Teams => teams(&text, values["url"].as_str()),
                };
                OutgoingMessage::Request(OutgoingRequest::post(url, body.to_string().into_bytes(), JSON))
            }
            ContentKind::Email { addresses, subject, text } => {
                let values = values();
                let Some(text) = text_of(text, &values)? else { return Ok(empty("template")) };
                OutgoingMessage::Mail(addresses.mail(delivery.id, &subject.render(&values)?, text)?)
            }
            ContentKind::Thehive { url, memory } => match message {
                Message::Change(entry) => match entry.operation {
                    Operation::Creation => OutgoingMessage::Alert(Alert::new(url, memory, true, values())),
                    Operation::Update => OutgoingMessage::Alert(Alert::new(url, memory, false, values())),
                    Operation::Delete => OutgoingMessage::Nothing(ALERT_STAYS.into()),
                },
                Message::Event(_) | Message::Notice(_) => bail!("TheHive accepts only changes of incidents"),
            },
            ContentKind::File { line: Some(template), .. } => match text_of(template, &values())? {
                // Parsed and written again, because a template may have line breaks between its values.
                Some(text) => OutgoingMessage::Line(serde_json::from_str::<Value>(&text)?.to_string().into_bytes()),
                None => empty("template"),
            },
            ContentKind::File { line: None, format } => {
                OutgoingMessage::Line(format.json(delivery, message, self.trigger, public_url)?)
            }
        })
    }

    /// Refuses a message of another trigger: the notification may have changed since the message was queued.
    fn require_trigger(&self, message: &Message) -> Result<()> {
        let fits = match message {
            Message::Change(_) => self.trigger.is_about_incidents(),
            Message::Event(_) => self.trigger.is_about_events(),
            Message::Notice(_) => !self.trigger.is_about_incidents() && !self.trigger.is_about_events(),
        };
        ensure!(fits, "the notification now has the trigger {}, which does not fit this message", self.trigger);
        Ok(())
    }
}

/// Returns the text of a template; `None` if its values and blocks leave nothing of it.
fn text_of(template: &Template, values: &Value) -> Result<Option<String>> {
    let text = template.render(values)?;
    Ok(Some(text).filter(|text| !template.has_values() || !text.trim().is_empty()))
}

fn empty(key: &str) -> OutgoingMessage {
    OutgoingMessage::Nothing(format!("nothing is sent, because `{key}` makes an empty text of this message"))
}

fn rendered_headers(
    content_type: Option<HeaderValue>,
    headers: &[(HeaderName, Template)],
    values: &Value,
) -> Result<HeaderMap> {
    let mut rendered: HeaderMap = content_type.into_iter().map(|value| (CONTENT_TYPE, value)).collect();
    for (name, template) in headers {
        let text = template.render(values).with_context(|| format!("header `{name}`"))?;
        rendered.append(name, HeaderValue::from_bytes(text.as_bytes())?);
    }
    Ok(rendered)
}
