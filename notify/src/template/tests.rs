use super::parse::TEMPLATE_BYTES_MAX;
use super::render::RENDERED_BYTES_MAX;
use super::{OutputContext, Template};
use crate::Trigger;
use crate::test_messages::{HOSTILE, message};
use serde_json::{Value, json};

#[test]
fn templates_are_rendered() {
    let cases = [
        (
            OutputContext::Text,
            "{{severityLabel object.severity}}: {{object.title}}",
            "Critical: A \"quoted\" <b>title</b>",
        ),
        (OutputContext::Text, "{{tlpLabel object.tlp}} [{{tlpLabel details.tlp}}]", "TLP:AMBER+STRICT []"),
        // Missing values are empty.
        (
            OutputContext::Text,
            "[{{object.description}}{{object.category}}{{object.plugin.name}}{{object.observables.7.value}}]",
            "[]",
        ),
        (OutputContext::Text, "{{object.details.nothing.at.all}}{{object.details.process.name.more}}", ""),
        (OutputContext::Text, "{{object.details.process.args.name}}.", "."),
        (
            OutputContext::Text,
            "{{object.details.process}} {{object.tags}}",
            r#"{"args":[1,2.5,null],"name":"cmd.exe"} ["apt","c2"]"#,
        ),
        (OutputContext::Text, "{{object.observables.1.value}} {{object.observables.[0].data_type}}", "evil.example ip"),
        (OutputContext::Text, "{{object/title}}", "A \"quoted\" <b>title</b>"),
        (OutputContext::Text, "a {{! a note }}b\\{{c}}", "a b{{c}}"),
        // Blocks.
        (OutputContext::Text, "{{#if object.description}}yes{{else}}no{{/if}}", "no"),
        (OutputContext::Text, "{{#if object.revision}}a{{else if object.occurrences}}b{{else}}c{{/if}}", "b"),
        (OutputContext::Text, "{{#unless object.techniques}}none{{/unless}}", "none"),
        (
            OutputContext::Text,
            "{{#each object.observables}}{{@index}}:{{data_type}}={{this.value}}{{#unless @last}}, {{/unless}}{{/each}}",
            "0:ip=192.0.2.1, 1:domain=evil.example",
        ),
        (OutputContext::Text, "{{#each object.techniques}}x{{else}}nothing{{/each}}", "nothing"),
        (
            OutputContext::Text,
            "{{#each object.tags}}{{this}} of {{../object.number}} {{@root.object.source}};{{/each}}",
            "apt of INC-2026-0007 edr;c2 of INC-2026-0007 edr;",
        ),
        (
            OutputContext::Text,
            "{{#each object.observables as |o i|}}{{i}}{{o.value}}{{#each o.tags}}{{this}}{{o.ioc}}{{/each}} {{/each}}",
            "0192.0.2.1xtrue 1evil.example ",
        ),
        (
            OutputContext::Text,
            "{{#each object.details.process as |v k|}}{{k}}={{v}} {{@key}};{{/each}}",
            "args=[1,2.5,null] args;name=cmd.exe name;",
        ),
        (OutputContext::Text, "{{#with object.details}}{{title}} {{../object.source}}{{/with}}", "inner edr"),
        (OutputContext::Text, "{{#with object.plugin}}{{name}}{{else}}none{{/with}}", "none"),
        (
            OutputContext::Text,
            "{{#each object.tags}}{{#with ../object}}{{@index}}{{source}}{{/with}}{{/each}}",
            "0edr1edr",
        ),
        // Severity and times are not text.
        (OutputContext::Text, "{{#if (gt object.severity \"medium\")}}page{{else}}mail{{/if}}", "page"),
        (OutputContext::Text, "{{#if (lt \"low\" object.severity)}}page{{/if}}", "page"),
        (OutputContext::Text, "{{#gte object.severity \"High\"}}page{{else}}mail{{/gte}}", "page"),
        (
            OutputContext::Text,
            "{{#if (eq object.severity \"CRITICAL\")}}1{{/if}}{{#if (ne details.severity \"low\")}}2{{/if}}",
            "12",
        ),
        (OutputContext::Text, "{{gt details.severity \"low\"}} {{lte details.severity \"low\"}}", "false false"),
        (OutputContext::Text, "{{#if (lt object.occurred_at object.created_at)}}before{{else}}after{{/if}}", "after"),
        (OutputContext::Text, "{{eq object.occurrences 3.0}} {{gt object.details.score 5}}", "true true"),
        (
            OutputContext::Text,
            "{{and object.title (not object.description)}} {{or object.description object.assignee}}",
            "true false",
        ),
        // Helpers.
        (OutputContext::Text, "{{default object.assignee object.description \"nobody\"}}", "nobody"),
        (
            OutputContext::Text,
            "{{join object.tags \", \"}} {{len object.observables}} {{lookup object.tags 1}}",
            "apt, c2 2 c2",
        ),
        (OutputContext::Text, "{{lookup object.details \"score\"}} {{lookup object \"source\"}}", "1e+300 edr"),
        (OutputContext::Text, "{{dateFormat object.created_at \"yyyy-MM-dd HH:mm\"}}", "2026-01-31 23:05"),
        (
            OutputContext::Text,
            "{{dateFormat object.created_at \"E, d MMM yy h:mm:ss.SSS a z Z\" \"en_US\"}}",
            "Sat, 31 Jan 26 11:05:09.042 PM UTC +0000",
        ),
        (
            OutputContext::Text,
            "{{dateFormat object.created_at \"EEEE d MMMM yyyy'T'HH 'o''clock' XXX z\" \"+05:30\"}}",
            "Sunday 1 February 2026T04 o'clock +05:30 GMT+05:30",
        ),
        (
            OutputContext::Text,
            "{{dateFormat audit.startDate \"HH:mm:ssX\"}}{{dateFormat details.occurred_at \"yyyy\"}}",
            "23:05:09Z",
        ),
        // Vendors' fields: times and numbers in every spelling, and names with dots.
        (
            OutputContext::Text,
            "{{#each object.details.times}}{{dateFormat this \"yyyy-MM-dd HH:mm:ss.SS\"}};{{/each}}",
            "2023-11-14 22:13:20.00;2023-11-14 22:13:20.00;2023-11-14 22:13:20.25;2023-11-14 22:13:20.00;",
        ),
        (
            OutputContext::Text,
            "{{#if (gte object.details.risk 75)}}high{{/if}} {{eq 4625 object.details.code}} {{lt object.details.risk 9}}",
            "high true false",
        ),
        (
            OutputContext::Text,
            "{{object.details.host.os.name}} {{object.details.agent.version}} {{object.details.hashes.sha256}}",
            "Windows 8.1 ab12",
        ),
        (
            OutputContext::Text,
            "{{json object.title}} {{json object.description}}",
            "\"A \\\"quoted\\\" \\u003cb\\u003etitle\\u003c/b\\u003e\" null",
        ),
        // Output contexts.
        (
            OutputContext::Json,
            r#"{"title": {{json object.title}}, "text": "{{object.title}} {{severityLabel object.severity}}"}"#,
            "{\"title\": \"A \\\"quoted\\\" \\u003cb\\u003etitle\\u003c/b\\u003e\", \"text\": \"A \\\"quoted\\\" \
             \\u003cb\\u003etitle\\u003c/b\\u003e Critical\"}",
        ),
        (
            OutputContext::Json,
            r#"{{#if object.title}}[{{#each object.tags}}{{json this}}{{#unless @last}},{{/unless}}{{/each}}]{{/if}}"#,
            r#"["apt","c2"]"#,
        ),
        (
            OutputContext::Json,
            r#"{"n": {{json object.occurrences}}, "o": {{json object.details.process}}}"#,
            r#"{"n": 3, "o": {"args":[1,2.5,null],"name":"cmd.exe"}}"#,
        ),
        (
            OutputContext::Html,
            "<p title=\"{{object.title}}\">{{json object.tags}}</p>",
            "<p title=\"A &quot;quoted&quot; &lt;b&gt;title&lt;/b&gt;\">[&quot;apt&quot;,&quot;c2&quot;]</p>",
        ),
        (
            OutputContext::Url,
            "/{{object.source_ref}}?q={{urlencode object.source_ref}}",
            "/a%2Fb%20%3F%23%25?q=a%2Fb%20%3F%23%25",
        ),
        (OutputContext::Slack, "*{{object.title}}*", "*A \"quoted\" &lt;b&gt;title&lt;/b&gt;*"),
        (
            OutputContext::Markdown,
            "**{{object.title}}** {{url}}",
            "**A \"quoted\" \\<b\\>title\\</b\\>** https\\://soc.example/i/INC-2026-0007?a=1\\&b=2",
        ),
        (OutputContext::Header, "x {{object.number}}", "x INC-2026-0007"),
    ];
    for (context, text, expected) in cases {
        let template = Template::new(text, context, Trigger::Any).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(template.render(&message()).unwrap(), expected, "{text}");
    }
}

