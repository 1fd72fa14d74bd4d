use super::Filter;
use super::operand::VALUE_BYTES_MAX;
use super::parse::{DEPTH_MAX, NODES_MAX};
use crate::Trigger;
use serde_json::{Value, json};

fn message() -> Value {
    json!({
        "object": {
            "id": "0198", "number": "INC-2026-0007", "source": "edr", "source_ref": "4711",
            "title": "Malware \"Emotet\"\nfound on HOST-1", "description": "", "category": null,
            "severity": "high", "status": "in_progress", "tlp": null, "tags": ["apt", "Ransom ware"],
            "occurred_at": "2026-01-31T08:00:00.5Z", "created_at": "2026-01-31T08:00:01Z",
            "observables": [
                {"data_type": "ip", "value": "192.0.2.1", "tags": [], "ioc": true},
                {"data_type": "domain", "value": "evil.example", "tags": ["c2"], "ioc": false},
            ],
            "details": {
                "score": 9007199254740993_u64, "ratio": 0.5, "negative": -3, "process.name": "cmd.exe",
                "seen": "2026-01-31T10:00:00+02:00", "flag": true, "huge": u64::MAX, "list": [[1, 2], [{"a": 3}]],
                "0": "zero", "number": 4625, "code": "4625", "risk": " 80.5 ", "version": "1.10", "words": "80 %",
                "seconds": 1_700_000_000, "text": "1700000000", "fraction": 1_700_000_000.25, "ms": 1_700_000_000_000_u64,
                "host.os": {"name": "Windows"}, "agent": {"id.full": {"x": 1}},
            },
            "notes": [], "occurrences": 3, "truncated": 0,
        },
        "details": {"severity": "high"},
        "audit": {"operation": "Update", "startDate": 1_769_846_400_500_i64, "base": true},
        "url": "https://soc.example/INC-2026-0007", "event": null,
    })
}

