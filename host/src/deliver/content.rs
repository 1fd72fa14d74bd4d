//! What is sent of a message: by the type of its destination, in the words of its notification.

use super::destination::{Destination, DestinationType};
use super::email::{Letter, Mail};
use super::render::{Rendered, rendered};
use super::thehive::Alert;
use crate::loaded::Loaded;
use anyhow::{Context, Error, Result, anyhow, bail, ensure};
use hookmill_connection::is_reserved;
use hookmill_incident::{Operation, words};
use hookmill_notify::shapes::{default_template, mattermost, slack, teams};
use hookmill_notify::{Place, Template, Trigger, UrlTemplate, about_change, about_event};
use hookmill_store::{DueDelivery, Message};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use serde_json::{Value, json};

/// What an audit entry has beside its details and its object, more or less.
const ENTRY_BYTES: usize = 512;
/// Room for the headers of a request, so that it is not made anew with each.
const HEADERS: usize = 8;
const JSON: HeaderValue = HeaderValue::from_static("application/json");

words!(
    /// The shape of what a webhook gets.
    Format {
        /// An audit entry as TheHive's webhooks have it.
        Thehive = "thehive",
        /// `type`, `timestamp` and `data`, as Standard Webhooks propose.
        StandardWebhooks = "standard-webhooks",
    }
);

/// What a destination is sent, before its templates are read: that is done for each trigger.
#[derive(Clone, Debug)]
pub enum Recipe {
    /// The message itself, or what a notifier makes of it.
    Webhook {
        /// Where to.
        url: Url,
        /// In which shape.
        format: Format,
        /// The plugin that renders it.
        notifier: Option<String>,
    },
    /// A request of any kind.
    Http {
        /// Where to.
        url: String,
        /// How.
        method: Method,
        /// With which headers.
        headers: Vec<(HeaderName, String)>,
        /// Headers that nobody but the destination sets.
        own_headers: Vec<HeaderName>,
        /// What is sent where a step does not say it.
        body: Option<String>,
    },
    /// A post of a chat.
    Chat {
        /// Where to.
        url: Url,
        /// Which of them.
        kind: DestinationType,
    },
    /// A mail.
    Email(Letter),
    /// An alert of a TheHive.
    Thehive {
        /// Where it is.
        url: Url,
    },
    /// A line of JSON.
    File,
}

/// What a step of a notification says of it.
#[derive(Clone, Debug, Default)]
pub struct StepWords {
    /// The text.
    pub template: Option<String>,
    /// The body of the request.
    pub body: Option<String>,
    /// The subject of the mail.
    pub subject: Option<String>,
}

/// What is sent, with every template read.
#[derive(Debug)]
pub struct Content {
    trigger: Trigger,
    what: What,
}

#[derive(Debug)]
enum What {
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
    },
    Chat {
        url: Url,
        kind: DestinationType,
        text: Template,
    },
    Email {
        letter: Letter,
        subject: Template,
        text: Template,
    },
    Thehive {
        url: Url,
    },
    File {
        line: Option<Template>,
    },
}

/// What was made of a message.
#[derive(Debug)]
pub(super) enum Made {
    Request(Rendered),
    Mail(Mail),
    Alert(Alert),
    Line(Vec<u8>),
    /// It has nothing to say of this, for this reason.
    Nothing(String),
    /// It may be made another time.
    NotNow(Error),
    Never(Error),
}

