//! The templates of notifications that configure none.

use crate::{OutputContext, Template, Trigger};
use anyhow::Result;

/// Returns the template for a notification without a configured template. In the formats that have links, the number of
/// the incident or the id of the event is a link.
///
/// # Errors
/// Never: a test parses all of them.
pub fn default_template(context: OutputContext, trigger: Trigger) -> Result<Template> {
    let (start, end) = match context {
        OutputContext::Slack => ("{{#if url}}<{{url}}|{{/if}}", "{{#if url}}>{{/if}}"),
        OutputContext::Markdown => ("{{#if url}}[{{/if}}", "{{#if url}}]({{url}}){{/if}}"),
        OutputContext::Html => ("{{#if url}}<a href=\"{{url}}\">{{/if}}", "{{#if url}}</a>{{/if}}"),
        OutputContext::Text => ("", "{{#if url}} {{url}}{{/if}}"),
        OutputContext::Json | OutputContext::Url | OutputContext::Header => ("", ""),
    };
    let text = sentence(trigger).replace("LINK", start).replace("END", end);
    Template::new(&text, context, trigger)
}

/// Returns the text of a trigger's message, with `LINK` and `END` around the text of the link.
fn sentence(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::EventReceived => "Event from {{event.source}} LINK{{event.id}}END",
        Trigger::EventQuarantined => {
            "An event from {{event.source}} could not be mapped: LINK{{event.id}}END {{event.error.code}}: \
             {{event.error.message}}"
        }
        Trigger::DestinationDisabled => "Destination {{object.name}} is disabled: {{object.reason}}",
        Trigger::PluginRefused => "Plugin {{object.name}} was refused: {{object.error}}",
        Trigger::SourceSilent => "Source {{object.name}} is silent; its last event came {{object.last_event_at}}",
        Trigger::BackupFailed => {
            "Backups to {{object.to}} fail{{#if object.last_success_at}}, the last one is of {{object.last_success_at}}{{/if}}: \
             {{object.error}}"
        }
        Trigger::StorageLow => "The disk of the data folder becomes too small: {{object.reason}}",
        Trigger::IncidentCreated
        | Trigger::IncidentUpdated
        | Trigger::IncidentResolved
        | Trigger::SeverityRaised
        | Trigger::ObservableAdded
        | Trigger::Any => {
            "LINK{{object.number}}END {{severityLabel object.severity}}: {{object.title}} ({{object.source}}, \
             {{object.status}})"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::default_template;
    use crate::{OutputContext, Trigger};
    use serde_json::json;

    #[test]
    fn all_default_templates_are_rendered() {
        let message = json!({
            "object": {"number": "INC-2026-0007", "severity": "high", "title": "A <b>", "source": "edr", "status": "new"},
            "url": "https://soc.example/i?a=1&b=2",
        });
        let cases = [
            (OutputContext::Text, "INC-2026-0007 https://soc.example/i?a=1&b=2 High: A <b> (edr, new)"),
            (OutputContext::Slack, "<https://soc.example/i?a=1&amp;b=2|INC-2026-0007> High: A &lt;b&gt; (edr, new)"),
            (OutputContext::Markdown, "[INC-2026-0007](https\\://soc.example/i?a=1\\&b=2) High: A \\<b\\> (edr, new)"),
        ];
        for (context, expected) in cases {
            let text = default_template(context, Trigger::IncidentCreated).unwrap().render(&message).unwrap();
            assert_eq!(text, expected);
        }
        for trigger in Trigger::ALL {
            for context in [
                OutputContext::Text,
                OutputContext::Slack,
                OutputContext::Markdown,
                OutputContext::Html,
                OutputContext::Header,
            ] {
                assert!(!default_template(context, *trigger).unwrap().render(&json!({})).unwrap().contains("LINK"));
            }
        }
    }
}