#[test]
fn filters_match_messages() {
    let long = format!("*{}*", "a*".repeat(400));
    let cases = [
        (json!({}), true),
        (json!({"_any": {}}), true),
        (json!({"_eq": {"_field": "object.status", "_value": "in_progress"}}), true),
        (json!({"_is": {"_field": "object.status", "_value": "In_Progress"}}), true),
        (json!({"_eq": {"object.status": "new"}}), false),
        (json!({"object.status": "in_progress"}), true),
        (json!({"_field": "object.source", "_value": "edr"}), true),
        (json!({"_eq": {"object.source": "EDR"}}), false),
        (json!({"_eq": {"object.source_ref": "4711"}}), true),
        // Ranks, not the alphabet.
        (json!({"_gte": {"object.severity": "medium"}}), true),
        (json!({"_gt": {"object.severity": "high"}}), false),
        (json!({"_lt": {"object.severity": "critical"}}), true),
        (json!({"_lte": {"object.severity": "informational"}}), false),
        (json!({"_between": {"_field": "object.severity", "_from": "low", "_to": "high"}}), false),
        (json!({"_between": {"_field": "object.severity", "_from": "high", "_to": "critical"}}), true),
        (json!({"_in": {"_field": "object.severity", "_values": ["low", "HIGH"]}}), true),
        (json!({"_in": {"_field": "object.source", "_values": ["siem", "mail"]}}), false),
        // Missing values and null.
        (json!({"_eq": {"object.tlp": "red"}}), false),
        (json!({"_lt": {"object.tlp": "red"}}), false),
        (json!({"_gte": {"object.tlp": "clear"}}), false),
        (json!({"_ne": {"object.tlp": "red"}}), true),
        (json!({"_not": {"_eq": {"object.tlp": "red"}}}), true),
        (json!({"_eq": {"object.assignee": "ann"}}), false),
        (json!({"_ne": {"object.assignee": "ann"}}), true),
        (json!({"_like": {"object.assignee": "*"}}), false),
        (json!({"_has": "object.title"}), true),
        (json!({"_has": {"_field": "object.category"}}), false),
        (json!({"_has": "object.assignee"}), false),
        (json!({"_has": "object.tags"}), true),
        (json!({"_has": "object.notes"}), true),
        (json!({"_has": "object.notes.text"}), false),
        (json!({"_has": "details.severity"}), true),
        (json!({"_has": "details.status"}), false),
        (json!({"_empty": "object.description"}), true),
        (json!({"_empty": "object.category"}), true),
        (json!({"_empty": "object.assignee"}), true),
        (json!({"_empty": "object.notes"}), true),
        (json!({"_empty": "event"}), true),
        (json!({"_empty": "object.tags"}), false),
        (json!({"_empty": "object.truncated"}), false),
        (json!({"_empty": "object.observables.tags"}), false),
        (json!({"_empty": "object.observables.0.tags"}), true),
        // Times compare as points in time.
        (json!({"_eq": {"object.occurred_at": "2026-01-31T09:00:00.500+01:00"}}), true),
        (json!({"_eq": {"object.occurred_at": 1_769_846_400_500_i64}}), true),
        (json!({"_eq": {"audit.startDate": "2026-01-31T08:00:00.5Z"}}), true),
        (json!({"_gt": {"object.created_at": "2026-01-31T08:30:00+01:00"}}), true),
        (json!({"_lt": {"object.created_at": "2026-01-31T08:30:00+01:00"}}), false),
        (
            json!({"_between": {"_field": "object.created_at", "_from": "2026-01-31T08:00:01Z",
                "_to": "2026-01-31T08:00:02Z"}}),
            true,
        ),
        (
            json!({"_between": {"_field": "object.created_at", "_from": "2026-01-31T08:00:00Z",
                "_to": "2026-01-31T08:00:01Z"}}),
            false,
        ),
        (json!({"_eq": {"object.details.seen": "2026-01-31T08:00:00Z"}}), true),
        (json!({"_lt": {"object.details.seen": "2026-01-31T09:00:00Z"}}), true),
        // Numbers beyond the precision of a float.
        (json!({"_eq": {"object.details.score": 9007199254740993_u64}}), true),
        (json!({"_eq": {"object.details.score": 9007199254740992_u64}}), false),
        (json!({"_eq": {"object.details.score": 9007199254740992.0}}), false),
        (json!({"_gt": {"object.details.score": 9007199254740992.0}}), true),
        (json!({"_gt": {"object.details.huge": -1}}), true),
        (json!({"_lt": {"object.details.huge": 1e300}}), true),
        (json!({"_gt": {"object.details.huge": -1e300}}), true),
        (json!({"_lt": {"object.details.huge": 18446744073709551616.0}}), true),
        (json!({"_eq": {"object.occurrences": 3.0}}), true),
        (json!({"_gt": {"object.occurrences": 2.5}}), true),
        (json!({"_lt": {"object.occurrences": 3.5}}), true),
        (json!({"_gt": {"object.details.negative": -3.5}}), true),
        (json!({"_lt": {"object.details.ratio": 1}}), true),
        (json!({"_gt": {"object.details.ratio": "0"}}), false),
        (json!({"_eq": {"object.details.flag": true}}), true),
        (json!({"_eq": {"object.details.flag": "true"}}), false),
        (json!({"_eq": {"object.details.process.name": "cmd.exe"}}), true),
        (json!({"_eq": {"object.details.0": "zero"}}), true),
        (json!({"_eq": {"object.details.host.os.name": "Windows"}}), true),
        (json!({"_has": "object.details.agent.id.full.x"}), true),
        (json!({"_has": "object.details.agent.id.x"}), false),
        // Numbers in texts.
        (json!({"_eq": {"object.details.code": 4625}}), true),
        (json!({"_eq": {"object.details.code": 4624}}), false),
        (json!({"_ne": {"object.details.code": 4625}}), false),
        (json!({"_gte": {"object.details.risk": 75}}), true),
        (json!({"_lt": {"object.details.risk": 80.5}}), false),
        (json!({"_in": {"_field": "object.details.code", "_values": [1, 4625]}}), true),
        (json!({"_between": {"_field": "object.details.code", "_from": 4000, "_to": 5000}}), true),
        (json!({"_eq": {"object.details.words": 80}}), false),
        (json!({"_eq": {"object.details.version": "1.1"}}), false),
        // Times in every spelling.
        (json!({"_eq": {"object.details.seconds": "2023-11-14T22:13:20Z"}}), true),
        (json!({"_eq": {"object.details.text": "2023-11-14T22:13:20Z"}}), true),
        (json!({"_eq": {"object.details.fraction": "2023-11-14T22:13:20.25Z"}}), true),
        (json!({"_eq": {"object.details.ms": "2023-11-14T22:13:20Z"}}), true),
        (json!({"_lt": {"object.details.seconds": "2023-11-15T00:00:00Z"}}), true),
        (json!({"_between": {"_field": "object.details.text", "_from": "2023-11-14", "_to": "2023-11-15"}}), true),
        (json!({"_gte": {"object.created_at": "2026-02-01"}}), false),
        (json!({"_eq": {"object.details.number": "4625"}}), true),
        (json!({"_in": {"_field": "object.details.number", "_values": ["1", "2"]}}), false),
        (json!({"_gt": {"object.details.seen": 1_700_000_000}}), true),
        (json!({"_eq": {"object.occurred_at": 1_769_846_400.5}}), true),
        (json!({"_gt": {"object.occurred_at": "1769846400"}}), true),
        (json!({"_eq": {"object.details.list": 2}}), true),
        (json!({"_eq": {"object.details.list.a": 3}}), true),
        (json!({"_eq": {"object.details.list.1.0.a": 3}}), true),
        (json!({"_eq": {"object.details.list.0.1": 1}}), false),
        // Text.
        (json!({"_like": {"object.title": "*malware*"}}), true),
        (json!({"_like": {"object.title": "malware*"}}), true),
        (json!({"_like": {"object.title": "*host-1"}}), true),
        (json!({"_like": {"object.title": "m*emotet*1"}}), true),
        (json!({"_like": {"object.title": "malware"}}), false),
        (json!({"_like": {"object.title": "*emotet*malware*"}}), false),
        (json!({"_like": {"object.title": "*h?st*"}}), false),
        (json!({"_like": {"object.title": "*.*"}}), false),
        (json!({"_like": {"object.source": "edr*edr"}}), false),
        (json!({"_like": {"object.source": "**"}}), true),
        (json!({"_like": {"object.source": long}}), false),
        (json!({"_like": {"object.severity": "h*"}}), true),
        (json!({"_startsWith": {"object.title": "MALWARE \"e"}}), true),
        (json!({"_startsWith": {"object.title": "alware"}}), false),
        (json!({"_endsWith": {"object.title": "host-1"}}), true),
        (json!({"_endsWith": {"object.title": "host"}}), false),
        (json!({"_match": {"object.title": "emotet"}}), true),
        (json!({"_match": {"object.title": "found emotet"}}), true),
        (json!({"_match": {"object.title": "emote"}}), false),
        (json!({"_match": {"object.title": "host 2"}}), false),
        // Lists.
        (json!({"_eq": {"object.tags": "apt"}}), true),
        (json!({"_ne": {"object.tags": "apt"}}), false),
        (json!({"_ne": {"object.tags": "none"}}), true),
        (json!({"_eq": {"object.observables.value": "evil.example"}}), true),
        (json!({"_eq": {"object.observables.0.value": "evil.example"}}), false),
        (json!({"_eq": {"object.observables.1.tags.0": "c2"}}), true),
        (json!({"_eq": {"object.observables.7.value": "evil.example"}}), false),
        // Two fields of the same element, and of different ones.
        (
            json!({"_arrayMatch": {"_field": "object.observables", "_filter": {"_and": [
                {"_eq": {"data_type": "domain"}}, {"_eq": {"ioc": true}}]}}}),
            false,
        ),
        (
            json!({"_contains": {"_field": "object.observables", "_filter": {"_and": [
                {"_eq": {"data_type": "domain"}}, {"_eq": {"ioc": false}}]}}}),
            true,
        ),
        (
            json!({"_and": [{"_eq": {"object.observables.data_type": "domain"}},
                {"_eq": {"object.observables.ioc": true}}]}),
            true,
        ),
        (json!({"_arrayMatch": {"_field": "object.notes", "_filter": {}}}), false),
        (json!({"_arrayMatch": {"_field": "object.details.list", "_filter": {"_has": "a"}}}), true),
        (json!({"_or": [{"_eq": {"object.source": "a"}}, {"_eq": {"object.source": "edr"}}]}), true),
        (json!({"_and": [{"_eq": {"object.source": "a"}}, {"_eq": {"object.source": "edr"}}]}), false),
        (json!({"_id": "0198"}), true),
        (json!({"_id": "INC-2026-0007"}), true),
        (json!({"_id": "INC-2026-0008"}), false),
    ];
    for (filter, expected) in cases {
        let parsed = Filter::parse(&filter, Trigger::Any).unwrap_or_else(|error| panic!("{filter}: {error}"));
        assert_eq!(parsed.matches(&message()), expected, "{filter}");
    }
}