impl Recipe {
    /// Reads the templates for the messages of a trigger.
    ///
    /// # Errors
    /// What is wrong with them, and what is allowed.
    pub fn content(&self, step: &StepWords, trigger: Trigger) -> Result<Content> {
        let takes = match self {
            Self::Webhook { .. } | Self::Thehive { .. } => [false, false, false],
            Self::Http { .. } => [false, true, false],
            Self::Chat { .. } | Self::File => [true, false, false],
            Self::Email(_) => [true, false, true],
        };
        let said = [("template", &step.template), ("body", &step.body), ("subject", &step.subject)];
        for ((key, words), takes) in said.into_iter().zip(takes) {
            ensure!(words.is_none() || takes, "`{key}` is nothing that this type of destination takes");
        }
        let text = |place: Place| match &step.template {
            Some(text) => Template::new(text, place, trigger).context("`template`"),
            None => default_template(place, trigger),
        };
        let what = match self {
            Self::Webhook { url, format, notifier } => {
                ensure!(
                    notifier.is_none() || trigger.is_about_incidents(),
                    "its notifier renders changes of incidents, and {trigger} is none"
                );
                What::Webhook { url: url.clone(), format: *format, notifier: notifier.clone() }
            }
            Self::Http { url, method, headers, own_headers, body } => {
                let content_type = headers.iter().find(|(name, _)| *name == CONTENT_TYPE).map(|(_, value)| value);
                ensure!(!content_type.is_some_and(|kind| kind.contains("{{")), "`content-type` cannot be a template");
                let place = content_type.map_or(Place::Json, |kind| place_of(kind));
                let body = step.body.as_ref().or(body.as_ref());
                let body = body.map(|text| Template::new(text.trim_end(), place, trigger).context("`body`"));
                let others = headers.iter().filter(|(name, _)| *name != CONTENT_TYPE);
                let headers = others.map(|(name, text)| {
                    ensure!(
                        !is_reserved(name) && !own_headers.contains(name),
                        "header `{name}` is not one to be set here"
                    );
                    let template = Template::new(text, Place::Header, trigger);
                    Ok((name.clone(), template.with_context(|| format!("header `{name}`"))?))
                });
                What::Http {
                    url: UrlTemplate::new(url, trigger).context("`url`")?,
                    method: method.clone(),
                    headers: headers.collect::<Result<_>>()?,
                    content_type: content_type.map(|kind| kind.parse()).transpose().context("`content-type`")?,
                    body: body.transpose()?,
                }
            }
            Self::Chat { url, kind } => {
                let place = if *kind == DestinationType::Slack { Place::Slack } else { Place::Markdown };
                What::Chat { url: url.clone(), kind: *kind, text: text(place)? }
            }
            Self::Email(letter) => {
                let subject = match &step.subject {
                    Some(text) => Template::new(text, Place::Header, trigger).context("`subject`")?,
                    None => default_template(Place::Header, trigger)?,
                };
                What::Email { letter: letter.clone(), subject, text: text(Place::Text)? }
            }
            Self::Thehive { url } => {
                ensure!(trigger.is_about_incidents(), "a TheHive takes changes of incidents, and {trigger} is none");
                What::Thehive { url: url.clone() }
            }
            Self::File => {
                let line = step.template.as_ref();
                let line = line.map(|text| Template::new(text, Place::Json, trigger).context("`template`"));
                What::File { line: line.transpose()? }
            }
        };
        Ok(Content { trigger, what })
    }
}

impl Content {
    /// Whether a plugin makes it.
    pub fn has_notifier(&self) -> bool {
        matches!(&self.what, What::Webhook { notifier: Some(_), .. })
    }

    /// Makes what is sent of a delivery.
    pub(super) async fn make(
        &self,
        destination: &Destination,
        delivery: &DueDelivery,
        loaded: &Loaded,
        public_url: &str,
    ) -> Made {
        if let What::Webhook { url, notifier: Some(notifier), .. } = &self.what {
            // Calling a plugin takes much room, which every attempt would have.
            return match Box::pin(rendered(destination, delivery, url, notifier, loaded)).await {
                Ok(Some(rendered)) => Made::Request(rendered),
                Ok(None) => Made::Nothing("its notifier sends nothing of this".into()),
                Err(error) => Made::NotNow(error),
            };
        }
        self.fill(delivery, public_url).unwrap_or_else(Made::Never)
    }

    fn fill(&self, delivery: &DueDelivery, public_url: &str) -> Result<Made> {
        let message = delivery.message.as_ref().map_err(|error| anyhow!("what it tells of cannot be read: {error}"))?;
        let is_of_trigger = match message {
            Message::Change(_) => self.trigger.is_about_incidents(),
            Message::Event(_) => self.trigger.is_about_events(),
            Message::Notice(_) => !self.trigger.is_about_incidents() && !self.trigger.is_about_events(),
        };
        ensure!(is_of_trigger, "its notification has the trigger {} now, which is for other messages", self.trigger);
        let seen = || seen(message, self.trigger, public_url);
        Ok(match &self.what {
            What::Webhook { url, format, .. } => {
                let (body, content_type) = match format {
                    Format::Thehive => raw(message, self.trigger, public_url)?,
                    Format::StandardWebhooks => (self.standard(message, public_url)?, JSON),
                };
                Made::Request(post(url, body, content_type))
            }
            What::Http { url, method, headers, content_type, body } => {
                let message_seen = seen();
                let (body, own_type) = match body {
                    Some(template) => (template.render(&message_seen).context("`body`")?.into_bytes(), JSON),
                    None if matches!(*method, Method::GET | Method::HEAD | Method::DELETE) => (Vec::new(), JSON),
                    None => raw(message, self.trigger, public_url)?,
                };
                let mut made = HeaderMap::new();
                if !body.is_empty() {
                    made.insert(CONTENT_TYPE, content_type.clone().unwrap_or(own_type));
                }
                for (name, template) in headers {
                    let text = template.render(&message_seen).with_context(|| format!("header `{name}`"))?;
                    made.append(name, HeaderValue::from_bytes(text.as_bytes())?);
                }
                let url = url.render(&message_seen).context("`url`")?;
                Made::Request(Rendered { method: method.clone(), url, headers: made, body })
            }
            What::Chat { url, kind, text } => {
                let message = seen();
                let text = text.render(&message)?;
                let body = match kind {
                    DestinationType::Slack => slack(&text),
                    DestinationType::Mattermost => mattermost(&text),
                    _ => teams(&text, message["url"].as_str()),
                };
                Made::Request(post(url, body.to_string().into_bytes(), JSON))
            }
            What::Email { letter, subject, text } => {
                let message = seen();
                Made::Mail(letter.mail(delivery.id, &subject.render(&message)?, text.render(&message)?)?)
            }
            What::Thehive { url } => match message {
                Message::Change(entry) => Made::Alert(Alert::new(url, entry.operation, seen())),
                Message::Event(_) | Message::Notice(_) => bail!("a TheHive takes changes of incidents"),
            },
            What::File { line } => Made::Line(match line {
                // A template may be written over several lines.
                Some(template) => serde_json::from_str::<Value>(&template.render(&seen())?)?.to_string().into_bytes(),
                None => raw_json(message, self.trigger, public_url)?,
            }),
        })
    }

