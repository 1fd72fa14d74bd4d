//! The bodies that chats expect.

use super::markup::Markup;
#[cfg(doc)]
use crate::OutputContext;
use serde_json::{Value, json};

/// The greatest length of a Slack message, in characters.
const SLACK_CHARACTERS_MAX: usize = 40_000;
/// The greatest length of one section of a Slack message, in characters.
const SLACK_SECTION_CHARACTERS_MAX: usize = 3_000;
/// The greatest length of a Mattermost post, in characters.
const MATTERMOST_CHARACTERS_MAX: usize = 16_383;
/// The greatest length of a whole Teams message, in bytes: 28 KB.
const TEAMS_BYTES_MAX: usize = 28_000;

/// Returns the body for an incoming webhook of Slack, from a text for [`OutputContext::Slack`].
///
/// The sections are `verbatim`, so that Slack makes no links of addresses in a payload.
pub fn slack(text: &str) -> Value {
    let text = Markup::Slack.truncate(text, SLACK_CHARACTERS_MAX);
    let sections = Markup::Slack
        .sections(&text, SLACK_SECTION_CHARACTERS_MAX)
        .into_iter()
        .map(|section| json!({"type": "section", "text": {"type": "mrkdwn", "text": section, "verbatim": true}}));
    json!({"text": text, "blocks": sections.collect::<Vec<_>>()})
}

/// Returns the body for an incoming webhook of Mattermost, from a text for [`OutputContext::Markdown`].
pub fn mattermost(text: &str) -> Value {
    json!({"text": Markup::Markdown.truncate(text, MATTERMOST_CHARACTERS_MAX)})
}

/// Returns the body for a Workflows URL of Teams: an Adaptive Card from a text for [`OutputContext::Markdown`], with a
/// button that opens `link`.
pub fn teams(text: &str, link: Option<&str>) -> Value {
    let link = link.filter(|link| link.starts_with("https://") || link.starts_with("http://"));
    let mut characters = TEAMS_BYTES_MAX;
    loop {
        let message = teams_message(&Markup::Markdown.truncate(text, characters), link);
        // The limit is in bytes of JSON, so escapes and multi-byte characters count. If all text was removed, the
        // message cannot become shorter.
        if characters == 0 || message.to_string().len() <= TEAMS_BYTES_MAX {
            return message;
        }
        characters = characters * 7 / 8;
    }
}

fn teams_message(text: &str, link: Option<&str>) -> Value {
    let mut card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [{"type": "TextBlock", "text": text, "wrap": true}],
    });
    if let Some(link) = link {
        card["actions"] = json!([{"type": "Action.OpenUrl", "title": "Open", "url": link}]);
    }
    let attachment =
        json!({"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null, "content": card});
    json!({"type": "message", "attachments": [attachment]})
}

#[cfg(test)]
mod tests;