#[test]
fn filters_match_events() {
    let message = json!({"event": {"id": "7", "headers": {"x-kind": "Alert", "x.y": "z"}, "body": "plain text"}});
    let cases = [
        (json!({"_eq": {"event.headers.x-kind": "Alert"}}), true),
        (json!({"_eq": {"event.headers.x.y": "z"}}), true),
        (json!({"_match": {"event.body": "text"}}), true),
        (json!({"_eq": {"event.body.kind": "text"}}), false),
        (json!({"_empty": "event.body.kind"}), true),
        (json!({"_id": "7"}), true),
    ];
    for (filter, expected) in cases {
        let parsed = Filter::parse(&filter, Trigger::EventReceived).unwrap();
        assert_eq!(parsed.matches(&message), expected, "{filter}");
    }
}

#[test]
fn invalid_filters_are_refused_with_their_position() {
    let nested = |depth: usize| (1..depth).fold(json!({}), |inner, _| json!({"_not": inner}));
    let wide = |count: usize| json!({"_and": vec![json!({}); count]});
    assert!(Filter::parse(&nested(DEPTH_MAX), Trigger::Any).is_ok());
    assert!(Filter::parse(&wide(NODES_MAX - 1), Trigger::Any).is_ok());
    let title = |length: usize| json!({"_like": {"object.title": "*".repeat(length)}});
    assert!(Filter::parse(&title(VALUE_BYTES_MAX), Trigger::Any).is_ok());
    let deep = format!("filter{}: filters can be nested at most 16 deep", "._not".repeat(DEPTH_MAX));
    let cases = [
        (nested(DEPTH_MAX + 1), deep.as_str()),
        (wide(NODES_MAX), "filter._and[255]: a filter has at most 256 operators"),
        (title(VALUE_BYTES_MAX + 1), "filter._like: expected a text of 1 to 1024 bytes"),
        (json!([]), "filter: a filter is an object such as {_eq: {_field: object.status, _value: new}}"),
        (
            json!({"_eq": {"object.source": "a"}, "_ne": {"object.source": "b"}}),
            "filter: expected one operator, found 2; combine several with {_and: [...]}",
        ),
        (json!({"_grater": {"object.severity": "low"}}), "filter._grater: unknown operator; did you mean `_gte`?"),
        (json!({"_and": []}), "filter._and: expected a list of at least one filter"),
        (json!({"_any": 1}), "filter._any: expected {_any: {}}"),
        (
            json!({"_and": [{}, {"_gte": {"_field": "object.severity", "_value": "hgih"}}]}),
            "filter._and[1]._gte: object.severity: `hgih` is not one of: informational, low, medium, high, critical; \
             did you mean `high`?",
        ),
        (
            json!({"_not": {"_eq": {"object.sevrity": "high"}}}),
            "filter._not._eq: unknown field `object.sevrity`; did you mean `object.severity`?",
        ),
        (json!({"objct": "high"}), "filter: unknown field `objct`; did you mean `object`?"),
        (
            json!({"_eq": {"object.severity": 3}}),
            "filter._eq: `object.severity` is one of: informational, low, medium, high, critical; not 3",
        ),
        (
            json!({"_in": {"_field": "object.tlp", "_values": ["red", "black"]}}),
            "filter._in: object.tlp: `black` is not one of: clear, green, amber, amber-strict, red",
        ),
        (
            json!({"_in": {"_field": "object.tlp", "_values": []}}),
            "filter._in: `_values` is a list of 1 to 1000 values",
        ),
        (
            json!({"_gt": {"object.status": "new"}}),
            "filter._gt: the values of `object.status` have no order; compare them with _eq, _ne or _in",
        ),
        (
            json!({"_gt": {"object.created_at": "yesterday"}}),
            "filter._gt: `object.created_at` is a time: RFC 3339 such as 2026-01-31T08:00:00Z, or a number of s or \
             ms since 1970; not \"yesterday\"",
        ),
        (json!({"_gt": {"object.occurrences": "many"}}), "filter._gt: `object.occurrences` is a number; not \"many\""),
        (json!({"_eq": {"object.observables.ioc": 1}}), "filter._eq: `object.observables.ioc` is true or false; not 1"),
        (
            json!({"_eq": {"object.assignee": null}}),
            "filter._eq: nothing equals null; use {_empty: object.assignee} or {_has: object.assignee}",
        ),
        (
            json!({"_eq": {"object.observables": "x"}}),
            "filter._eq: `object.observables` is a list of objects; name one of their fields, such as \
             `object.observables.data_type`",
        ),
        (
            json!({"_eq": {"object": "x"}}),
            "filter._eq: `object` is an object; name one of its fields, such as `object.id`",
        ),
        (
            json!({"_eq": {"object.tags": ["a"]}}),
            "filter._eq: `object.tags` is compared with one text, number, true or false; use _in for several",
        ),
        (json!({"_eq": {"_field": "object.title"}}), "filter._eq: expected {_field: PATH, _value: ...}"),
        (
            json!({"_between": {"_field": "object.severity", "_from": "high", "_to": "low"}}),
            "filter._between: nothing is between `_from` \"high\" and `_to` \"low\": `_from` is included, `_to` is not",
        ),
        (
            json!({"_arrayMatch": {"_field": "object.observables", "_filter": {"_eq": {"dataType": "ip"}}}}),
            "filter._arrayMatch._filter._eq: unknown field `dataType`; did you mean `data_type`?",
        ),
        (
            json!({"_arrayMatch": {"_field": "object.tags", "_filter": {}}}),
            "filter._arrayMatch: `object.tags` is a list of plain values; compare it directly, such as \
             {_eq: {_field: object.tags, _value: ...}}",
        ),
        (json!({"_match": {"object.title": "***"}}), "filter._match: `***` does not contain a word"),
        (
            json!({"_eq": {"object.source_ref": 4711}}),
            "filter._eq: `object.source_ref` is a text; put the value into quotes",
        ),
        (
            json!({"_in": {"_field": "object.plugin.version", "_values": ["1.9", 1.1]}}),
            "filter._in: `object.plugin.version` is a text; put the value into quotes",
        ),
        (json!({"_eq": {"object.tags": true}}), "filter._eq: `object.tags` is a text; put the value into quotes"),
        (
            json!({"_startsWith": {"object.source_ref": 47}}),
            "filter._startsWith: expected a text of 1 to 1024 bytes; put the value into quotes",
        ),
        (json!({"_id": 7}), "filter._id: expected a text of 1 to 1024 bytes; put the value into quotes"),
        (json!({"_has": 1}), "filter._has: expected a path such as object.title, or {_field: object.title}"),
    ];
    for (filter, expected) in cases {
        assert_eq!(Filter::parse(&filter, Trigger::Any).unwrap_err().to_string(), expected, "{filter}");
    }
    let error = Filter::parse(&json!({"_id": "x"}), Trigger::PluginRefused).unwrap_err();
    assert_eq!(error.to_string(), "filter._id: messages of plugin_refused have no id");
}