    /// `type`, `timestamp` and `data`.
    fn standard(&self, message: &Message, public_url: &str) -> Result<Vec<u8>> {
        let (kind, at) = match message {
            Message::Change(entry) => {
                let word = match entry.operation {
                    Operation::Creation => "incident.created",
                    Operation::Update => "incident.updated",
                    Operation::Delete => "incident.deleted",
                };
                (word.to_owned(), jiff::Timestamp::from_millisecond(entry.start_date)?)
            }
            Message::Event(row) => {
                (self.trigger.as_str().replacen('_', ".", 1), jiff::Timestamp::from_millisecond(row.event.received_at)?)
            }
            Message::Notice(_) => (self.trigger.as_str().replacen('_', ".", 1), jiff::Timestamp::now()),
        };
        let data = seen(message, self.trigger, public_url);
        Ok(serde_json::to_vec(&json!({"type": kind, "timestamp": at, "data": data}))?)
    }
}

/// What filters and templates see of it.
pub fn seen(message: &Message, trigger: Trigger, public_url: &str) -> Value {
    match message {
        Message::Change(entry) => about_change(entry, public_url),
        Message::Event(row) => about_event(trigger, &row.event, &row.state, public_url, true),
        Message::Notice(seen) => seen.clone(),
    }
}

/// It as it is: an audit entry, the bytes of a payload with the type that they came with, else what templates see.
fn raw(message: &Message, trigger: Trigger, public_url: &str) -> Result<(Vec<u8>, HeaderValue)> {
    match message {
        Message::Event(row) if trigger == Trigger::EventReceived => {
            let content_type = row.event.content_type.as_ref().and_then(|text| text.parse().ok());
            let fallback = HeaderValue::from_static("application/octet-stream");
            Ok((row.event.body.to_vec(), content_type.unwrap_or(fallback)))
        }
        _ => Ok((raw_json(message, trigger, public_url)?, JSON)),
    }
}

fn raw_json(message: &Message, trigger: Trigger, public_url: &str) -> Result<Vec<u8>> {
    Ok(match message {
        Message::Change(entry) => {
            let length = entry.details.get().len() + entry.object.get().len() + ENTRY_BYTES;
            let mut bytes = Vec::with_capacity(length);
            serde_json::to_writer(&mut bytes, entry)?;
            bytes
        }
        message => serde_json::to_vec(&seen(message, trigger, public_url))?,
    })
}

/// What a body of this type asks of the values in it.
fn place_of(content_type: &str) -> Place {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match kind.as_str() {
        "text/html" | "application/xhtml+xml" | "application/xml" | "text/xml" => Place::Html,
        "application/x-www-form-urlencoded" => Place::Url,
        "application/json" => Place::Json,
        kind if kind.ends_with("+json") => Place::Json,
        kind if kind.ends_with("+xml") => Place::Html,
        _ => Place::Text,
    }
}

fn post(url: &Url, body: Vec<u8>, content_type: HeaderValue) -> Rendered {
    let mut headers = HeaderMap::with_capacity(HEADERS);
    headers.insert(CONTENT_TYPE, content_type);
    Rendered { method: Method::POST, url: url.clone(), headers, body }
}
