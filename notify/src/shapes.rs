//! The bodies that chat destinations and TheHive take, and what is said when nobody wrote a template.
//!
//! Nothing here escapes: a text comes from a [`Template`] of the place that its destination reads.

mod thehive;

pub use thehive::{TheHiveUpdate, thehive_alert, thehive_update};

use super::fields::Trigger;
use super::template::{Place, Template};
use anyhow::Result;
use serde_json::{Value, json};

/// Characters of a message of Slack.
const SLACK_CHARACTERS_MAX: usize = 40_000;
/// Characters of one section of it.
const SLACK_SECTION_CHARACTERS_MAX: usize = 3_000;
/// Characters of a post of Mattermost.
const MATTERMOST_CHARACTERS_MAX: usize = 16_383;
/// Bytes of a whole message of Teams: 28 KB.
const TEAMS_BYTES_MAX: usize = 28_000;

/// What is said of a message when there is no template.
///
/// # Errors
/// Never: a test reads each of them.
pub fn default_template(place: Place, trigger: Trigger) -> Result<Template> {
    let said = match trigger {
        Trigger::EventReceived => "Event from {{event.source}} LINK{{event.id}}END",
        Trigger::EventQuarantined => {
            "An event from {{event.source}} could not be mapped: LINK{{event.id}}END {{event.error.code}}: \
             {{event.error.message}}"
        }
        Trigger::DestinationDisabled => "Destination {{object.name}} is disabled: {{object.reason}}",
        Trigger::PluginRefused => "Plugin {{object.name}} was refused: {{object.error}}",
        Trigger::SourceSilent => "Source {{object.name}} is silent; its last event came {{object.last_event_at}}",
        Trigger::IncidentCreated
        | Trigger::IncidentUpdated
        | Trigger::IncidentResolved
        | Trigger::SeverityRaised
        | Trigger::ObservableAdded
        | Trigger::Any => {
            "LINK{{object.number}}END {{severityLabel object.severity}}: {{object.title}} ({{object.source}}, \
             {{object.status}})"
        }
    };
    let (link, end) = match place {
        Place::Slack => ("{{#if url}}<{{url}}|{{/if}}", "{{#if url}}>{{/if}}"),
        Place::Markdown => ("{{#if url}}[{{/if}}", "{{#if url}}]({{url}}){{/if}}"),
        Place::Html => ("{{#if url}}<a href=\"{{url}}\">{{/if}}", "{{#if url}}</a>{{/if}}"),
        Place::Text => ("", "{{#if url}} {{url}}{{/if}}"),
        Place::Json | Place::Url | Place::Header => ("", ""),
    };
    Template::new(&said.replace("LINK", link).replace("END", end), place, trigger)
}

/// The body for an incoming webhook of Slack, from a text of [`Place::Slack`].
///
/// Its sections are `verbatim`, so that Slack makes no links of addresses that a payload names.
pub fn slack(text: &str) -> Value {
    let text = truncate(text, SLACK_CHARACTERS_MAX);
    let sections = sections(&text)
        .into_iter()
        .map(|section| json!({"type": "section", "text": {"type": "mrkdwn", "text": section, "verbatim": true}}));
    json!({"text": text, "blocks": sections.collect::<Vec<_>>()})
}

/// The body for an incoming webhook of Mattermost, from a text of [`Place::Markdown`].
pub fn mattermost(text: &str) -> Value {
    json!({"text": truncate(text, MATTERMOST_CHARACTERS_MAX)})
}