#[test]
fn the_fields_that_a_filter_reads_are_known() {
    for (trigger, filter, path, reads) in [
        (Trigger::EventReceived, json!({}), &["event", "body"][..], false),
        (Trigger::EventReceived, json!({"event.source": "edr"}), &["event", "body"], false),
        (
            Trigger::EventReceived,
            json!({"_and": [{"event.source": "edr"}, {"_not": {"_eq": {"event.headers.x-kind": "ping"}}}]}),
            &["event", "body"],
            false,
        ),
        (
            Trigger::EventReceived,
            json!({"_or": [{"event.source": "edr"}, {"_not": {"_eq": {"event.body.kind": "ping"}}}]}),
            &["event", "body"],
            true,
        ),
        (Trigger::EventReceived, json!({"_has": "event.body.alert"}), &["event", "body"], true),
        (Trigger::EventReceived, json!({"_has": "event"}), &["event", "body"], true),
        (
            Trigger::EventReceived,
            json!({"_arrayMatch": {"_field": "event.body.alerts", "_filter": {"_eq": {"kind": "x"}}}}),
            &["event", "body"],
            true,
        ),
        (Trigger::Any, json!({"object.source": "edr"}), &["details"], false),
        (Trigger::Any, json!({"_has": "details.severity"}), &["details"], true),
        (Trigger::Any, json!({"_and": [{}, {"_or": [{}]}]}), &[], false),
        (Trigger::Any, json!({"audit.operation": "Delete"}), &[], true),
    ] {
        let parsed = Filter::parse(&filter, trigger).unwrap();
        assert_eq!(parsed.reads(path), reads, "{filter} {path:?}");
    }
}