#[test]
fn values_are_never_interpreted() {
    let deep = (0..100).fold(json!("end"), |inner, _| json!([inner]));
    let values =
        HOSTILE.iter().map(|text| json!(text)).chain([json!(u64::MAX), json!(1e308), json!("a".repeat(100_000)), deep]);
    for value in values {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let message = json!({"event": {"source": text, "body": {"v": value.clone(), "list": [value.clone()]}}});
        let render = |context, template: &str| {
            Template::new(template, context, Trigger::EventReceived).unwrap().render(&message).unwrap()
        };

        let template = r#"{"a": {{json event.body.v}}, "b": "<{{event.body.v}}>",
            "c": [{{#each event.body.list}}"{{this}}"{{/each}}]}"#;
        let document = render(OutputContext::Json, template);
        let parsed: Value = serde_json::from_str(&document).unwrap();
        assert_eq!(parsed, json!({"a": value, "b": format!("<{text}>"), "c": [text]}), "{document}");
        assert!(!document.contains("</script"), "{document}");

        let url = render(OutputContext::Url, "{{event.body.v}}");
        let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte);
        assert!(url.bytes().all(is_unreserved), "{url}");
        assert_eq!(percent_decode(&url), text);

        assert!(!render(OutputContext::Html, "{{event.body.v}}").contains(['<', '>', '"', '\'']));
        assert!(!render(OutputContext::Slack, "{{event.body.v}}").contains(['<', '>']));
        assert!(!render(OutputContext::Header, "{{event.body.v}}").contains(char::is_control));
        assert_eq!(render(OutputContext::Text, "{{event.source}}"), text);

        let markdown = render(OutputContext::Markdown, "{{event.source}}");
        let bare = markdown.replace('\u{200b}', "");
        let mut characters = bare.chars();
        while let Some(character) = characters.next() {
            match character {
                '\\' => assert!(characters.next().is_some_and(|next| next.is_ascii_punctuation()), "{markdown}"),
                other => assert!(!"`*_[]()<>#|~!".contains(other), "{markdown}"),
            }
        }
        assert!(!markdown.contains("@a") && !markdown.contains("@h") && !markdown.contains("https://"), "{markdown}");
    }
}

fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            other => other,
        });
    }
    String::from_utf8(bytes).unwrap()
}

