use super::{Place, RENDERED_BYTES_MAX, TEMPLATE_BYTES_MAX, Template, UrlTemplate};
use crate::Trigger;
use serde_json::{Value, json};

/// What a payload may try.
const HOSTILE: [&str; 12] = [
    "\"quotes\" and \\ backslashes\\",
    "two\r\nlines: and\ttabs\u{0}\u{7f}",
    "{{object.secret}} {{{raw}}} {{#each object}}",
    "</script><script>alert(1)</script>",
    "%2e%2e/../..\\",
    "<!channel> <https://evil.example|bank> @all @here <@U123>",
    "[bank](https://evil.example) `code` **bold** | cell |",
    "1, \"admin\": true",
    "\u{2028}\u{2029}\u{202e}\u{feff}",
    "${ENV} $(id) `id` ; rm -rf",
    "..",
    "",
];

fn message() -> Value {
    json!({
        "object": {
            "number": "INC-2026-0007", "title": "A \"quoted\" <b>title</b>", "source": "edr", "source_ref": "a/b ?#%",
            "description": null, "severity": "critical", "tlp": "amber-strict", "status": "in_progress",
            "tags": ["apt", "c2"], "assignee": "",
            "observables": [
                {"data_type": "ip", "value": "192.0.2.1", "tags": ["x"], "ioc": true},
                {"data_type": "domain", "value": "evil.example", "tags": [], "ioc": false},
            ],
            "techniques": [], "occurrences": 3, "revision": 0,
            "details": {"process": {"name": "cmd.exe", "args": [1, 2.5, null]}, "score": 1e300, "title": "inner"},
            "created_at": "2026-01-31T23:05:09.0421Z", "occurred_at": "2026-02-01T00:30:00+01:00",
        },
        "audit": {"operation": "Creation", "startDate": 1_769_900_709_042_i64},
        "url": "https://soc.example/i/INC-2026-0007?a=1&b=2", "event": null,
    })
}