/// The body for a Workflows URL of Teams: an Adaptive Card from a text of [`Place::Markdown`], with a button that opens
/// `link`.
pub fn teams(text: &str, link: Option<&str>) -> Value {
    let link = link.filter(|link| link.starts_with("https://") || link.starts_with("http://"));
    let mut characters = TEAMS_BYTES_MAX;
    loop {
        let mut card = json!({
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "type": "AdaptiveCard",
            "version": "1.4",
            "body": [{"type": "TextBlock", "text": truncate(text, characters), "wrap": true}],
        });
        if let Some(link) = link {
            card["actions"] = json!([{"type": "Action.OpenUrl", "title": "Open", "url": link}]);
        }
        let attachment =
            json!({"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null, "content": card});
        let message = json!({"type": "message", "attachments": [attachment]});
        // Escapes and letters of several bytes count too; with no text left it is as short as it can be.
        if characters == 0 || message.to_string().len() <= TEAMS_BYTES_MAX {
            return message;
        }
        characters = characters * 7 / 8;
    }
}

/// Cuts a text to so many characters, the last of them `…` when something was cut.
fn truncate(text: &str, characters: usize) -> String {
    if text.char_indices().nth(characters).is_none() {
        return text.to_owned();
    }
    let Some(kept) = characters.checked_sub(1) else { return String::new() };
    text.chars().take(kept).chain(['…']).collect()
}

/// A text in pieces of a section each, cut between lines or words where that is possible.
fn sections(text: &str) -> Vec<&str> {
    let mut sections = Vec::new();
    let mut rest = text.trim();
    while let Some((end, _)) = rest.char_indices().nth(SLACK_SECTION_CHARACTERS_MAX) {
        let piece = &rest[..end];
        let cut = piece.rfind('\n').or_else(|| piece.rfind(' ')).filter(|cut| *cut > 0).unwrap_or(end);
        sections.push(&rest[..cut]);
        rest = rest[cut..].trim_start();
    }
    if !rest.is_empty() {
        sections.push(rest);
    }
    sections
}

#[cfg(test)]
mod tests {
    use super::{
        MATTERMOST_CHARACTERS_MAX, SLACK_SECTION_CHARACTERS_MAX, TEAMS_BYTES_MAX, default_template, mattermost, slack,
        teams,
    };
    use crate::{Place, Trigger};
    use serde_json::json;

    #[test]
    fn what_is_said_without_a_template() {
        let message = json!({
            "object": {"number": "INC-2026-0007", "severity": "high", "title": "A <b>", "source": "edr", "status": "new"},
            "url": "https://soc.example/i?a=1&b=2",
        });
        let cases = [
            (Place::Text, "INC-2026-0007 https://soc.example/i?a=1&b=2 High: A <b> (edr, new)"),
            (Place::Slack, "<https://soc.example/i?a=1&amp;b=2|INC-2026-0007> High: A &lt;b&gt; (edr, new)"),
            (Place::Markdown, "[INC-2026-0007](https\\://soc.example/i?a=1\\&b=2) High: A \\<b\\> (edr, new)"),
        ];
        for (place, expected) in cases {
            let text = default_template(place, Trigger::IncidentCreated).unwrap().render(&message).unwrap();
            assert_eq!(text, expected);
        }
        for trigger in Trigger::ALL {
            for place in [Place::Text, Place::Slack, Place::Markdown, Place::Html, Place::Header] {
                assert!(!default_template(place, *trigger).unwrap().render(&json!({})).unwrap().contains("LINK"));
            }
        }
    }

    #[test]
    fn bodies_stay_within_what_is_taken() {
        assert_eq!(
            slack("a *b*"),
            json!({"text": "a *b*", "blocks": [
                {"type": "section", "text": {"type": "mrkdwn", "text": "a *b*", "verbatim": true}}]})
        );
        assert_eq!(mattermost("a"), json!({"text": "a"}));
        for long in ["ä".repeat(100_000), "word ".repeat(20_000), "\"\n".repeat(50_000), "\u{1}".repeat(50_000)] {
            let body = slack(&long);
            let sections = body["blocks"].as_array().unwrap();
            assert!(sections.len() <= 50);
            for section in sections {
                let text = section["text"]["text"].as_str().unwrap();
                assert!((1..=SLACK_SECTION_CHARACTERS_MAX).contains(&text.chars().count()));
            }
            assert_eq!(body["text"].as_str().unwrap().chars().count(), 40_000);
            assert!(body["text"].as_str().unwrap().ends_with('…'));
            assert_eq!(mattermost(&long)["text"].as_str().unwrap().chars().count(), MATTERMOST_CHARACTERS_MAX);
            let card = teams(&long, Some("https://soc.example/1"));
            assert!(card.to_string().len() <= TEAMS_BYTES_MAX);
            assert!(card["attachments"][0]["content"]["body"][0]["text"].as_str().unwrap().ends_with('…'));
        }
        assert_eq!(
            teams("a", Some("https://soc.example/1")),
            json!({"type": "message", "attachments": [{
                "contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null,
                "content": {
                    "$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard",
                    "version": "1.4", "body": [{"type": "TextBlock", "text": "a", "wrap": true}],
                    "actions": [{"type": "Action.OpenUrl", "title": "Open", "url": "https://soc.example/1"}],
                },
            }]})
        );
        assert_eq!(teams("a", Some("javascript:alert(1)")), teams("a", None));
    }
}
