use super::{MATTERMOST_CHARACTERS_MAX, SLACK_SECTION_CHARACTERS_MAX, TEAMS_BYTES_MAX, mattermost, slack, teams};
use serde_json::json;

#[test]
fn bodies_stay_within_the_limits_of_the_chats() {
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