#[test]
fn what_is_rendered() {
    let cases = [
        (Place::Text, "{{severityLabel object.severity}}: {{object.title}}", "Critical: A \"quoted\" <b>title</b>"),
        (Place::Text, "{{tlpLabel object.tlp}} [{{tlpLabel details.tlp}}]", "TLP:AMBER+STRICT []"),
        // What is missing is empty.
        (
            Place::Text,
            "[{{object.description}}{{object.category}}{{object.plugin.name}}{{object.observables.7.value}}]",
            "[]",
        ),
        (Place::Text, "{{object.details.nothing.at.all}}{{object.details.process.name.more}}", ""),
        (Place::Text, "{{object.details.process.args.name}}.", "."),
        (
            Place::Text,
            "{{object.details.process}} {{object.tags}}",
            r#"{"args":[1,2.5,null],"name":"cmd.exe"} ["apt","c2"]"#,
        ),
        (Place::Text, "{{object.observables.1.value}} {{object.observables.[0].data_type}}", "evil.example ip"),
        (Place::Text, "{{object/title}}", "A \"quoted\" <b>title</b>"),
        (Place::Text, "a {{! a note }}b\\{{c}}", "a b{{c}}"),
        // Blocks.
        (Place::Text, "{{#if object.description}}yes{{else}}no{{/if}}", "no"),
        (Place::Text, "{{#if object.revision}}a{{else if object.occurrences}}b{{else}}c{{/if}}", "b"),
        (Place::Text, "{{#unless object.techniques}}none{{/unless}}", "none"),
        (
            Place::Text,
            "{{#each object.observables}}{{@index}}:{{data_type}}={{this.value}}{{#unless @last}}, {{/unless}}{{/each}}",
            "0:ip=192.0.2.1, 1:domain=evil.example",
        ),
        (Place::Text, "{{#each object.techniques}}x{{else}}nothing{{/each}}", "nothing"),
        (
            Place::Text,
            "{{#each object.tags}}{{this}} of {{../object.number}} {{@root.object.source}};{{/each}}",
            "apt of INC-2026-0007 edr;c2 of INC-2026-0007 edr;",
        ),
        (
            Place::Text,
            "{{#each object.observables as |o i|}}{{i}}{{o.value}}{{#each o.tags}}{{this}}{{o.ioc}}{{/each}} {{/each}}",
            "0192.0.2.1xtrue 1evil.example ",
        ),
        (
            Place::Text,
            "{{#each object.details.process as |v k|}}{{k}}={{v}} {{@key}};{{/each}}",
            "args=[1,2.5,null] args;name=cmd.exe name;",
        ),
        (Place::Text, "{{#with object.details}}{{title}} {{../object.source}}{{/with}}", "inner edr"),
        (Place::Text, "{{#with object.plugin}}{{name}}{{else}}none{{/with}}", "none"),
        (Place::Text, "{{#each object.tags}}{{#with ../object}}{{@index}}{{source}}{{/with}}{{/each}}", "0edr1edr"),
        // Severity and times are not text.
        (Place::Text, "{{#if (gt object.severity \"medium\")}}page{{else}}mail{{/if}}", "page"),
        (Place::Text, "{{#if (lt \"low\" object.severity)}}page{{/if}}", "page"),
        (Place::Text, "{{#gte object.severity \"High\"}}page{{else}}mail{{/gte}}", "page"),
        (
            Place::Text,
            "{{#if (eq object.severity \"CRITICAL\")}}1{{/if}}{{#if (ne details.severity \"low\")}}2{{/if}}",
            "12",
        ),
        (Place::Text, "{{gt details.severity \"low\"}} {{lte details.severity \"low\"}}", "false false"),
        (Place::Text, "{{#if (lt object.occurred_at object.created_at)}}before{{else}}after{{/if}}", "after"),
        (Place::Text, "{{eq object.occurrences 3.0}} {{gt object.details.score 5}}", "true true"),
        (
            Place::Text,
            "{{and object.title (not object.description)}} {{or object.description object.assignee}}",
            "true false",
        ),
        // Helpers.
        (Place::Text, "{{default object.assignee object.description \"nobody\"}}", "nobody"),
        (
            Place::Text,
            "{{join object.tags \", \"}} {{len object.observables}} {{lookup object.tags 1}}",
            "apt, c2 2 c2",
        ),
        (Place::Text, "{{lookup object.details \"score\"}} {{lookup object \"source\"}}", "1e+300 edr"),
        (Place::Text, "{{dateFormat object.created_at \"yyyy-MM-dd HH:mm\"}}", "2026-01-31 23:05"),
        (
            Place::Text,
            "{{dateFormat object.created_at \"E, d MMM yy h:mm:ss.SSS a z Z\" \"en_US\"}}",
            "Sat, 31 Jan 26 11:05:09.042 PM UTC +0000",
        ),
        (
            Place::Text,
            "{{dateFormat object.created_at \"EEEE d MMMM yyyy'T'HH 'o''clock' XXX z\" \"+05:30\"}}",
            "Sunday 1 February 2026T04 o'clock +05:30 GMT+05:30",
        ),
        (
            Place::Text,
            "{{dateFormat audit.startDate \"HH:mm:ssX\"}}{{dateFormat details.occurred_at \"yyyy\"}}",
            "23:05:09Z",
        ),
        (
            Place::Text,
            "{{json object.title}} {{json object.description}}",
            "\"A \\\"quoted\\\" \\u003cb\\u003etitle\\u003c/b\\u003e\" null",
        ),
        // Places.
        (
            Place::Json,
            r#"{"title": {{json object.title}}, "text": "{{object.title}} {{severityLabel object.severity}}"}"#,
            "{\"title\": \"A \\\"quoted\\\" \\u003cb\\u003etitle\\u003c/b\\u003e\", \"text\": \"A \\\"quoted\\\" \
             \\u003cb\\u003etitle\\u003c/b\\u003e Critical\"}",
        ),
        (
            Place::Json,
            r#"{{#if object.title}}[{{#each object.tags}}{{json this}}{{#unless @last}},{{/unless}}{{/each}}]{{/if}}"#,
            r#"["apt","c2"]"#,
        ),
        (
            Place::Json,
            r#"{"n": {{json object.occurrences}}, "o": {{json object.details}}}"#,
            r#"{"n": 3, "o": {"process":{"args":[1,2.5,null],"name":"cmd.exe"},"score":1e+300,"title":"inner"}}"#,
        ),
        (
            Place::Html,
            "<p title=\"{{object.title}}\">{{json object.tags}}</p>",
            "<p title=\"A &quot;quoted&quot; &lt;b&gt;title&lt;/b&gt;\">[&quot;apt&quot;,&quot;c2&quot;]</p>",
        ),
        (
            Place::Url,
            "/{{object.source_ref}}?q={{urlencode object.source_ref}}",
            "/a%2Fb%20%3F%23%25?q=a%2Fb%20%3F%23%25",
        ),
        (Place::Slack, "*{{object.title}}*", "*A \"quoted\" &lt;b&gt;title&lt;/b&gt;*"),
        (
            Place::Markdown,
            "**{{object.title}}** {{url}}",
            "**A \"quoted\" \\<b\\>title\\</b\\>** https\\://soc.example/i/INC-2026-0007?a=1\\&b=2",
        ),
        (Place::Header, "x {{object.number}}", "x INC-2026-0007"),
    ];
    for (place, text, expected) in cases {
        let template = Template::new(text, place, Trigger::Any).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(template.render(&message()).unwrap(), expected, "{text}");
    }
}