#[test]
fn invalid_templates_are_refused() {
    let text = |template: &str, expected: &str| {
        let error = Template::new(template, OutputContext::Text, Trigger::Any).unwrap_err().to_string();
        assert_eq!(error, expected, "{template}");
    };
    text("{{object.titel}}", "unknown field `object.titel`; did you mean `object.title`?");
    text("{{titel}}", "unknown field `titel`; expected one of: object, details, audit, url, event");
    text("{{event.body}}", "unknown field `event.body`: `event` is always empty here");
    text(
        "{{#if (gt object.sevrity \"low\")}}{{/if}}",
        "unknown field `object.sevrity`; did you mean `object.severity`?",
    );
    text("{{#unless object.title}}{{else}}{{objct}}{{/unless}}", "unknown field `objct`; did you mean `object`?");
    text(
        "{{#each object.observables}}{{dataType}}{{/each}}",
        "unknown field `object.observables.dataType`; did you mean `object.observables.data_type`?",
    );
    text(
        "{{#each object.tags}}{{../titel}}{{/each}}",
        "unknown field `titel`; expected one of: object, details, audit, url, event",
    );
    text(
        "{{#each object.tags as |t|}}{{t.x}}{{/each}}",
        "unknown field `object.tags.x`: `object.tags` is a plain value",
    );
    text(
        "{{#with object.plugin}}{{nam}}{{/with}}",
        "unknown field `object.plugin.nam`; did you mean `object.plugin.name`?",
    );
    text("{{#each object.title}}{{/each}}", "`object.title` is not a list");
    text(
        "{{object.observables.value}}",
        "unknown field `object.observables.value`: `object.observables` is a list; use one element by \
         its index, `object.observables.0`, or all elements with `{{#each object.observables}}`",
    );
    text("{{../object.title}}", "`../object.title` leads out of the template: there are fewer blocks around it");
    text("{{@index}}", "`@index` has a value only within `{{#each}}`");
    text(
        "{{#each object.tags}}{{@place}}{{/each}}",
        "unknown variable `@place`; expected one of: @index, @key, @first, @last, @root",
    );
    text(
        "{{{object.title}}}",
        "`{{{object.title}}}` and `{{&object.title}}` would write the value without escaping; write `{{object.title}}`",
    );
    text(
        "{{&object.title}}",
        "`{{{object.title}}}` and `{{&object.title}}` would write the value without escaping; write `{{object.title}}`",
    );
    text("{{> other}}", "partials (`{{> ...}}`) are not supported: a template is one text");
    text("{{#*inline \"x\"}}{{/inline}}", "decorators (`{{*...}}`) are not supported");
    text("{{sevrityLabel object.severity}}", "unknown helper `sevrityLabel`; did you mean `severityLabel`?");
    text(
        "{{#log object.title}}{{/log}}",
        "unknown helper `log`; expected one of: if, unless, each, with, eq, ne, gt, gte, lt, \
         lte, and, or, not, lookup, len, default, join, json, urlencode, severityLabel, tlpLabel, dateFormat",
    );
    text("{{#json object.title}}{{/json}}", "`json` is not a block; write it without `#`");
    text("{{if object.title}}", "`if` is a block; write it as `{{#if ...}}...{{/if}}`");
    text(
        "{{severityLabel object.title}}",
        "`severityLabel` takes one of: informational, low, medium, high, critical; its field has other values",
    );
    text(
        "{{tlpLabel object.severity}}",
        "`tlpLabel` takes one of: clear, green, amber, amber-strict, red; its field has other values",
    );
    text(
        "{{#if (gt object.severity \"hgih\")}}{{/if}}",
        "`hgih` is not one of: informational, low, medium, high, critical; did you mean `high`?",
    );
    text(
        "{{#if (eq object.status 1)}}{{/if}}",
        "`eq` compares 1 with one of: new, triaged, in_progress, escalated, resolved, \
         false_positive, closed",
    );
    text(
        "{{#if (gt object.created_at \"monday\")}}{{/if}}",
        "`gt` compares a time with \"monday\"; write it such as \"2026-01-31T08:00:00Z\"",
    );
    text(
        "{{dateFormat object.created_at \"yyyy-MM-dd at HH\"}}",
        "`t` in the date pattern `yyyy-MM-dd at HH` is not one of the letters yMdHhmsSaEzZX; put text in \
         single quotes",
    );
    text("{{dateFormat object.created_at \"yyyy 'at\"}}", "a quote in the date pattern is not closed: 'at");
    text(
        "{{dateFormat object.created_at \"yyyy\" \"Europe/Paris\"}}",
        "`Europe/Paris` is not a zone of dateFormat; expected UTC, an offset such as +02:00, or an English locale",
    );
    text("{{dateFormat object.title \"yyyy\"}}", "`object.title` is not a time");
    text("{{join object.title \",\"}}", "`object.title` is not a list to join");
    text("{{json object.title x=1}}", "`json` takes no named parameters");
    text("{{lookup object \"titel\"}}", "unknown field `object.titel`; did you mean `object.title`?");
    text(&"x".repeat(TEMPLATE_BYTES_MAX + 1), "a template has at most 65536 bytes; this one has 65537");
    text(&"{{#if url}}".repeat(50_000 / 11), "blocks can be nested at most 16 deep");
    text(
        &format!("{{{{not {}url{}}}}}", "(not ".repeat(5_000), ")".repeat(5_000)),
        "an expression can have at most 16 brackets",
    );
    let error = Template::new("{{#if url}}", OutputContext::Text, Trigger::Any).unwrap_err().to_string();
    assert!(error.starts_with("the template has a syntax error: "), "{error}");

    let refused_in = |context, template: &str, expected: &str| {
        let error = format!("{:#}", Template::new(template, context, Trigger::Any).unwrap_err());
        assert!(error.starts_with(expected), "{template}: {error}");
    };
    refused_in(
        OutputContext::Json,
        r#"{"a": {{object.title}}}"#,
        "`{{object.title}}` is outside of a string of the template's JSON",
    );
    refused_in(
        OutputContext::Json,
        r#"{"a": "{{json object.title}}"}"#,
        "`{{json ...}}` writes its own quotes but is within a string",
    );
    refused_in(OutputContext::Json, r#"{"a": "\\{{object.title}}"}"#, "`{{object.title ...}}` follows a backslash");
    refused_in(
        OutputContext::Json,
        r#"{"a": "{{#if url}}x"{{else}}y{{/if}}}"#,
        "a branch of `{{#if}}` opens or closes a string",
    );
    refused_in(OutputContext::Json, r#"{"a": "{{object.title}}}"#, "a string of the template's JSON is not closed");
    refused_in(OutputContext::Json, r#"{"a": {{json object.title}} "b"}"#, "the rendered template is not JSON: ");
    refused_in(OutputContext::Header, "a\nb", "a header cannot contain line breaks or control characters");
    refused_in(OutputContext::Url, "/a b", "a URL cannot contain spaces, line breaks or backslashes");
}

#[test]
fn rendering_is_bounded() {
    let message = json!({"event": {"source": "a".repeat(1_000), "body": vec![0; 2_000]}});
    let long = Template::new(
        "{{#each event.body}}{{@root.event.source}}{{/each}}",
        OutputContext::Text,
        Trigger::EventReceived,
    );
    let error = long.unwrap().render(&message).unwrap_err().to_string();
    assert_eq!(error, format!("the rendered message has more than {RENDERED_BYTES_MAX} bytes"));
    let each = "{{#each @root.event.body}}".repeat(3) + &"{{/each}}".repeat(3);
    let error = Template::new(&each, OutputContext::Text, Trigger::EventReceived)
        .unwrap()
        .render(&message)
        .unwrap_err()
        .to_string();
    assert_eq!(error, "rendering this message takes more than 1000000 steps");
}

/// Every text is parsed or refused without a panic, and every parsed template can be rendered.
#[test]
fn templates_never_panic() {
    let pieces = [
        "{{",
        "}}",
        "{{{",
        "#",
        "/",
        "if",
        "each",
        " object.tags",
        "else",
        "~",
        "(",
        "\"",
        "{{#if url}}",
        "{{/if}}",
        "{{else}}",
        "as |a|",
        "@index",
        "[",
        "\\",
        "json url",
        "..",
        ">",
        "!",
    ];
    let mut parsed = 0;
    for first in pieces {
        for second in pieces {
            for third in pieces {
                for text in [format!("{first}{second}{third}"), format!("{{{{{first}{second}{third}}}}}x")] {
                    if let Ok(template) = Template::new(&text, OutputContext::Html, Trigger::Any) {
                        template.render(&message()).unwrap();
                        parsed += 1;
                    }
                }
            }
        }
    }
    assert!(parsed > 1_000, "{parsed}");
}