#[test]
fn values_stay_values() {
    let deep = (0..100).fold(json!("end"), |inner, _| json!([inner]));
    let values =
        HOSTILE.iter().map(|text| json!(text)).chain([json!(u64::MAX), json!(1e308), json!("a".repeat(100_000)), deep]);
    for value in values {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let message = json!({"event": {"source": text, "body": {"v": value.clone(), "list": [value.clone()]}}});
        let render = |place, template: &str| {
            Template::new(template, place, Trigger::EventReceived).unwrap().render(&message).unwrap()
        };

        let template = r#"{"a": {{json event.body.v}}, "b": "<{{event.body.v}}>",
            "c": [{{#each event.body.list}}"{{this}}"{{/each}}]}"#;
        let document = render(Place::Json, template);
        let parsed: Value = serde_json::from_str(&document).unwrap();
        assert_eq!(parsed, json!({"a": value, "b": format!("<{text}>"), "c": [text]}), "{document}");
        assert!(!document.contains("</script"), "{document}");

        let url = render(Place::Url, "{{event.body.v}}");
        let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte);
        assert!(url.bytes().all(is_unreserved), "{url}");
        assert_eq!(percent_decode(&url), text);

        assert!(!render(Place::Html, "{{event.body.v}}").contains(['<', '>', '"', '\'']));
        assert!(!render(Place::Slack, "{{event.body.v}}").contains(['<', '>']));
        assert!(!render(Place::Header, "{{event.body.v}}").contains(char::is_control));
        assert_eq!(render(Place::Text, "{{event.source}}"), text);

        let markdown = render(Place::Markdown, "{{event.source}}");
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
fn what_is_refused() {
    let text = |template: &str, expected: &str| {
        let error = Template::new(template, Place::Text, Trigger::Any).unwrap_err().to_string();
        assert_eq!(error, expected, "{template}");
    };
    text("{{object.titel}}", "there is no `object.titel`; did you mean `object.title`?");
    text("{{titel}}", "there is no `titel`; there are: object, details, audit, url, event");
    text("{{event.body}}", "there is no `event.body`: `event` is always empty here");
    text("{{#if (gt object.sevrity \"low\")}}{{/if}}", "there is no `object.sevrity`; did you mean `object.severity`?");
    text("{{#unless object.title}}{{else}}{{objct}}{{/unless}}", "there is no `objct`; did you mean `object`?");
    text(
        "{{#each object.observables}}{{dataType}}{{/each}}",
        "there is no `object.observables.dataType`; did you mean `object.observables.data_type`?",
    );
    text(
        "{{#each object.tags}}{{../titel}}{{/each}}",
        "there is no `titel`; there are: object, details, audit, url, event",
    );
    text("{{#each object.tags as |t|}}{{t.x}}{{/each}}", "there is no `object.tags.x`: `object.tags` is a plain value");
    text(
        "{{#with object.plugin}}{{nam}}{{/with}}",
        "there is no `object.plugin.nam`; did you mean `object.plugin.name`?",
    );
    text("{{#each object.title}}{{/each}}", "`object.title` is no list");
    text(
        "{{object.observables.value}}",
        "there is no `object.observables.value`: `object.observables` is a list; take one by its place, \
         `object.observables.0`, or each of them",
    );
    text("{{../object.title}}", "`../object.title` leads out of the template: there are fewer blocks around it");
    text("{{@index}}", "`@index` stands for something only within `{{#each}}`");
    text(
        "{{#each object.tags}}{{@place}}{{/each}}",
        "there is no `@place`; there are: @index, @key, @first, @last, @root",
    );
    text(
        "{{{object.title}}}",
        "what `{{{object.title}}}` or `{{&object.title}}` writes is not escaped; write `{{object.title}}`",
    );
    text(
        "{{&object.title}}",
        "what `{{{object.title}}}` or `{{&object.title}}` writes is not escaped; write `{{object.title}}`",
    );
    text("{{> other}}", "partials (`{{> ...}}`) are not taken: a template is one text");
    text("{{#*inline \"x\"}}{{/inline}}", "decorators (`{{*...}}`) are not taken");
    text("{{sevrityLabel object.severity}}", "there is no helper `sevrityLabel`; did you mean `severityLabel`?");
    text(
        "{{#log object.title}}{{/log}}",
        "there is no helper `log`; there are: if, unless, each, with, eq, ne, gt, gte, lt, \
         lte, and, or, not, lookup, len, default, join, json, urlencode, severityLabel, tlpLabel, dateFormat",
    );
    text("{{#json object.title}}{{/json}}", "`json` is no block; write it without `#`");
    text("{{if object.title}}", "`if` is a block; write it as `{{#if ...}}...{{/if}}`");
    text(
        "{{severityLabel object.title}}",
        "`severityLabel` takes one of: informational, low, medium, high, critical; its field holds something else",
    );
    text(
        "{{tlpLabel object.severity}}",
        "`tlpLabel` takes one of: clear, green, amber, amber-strict, red; its field holds \
         something else",
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
        "`t` in the date pattern `yyyy-MM-dd at HH` is not one of the letters yMdHhmsSaEzZX; text stands in \
         single quotes",
    );
    text("{{dateFormat object.created_at \"yyyy 'at\"}}", "a quote in the date pattern is not closed: 'at");
    text(
        "{{dateFormat object.created_at \"yyyy\" \"Europe/Paris\"}}",
        "`Europe/Paris` is not known to dateFormat: it takes UTC, an offset such as +02:00, or an English locale",
    );
    text("{{dateFormat object.title \"yyyy\"}}", "`object.title` is no time");
    text("{{join object.title \",\"}}", "`object.title` is no list to join");
    text("{{json object.title x=1}}", "`json` takes no named values");
    text("{{lookup object \"titel\"}}", "there is no `object.titel`; did you mean `object.title`?");
    text(&"x".repeat(TEMPLATE_BYTES_MAX + 1), "a template has at most 65536 bytes; this one has 65537");
    text(&"{{#if url}}".repeat(50_000 / 11), "blocks stand in each other at most 16 deep");
    text(
        &format!("{{{{not {}url{}}}}}", "(not ".repeat(5_000), ")".repeat(5_000)),
        "an expression has at most 16 brackets",
    );
    let error = Template::new("{{#if url}}", Place::Text, Trigger::Any).unwrap_err().to_string();
    assert!(error.starts_with("it is no template: "), "{error}");

    let placed = |place, template: &str, expected: &str| {
        let error = format!("{:#}", Template::new(template, place, Trigger::Any).unwrap_err());
        assert!(error.starts_with(expected), "{template}: {error}");
    };
    placed(
        Place::Json,
        r#"{"a": {{object.title}}}"#,
        "`{{object.title}}` stands outside of a string of the template's JSON",
    );
    placed(
        Place::Json,
        r#"{"a": "{{json object.title}}"}"#,
        "`{{json ...}}` writes its own quotes and stands inside a string",
    );
    placed(Place::Json, r#"{"a": "\\{{object.title}}"}"#, "`{{object.title ...}}` stands behind a backslash");
    placed(Place::Json, r#"{"a": "{{#if url}}x"{{else}}y{{/if}}}"#, "a branch of `{{#if}}` begins or ends a string");
    placed(Place::Json, r#"{"a": "{{object.title}}}"#, "a string of the template's JSON is not closed");
    placed(Place::Json, r#"{"a": {{json object.title}} "b"}"#, "what the template makes is no JSON: ");
    placed(Place::Header, "a\nb", "a header has no line breaks or control characters");
    placed(Place::Url, "/a b", "a URL has no spaces, line breaks or backslashes");
}

#[test]
fn rendering_ends() {
    let message = json!({"event": {"source": "a".repeat(1_000), "body": vec![0; 2_000]}});
    let long =
        Template::new("{{#each event.body}}{{@root.event.source}}{{/each}}", Place::Text, Trigger::EventReceived);
    let error = long.unwrap().render(&message).unwrap_err().to_string();
    assert_eq!(error, format!("the template makes more than {RENDERED_BYTES_MAX} bytes of this message"));
    let each = "{{#each @root.event.body}}".repeat(3) + &"{{/each}}".repeat(3);
    let error =
        Template::new(&each, Place::Text, Trigger::EventReceived).unwrap().render(&message).unwrap_err().to_string();
    assert_eq!(error, "the template takes more than 1000000 steps for this message");
}

#[test]
fn a_url_leads_where_its_text_says() {
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
                "a part of the URL's path is `.` or `..`, which would change where it leads"
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
            "scheme, host and port of a URL are literal; values stand after the first / behind them",
        ),
        (
            "https://t.example{{object.source}}",
            "scheme, host and port of a URL are literal; values stand after the first / behind them",
        ),
        ("{{url}}", "a URL begins with https:// or http://"),
        ("ftp://t.example/", "a URL begins with https:// or http://"),
        ("https://user:pass@t.example/", "a URL has no name and password in it"),
        ("https://t.example:port/", "`https://t.example:port` is no URL"),
        ("https://t.example/a/%2E./b", "a part of the URL's path is `.` or `..`, which would change where it leads"),
        ("https://t.example/{{object.titel}}", "there is no `object.titel`; did you mean `object.title`?"),
    ];
    for (text, expected) in refused {
        assert_eq!(UrlTemplate::new(text, Trigger::Any).unwrap_err().to_string(), expected, "{text}");
    }
    let long = UrlTemplate::new("https://t.example/{{event.source}}", Trigger::EventReceived).unwrap();
    assert!(long.render(&json!({"event": {"source": "a".repeat(10_000)}})).is_err());
}

/// Whatever an operator writes is read or refused: nothing in it ends the host, and what is read can be rendered.
#[test]
fn no_template_is_a_panic() {
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
    let mut read = 0;
    for first in pieces {
        for second in pieces {
            for third in pieces {
                for text in [format!("{first}{second}{third}"), format!("{{{{{first}{second}{third}}}}}x")] {
                    if let Ok(template) = Template::new(&text, Place::Html, Trigger::Any) {
                        template.render(&message()).unwrap();
                        read += 1;
                    }
                }
            }
        }
    }
    assert!(read > 1_000, "{read}");
}
