//! Error messages for configurations that cannot work.

use crate::host::Folder;
use std::fs;
use std::net::TcpListener;

#[test]
fn every_configuration_error_names_the_key_and_the_allowed_values() {
    let source = |keys: &str| format!("sources:\n  edr: {{ {keys} }}\n");
    let notification = |keys: &str| {
        format!(
            "destinations: {{ x: {{ type: slack, url: \"https://x.example\" }} }}\n\
             notifications: [{{ name: n, trigger: incident_created, {keys} }}]\n"
        )
    };
    let webhook = |keys: &str| format!("webhooks:\n  soc: {{ url: \"https://soc.example\", {keys} }}\n");
    let secret = "secret: hunter2hunter2hunter2hunter2";
    let with_secret = |keys: &str| source(&format!("{secret}, {keys}"));
    let oauth2 = "type: oauth2, token_url: \"https://login.example/token\", client_secret: hunter2";
    // The texts that a user needs to correct the configuration.
    let cases: Vec<(String, &[&str])> = vec![
        ("lisen: 127.0.0.1:0".into(), &["line 1", "`lisen`", "listen, admin_listen"]),
        ("\nlimits: { deadline: 5 }".into(), &["line 2", "`deadline`", "deadline_ms"]),
        (with_secret("secretz: x"), &["line 2", "`secretz`", "expected one of kind, secret, secrets, scheme"]),
        (with_secret("secrets: x"), &["line 2", "`secrets`"]),
        (with_secret("secrets: [{ secret: hunter2hunter2 }]"), &["sources.edr", "`secret` and `secrets`"]),
        (source("secrets: [{ secret: hunter2 }]"), &["sources.edr", "7 bytes", "at least"]),
        (source("secrets: [{ secret: hunter2hunter2, not_after: soon }]"), &["line 2", "`not_after`", "2026-12-31"]),
        (with_secret("allow_ips: [10.0.0.0/33]"), &["line 2", "`allow_ips`", "10.20.0.0/16"]),
        ("trusted_proxies: [proxy]".into(), &["line 1", "`trusted_proxies`", "10.20.0.0/16"]),
        (with_secret("scheme: { header: x }"), &["line 2", "`type`", "type: hmac"]),
        (with_secret("scheme: [github]"), &["line 2", "{ type: NAME, … }"]),
        (with_secret("scheme: { type: github, template: x }"), &["sources.edr", "`template`", "{body}"]),
        (with_secret("scheme: { type: github, header: x }"), &["sources.edr", "`header`", "signature_header"]),
        (with_secret("scheme: { type: hmac }"), &["sources.edr", "`signature_header`"]),
        (with_secret("scheme: basic"), &["sources.edr", "user:password"]),
        (source("scheme: basic, secret: \"soc:hunter2\""), &["sources.edr", "7 bytes"]),
        (with_secret("allow_networks: [10.0.0.0/8]"), &["sources.edr", "`allow_networks`", "`allow_ips`"]),
        (with_secret("proxy: \"http://proxy.example\""), &["sources.edr", "`proxy`", "remove them"]),
        (
            source("scheme: { type: jwt, issuer: x, audience: y, jwks: none.json }"),
            &["sources.edr", "cannot read the `jwks`", "none.json"],
        ),
        (
            source("scheme: { type: jwt, issuer: x, audience: y, jwks_url: \"http://keys.example/\" }"),
            &["sources.edr", "`jwks_url`", "https:"],
        ),
        (
            source(
                "proxy: \"http://10.0.0.1:3128\", scheme: { type: jwt, issuer: x, audience: y, jwks_url: \"https://k.example\" }",
            ),
            &["sources.edr", "`proxy`", "10.0.0.1", "`allow_networks`"],
        ),
        (
            source("ca: none.pem, scheme: { type: jwt, issuer: x, audience: y, jwks_url: \"https://k.example\" }"),
            &["sources.edr", "cannot read the `ca`", "none.pem"],
        ),
        (with_secret("ca: none.pem"), &["sources.edr", "`allow_networks`, `proxy` and `ca` have no effect"]),
        (source("scheme: { type: jwt, issuer: x, audience: y }"), &["sources.edr", "`jwks_url`", "`jwks`"]),
        (source("scheme: { type: google-pubsub, audience: y }"), &["sources.edr", "`email`"]),
        (with_secret("scheme: body-secret"), &["sources.edr", "`pointer`", "/auth/token"]),
        (source("scheme: aws-sns"), &["sources.edr", "`topics`", "arn:aws:sns"]),
        (
            source("scheme: { type: aws-sns, topics: [\"arn:aws:sns:x:1:y\"], certificate: none.pem }"),
            &["sources.edr", "`certificate`", "none.pem"],
        ),
        ("traces: { sample: 1 }".into(), &["line 1", "`otlp`"]),
        ("traces: { otlp: \"http://c.example\", sample: 2 }".into(), &["line 1", "`sample`", "from 0 to 1"]),
        ("traces: { otlp: \"grpc://c.example\" }".into(), &["traces", "`otlp`", "expected http: or https:"]),
        ("traces: { otlp: \"http://u:hunter2@c.example\" }".into(), &["traces", "`otlp`", "use `auth`"]),
        ("traces: { otlp: \"http://c.example\", ca: none.pem }".into(), &["traces", "`ca`", "none.pem"]),
        ("destination: {}".into(), &["line 1", "`destination`", "destinations"]),
        ("destinations: { x: {} }".into(), &["destinations.x", "`type`", "webhook, http, slack"]),
        ("destinations: { x: { type: slak } }".into(), &["line 1", "`slak`", "slack"]),
        (
            "destinations: { x: { type: file, path: x, format: osf } }".into(),
            &["line 1", "`osf`", "thehive, standard-webhooks, ocsf"],
        ),
        (
            "destinations: { x: { type: slack, url: \"https://x.example\", format: ocsf } }".into(),
            &["destinations.x", "type `slack` has no key `format`"],
        ),
        (
            "destinations: { x: { type: http, url: \"https://x.example\", format: ocsf, body: a } }".into(),
            &["destinations.x", "`format` and `body`"],
        ),
        (
            "destinations: { x: { type: http, url: \"https://x.example\", format: ocsf, method: GET } }".into(),
            &["destinations.x", "GET sends no body"],
        ),
        (
            "destinations: { x: { type: file, path: x, format: ocsf } }\n\
             notifications: [{ name: n, trigger: event_received, notify: [{ to: x }] }]"
                .into(),
            &["`ocsf`", "only changes of incidents", "event_received"],
        ),
        (
            "destinations: { x: { type: slack, url: \"https://x.example\", secret: a } }".into(),
            &["destinations.x", "`secret`", "`slack`"],
        ),
        (
            "destinations: { x: { type: email, url: \"http://x.example\", from: a@x.example, to: [b@x.example] } }"
                .into(),
            &["destinations.x", "smtps:"],
        ),
        (
            "destinations: { x: { type: email, url: \"smtp://x.example\", from: nobody, to: [b@x.example] } }".into(),
            &["destinations.x", "`nobody`"],
        ),
        (
            "destinations: { x: { type: http, url: \"https://{{object.title}}/\" } }".into(),
            &["destinations.x", "`url`"],
        ),
        (
            "destinations: { x: { type: file, path: no/such/folder/x } }".into(),
            &["destinations.x", "`path`", "does not exist"],
        ),
        (notification("notify: [{ to: y }]"), &["notifications: n", "notify[0]", "`y`", "`destinations`"]),
        (notification("notify: []"), &["notifications: n", "1 to 32"]),
        (notification("notify: [{ to: x, body: a }]"), &["notify[0] to x", "`body`"]),
        (
            notification("notify: [{ to: x, template: \"{{object.titel}}\" }]"),
            &["notify[0] to x", "`template`", "object.title"],
        ),
        (
            notification("filter: { _gte: { object.severity: hgih } }, notify: [{ to: x }]"),
            &["notifications: n", "_gte", "hgih", "high"],
        ),
        (
            notification("filter: { _eq: { object.sevrity: high } }, notify: [{ to: x }]"),
            &["notifications: n", "object.severity"],
        ),
        (
            notification("filter: { _eq: { object.plugin.version: 1.10 } }, notify: [{ to: x }]"),
            &["notifications: n", "object.plugin.version", "put the value into quotes"],
        ),
        (
            "destinations: { x: { type: email, url: \"smtp://x.example\", from: a@x.example, to: [b@x.example], hello: \"a b\" } }"
                .into(),
            &["destinations.x", "`hello`", "hookmill.example.org"],
        ),
        ("listen: localhost".into(), &["line 1", "`listen`", "`localhost`", "127.0.0.1:8080"]),
        ("limits: { deadline_ms: 0 }".into(), &["line 1", "`deadline_ms`", "whole number from 1"]),
        ("limits: { payload_mib: 5000 }".into(), &["line 1", "`payload_mib`", "MiB from 1 to 4096"]),
        ("limits: { connections: 0 }".into(), &["line 1", "`connections`", "whole number from 1"]),
        ("limits: { head_timeout: 5 }".into(), &["line 1", "`head_timeout`", "`30s`"]),
        (
            "limits: { payload_mib: 2, body_memory_mib: 1 }".into(),
            &["`limits.body_memory_mib` is 1", "`payload_mib` 2"],
        ),
        ("tls: { certificate: host.pem }".into(), &["line 1", "key"]),
        (
            format!("dedup_retention: 9m\n{}", with_secret("scheme: slack")),
            &["sources.edr", "`dedup_retention`", "600 s in total", "`tolerance`"],
        ),
        (with_secret("requests_per_second: 0"), &["line 2", "`requests_per_second`", "whole number from 1"]),
        ("plugins: { a: { memory_mib: much } }".into(), &["line 1", "`memory_mib`", "MiB from 1 to 1024"]),
        ("plugins: { a: { instances: reuse(0) } }".into(), &["line 1", "`instances`", "`fresh` or `reuse(N)`"]),
        ("plugins_key: abc".into(), &["line 1", "`plugins_key`", "--new-key"]),
        ("reload: maybe".into(), &["line 1", "`reload`", "immediate, verified"]),
        ("dedup_window: soon".into(), &["line 1", "`dedup_window`", "`soon`", "`5m`"]),
        ("drain_timeout: -5s".into(), &["line 1", "`drain_timeout`", "`5m`"]),
        (source("secret: \"${NO_SUCH}\""), &["line 2", "`secret`", "NO_SUCH is not set", "${NO_SUCH:-default}"]),
        (source("secret: \"${NO_SUCH\""), &["line 2", "`secret`", "`${` without `}`"]),
        (source("secret: hunter2"), &["sources.edr", "7 bytes", "at least"]),
        (source("secret: [hunter2hunter2]"), &["line 2", "`secret`"]),
        (source(""), &["sources.edr", "needs a `secret`", "`scheme: none`"]),
        (with_secret("scheme: none"), &["sources.edr", "`scheme: none`", "remove the secret"]),
        (with_secret("scheme: hookmil"), &["sources.edr", "`hookmil`", "expected one of hookmill"]),
        (with_secret("on_unmappable: maybe"), &["line 2", "`on_unmappable`", "reject, accept"]),
        (with_secret("auto_triage: perhaps"), &["line 2", "`auto_triage`", "true or false"]),
        (
            with_secret("severity_mapping: { urgent: awful }"),
            &["line 2", "`urgent`", "informational, low, medium, high, critical"],
        ),
        (with_secret("plugin: ../x"), &["line 2", "`plugin`", "`../x`", "A-Z a-z 0-9"]),
        (with_secret("plugin: [good, .bad]"), &["line 2", "`plugin`", "`.bad`"]),
        (with_secret("plugin: { a: b }"), &["line 2", "`plugin`", "a list of names"]),
        ("sources: { e/dr: { scheme: none } }".into(), &["line 1", "`e/dr`", "A-Z a-z 0-9"]),
        (format!("sources: {{ {}: {{ scheme: none }} }}", "x".repeat(65)), &["line 1", "1 to 64"]),
        ("sources:\n  edr: { scheme: none }\n  edr: { scheme: none }".into(), &["line 3", "duplicate", "edr"]),
        ("sources: [edr]".into(), &["line 1", "`sources`"]),
        ("sources: {".into(), &["line 1"]),
        (
            "webhooks: { soc: { url: \"http://soc.example\", secret: whsec_aHVudGVyMg== } }".into(),
            &["webhooks.soc", "`secret`", "7 bytes", "openssl rand"],
        ),
        ("webhooks: { soc: {} }".into(), &["webhooks.soc", "`url`"]),
        ("webhooks: { soc: { url: \"ftp://soc.example\" } }".into(), &["webhooks.soc", "`ftp:`", "https:"]),
        ("webhooks: { soc: { url: soc } }".into(), &["webhooks.soc", "`url`", "https://soc.example/hook"]),
        (webhook("secret: hunter2hunter2"), &["webhooks.soc", "`secret`", "whsec_", "openssl rand"]),
        (webhook("secret: whsec_hunter2%"), &["webhooks.soc", "`secret`", "base64", "openssl rand"]),
        (webhook("secret: hunter2, secrets: [hunter2]"), &["webhooks.soc", "`secret` and `secrets`"]),
        (webhook("signature: github"), &["webhooks.soc", "`signature`", "`secret` is missing"]),
        (webhook("signature: githup, secret: hunter2"), &["`signature`", "`githup`", "standard-webhooks, github"]),
        (webhook("signature: github, secrets: [hunter2, hunter2]"), &["`signature`", "one secret"]),
        (webhook("signature: { type: hmac }, secret: hunter2"), &["`signature`", "needs a `header`"]),
        (webhook("signature: { type: hmac, header: x, key: y }, secret: hunter2"), &["`signature`", "no key `key`"]),
        (webhook("auth: digest"), &["webhooks.soc", "`auth`", "`digest`", "none, basic, bearer, header"]),
        (webhook("auth: { type: oauth2, client_id: soc }"), &["`auth`", "needs a `client_secret`", "`client_key`"]),
        (webhook("auth: { type: oauth2, client_secret: hunter2 }"), &["`auth`", "needs a `token_url`"]),
        (webhook(&format!("auth: {{ {oauth2} }}")), &["`auth`", "needs a `client_id`"]),
        (webhook(&format!("auth: {{ {oauth2}, client_id: soc, realm: x }}")), &["`auth`", "no key `realm`"]),
        (webhook(&format!("auth: {{ {oauth2}, client_id: soc, client_auth: head }}")), &["`head`", "body or basic"]),
        (webhook(&format!("auth: {{ {oauth2}, client_id: soc, grant: jwt }}")), &["`grant`", "`client_key`"]),
        (webhook(&format!("auth: {{ {oauth2}, client_key: a.key }}")), &["`client_secret` and `client_key`"]),
        (
            webhook("auth: { type: oauth2, token_url: \"https://x.example\", client_id: a, client_key: none.key }"),
            &["webhooks.soc", "`auth`", "`client_key`", "none.key", "No such file"],
        ),
        (
            webhook("auth: { type: oauth2, token_url: \"ftp://x.example\", client_id: a, client_secret: hunter2 }"),
            &["webhooks.soc", "`auth`", "`token_url`", "expected http: or https:"],
        ),
        (webhook("auth: { type: oauth2, token_url: hunter2, client_id: a, client_secret: b }"), &["`token_url`", "https://"]),
        (webhook("auth: { type: login, token: /t }"), &["webhooks.soc", "`auth`", "`json` or `form`"]),
        (webhook("auth: { type: login, json: hunter2, token: /t }"), &["line 2", "`json`"]),
        (webhook("auth: { type: login, json: { a: hunter2 } }"), &["`auth`", "`token`", "`cookie`"]),
        (webhook("auth: { type: login, json: { a: hunter2 }, token: t }"), &["`auth`", "`token`", "/token"]),
        (webhook("auth: { type: login, json: { a: hunter2 }, token: /t }"), &["`auth`", "needs a `url`"]),
        (
            webhook("auth: { type: login, json: { a: b }, token: /t, expires_in: soon, url: \"https://a.example\" }"),
            &["`auth`", "`expires_in`", "`soon`"],
        ),
        (webhook("auth: { type: signature, secret: hunter2 }"), &["webhooks.soc", "`auth`", "`template`"]),
        (
            webhook("auth: { type: signature, secret: hunter2, template: \"{host}\", signature_header: x }"),
            &["`auth`", "{host}", "{method}, {path}, {query}, {target}"],
        ),
        (
            webhook("auth: { type: signature, secret: hunter2, template: a, signature_header: host }"),
            &["`auth`", "the host's own"],
        ),
        (webhook("auth: { token: hunter2 }"), &["line 2", "`type`", "type: bearer"]),
        (webhook("auth: { type: basic, username: soc }"), &["webhooks.soc", "`auth`", "needs a `password`"]),
        (webhook("auth: { type: bearer, token: hunter2, realm: x }"), &["`auth`", "no key `realm`"]),
        (webhook("auth: { type: header, name: content-length, value: hunter2 }"), &["`auth`", "the host's own"]),
        (
            "webhooks: { soc: { url: \"http://a:hunter2@soc.example\", auth: { type: bearer, token: x } } }".into(),
            &["webhooks.soc", "`url`", "`auth`"],
        ),
        (webhook("proxy: \"socks5://a:hunter2@proxy.example\""), &["webhooks.soc", "`proxy`", "`socks5:`", "https:"]),
        (webhook("proxy: \"http://a:hunter2@10.1.2.3:3128\""), &["`proxy`", "10.1.2.3", "allow_networks"]),
        (webhook("connect_timeout: 20s"), &["webhooks.soc", "`connect_timeout`", "`timeout`"]),
        (webhook("ca: none.pem"), &["webhooks.soc", "`ca`", "none.pem", "No such file"]),
        (webhook("ca_password: hunter2"), &["`ca_password`", "`ca`"]),
        (webhook("client_key: host.key"), &["`client_key`", "`client_certificate`"]),
        (webhook("client_certificate: none.p12"), &["`client_certificate`", "none.p12"]),
        (webhook("allow_networks: [10.0.0.0/33]"), &["line 2", "`allow_networks`", "10.20.0.0/16"]),
        (webhook("retry_schedule: [5s, later]"), &["line 2", "`retry_schedule`", "`later`", "`5m`"]),
        (webhook("concurrency: 0"), &["line 2", "`concurrency`", "from 1"]),
    ];
    let folder = Folder::new("");
    for (config, words) in cases {
        fs::write(folder.path("hookmill.yaml"), &config).unwrap();
        let refusal = folder.refusal();
        for word in words.iter().chain(&["hookmill.yaml"]) {
            assert!(refusal.contains(word), "no `{word}` in: {refusal}\nfor: {config}");
        }
        assert!(!refusal.contains("hunter2"), "a secret is shown: {refusal}\nfor: {config}");
        assert!(!folder.path("data").exists(), "nothing is made before the configuration is known to work");
    }
}

#[test]
fn other_errors_that_prevent_a_start_are_explained() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = Folder::new("");
    fs::write(folder.path("hookmill.yaml"), format!("listen: {address}")).unwrap();
    let refusal = folder.refusal();
    assert!(refusal.contains(&format!("cannot listen on {address}")), "{refusal}");

    fs::remove_file(folder.path("hookmill.yaml")).unwrap();
    let refusal = folder.refusal();
    assert!(refusal.contains("cannot read the configuration hookmill.yaml"), "{refusal}");
    assert!(refusal.contains("`hookmill config`"), "{refusal}");

    let folder = Folder::new("");
    let output = folder.hookmill(&["serve"]).env("HOOKMILL_ADMIN_TOKEN", "hunter2").output().unwrap();
    let refusal = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(refusal.contains("HOOKMILL_ADMIN_TOKEN has 7 characters; use at least 24"), "{refusal}");
    assert!(!refusal.contains("hunter2"));

    let database = "database: \"postgres://127.0.0.1:1/hookmill\"";
    let folder = Folder::new(&format!("{database}\nbackup: {{ every: 1h, keep: 2, to: ., without_keys: true }}"));
    let refusal = folder.refusal();
    assert!(refusal.contains("remove `backup`, and use the tools of PostgreSQL"), "{refusal}");
}

#[test]
fn unusable_pull_sources_are_refused_at_start() {
    let poll = "kind: http-poll, url: \"https://soc.example/\"";
    let stream = "kind: opencti-stream, url: \"https://octi.example\"";
    for (keys, text) in [
        ("kind: pull", "`pull` is not one of: webhook, opencti-stream, graphql-poll, http-poll"),
        ("kind: http-poll", "`url` is missing"),
        ("kind: http-poll, url: \"ftp://a.example\"", "`url` begins with `ftp:`"),
        ("kind: http-poll, url: \"https://a:b@a.example\"", "`url` contains a user name"),
        ("kind: graphql-poll, url: \"https://soc.example/\"", "`query` is missing"),
        ("kind: graphql-poll, url: \"https://soc.example/\", query: a", "`items` is missing"),
        ("kind: graphql-poll, url: \"https://soc.example/\", query: a, items: /a, next: /b", "variable `$after`"),
        (stream, "`stream` is missing"),
        (
            &format!("{stream}, stream: a, secret: hunter2hunter2"),
            "kind `opencti-stream` has no key `secret`; remove it",
        ),
        (&format!("{stream}, stream: a, interval: 5s"), "kind `opencti-stream` has no key `interval`; remove it"),
        (&format!("{stream}, stream: a, consumer_count: 1000"), "`consumer_count` is 1000; at most 256"),
        (&format!("{stream}, stream: a, start: -0-0"), "`start`: `-0-0` is not"),
        (&format!("{stream}, stream: a, recover: 2026-01-31T08:00:00Z"), "`start` is `now`"),
        (
            "secret: a-secret-of-the-tests-only, url: \"https://soc.example/\"",
            "kind `webhook` has no key `url`; remove it",
        ),
        (&format!("{poll}, interval: 10ms"), "`interval` is shorter than a second"),
        (&format!("{poll}, items: data.items"), "is not a position in a document"),
        (&format!("{poll}, token: a-token, auth: none"), "`token` and `auth` are both set"),
        (&format!("{poll}, next_parameter: after"), "set `next` too"),
        (&format!("{poll}, ignore_duplicates: false, overlap: 5s"), "remove one of the two"),
        (&format!("{poll}, headers: {{ host: a }}"), "the header `host` is the host's own"),
        (&format!("{poll}, ca: nowhere.pem"), "nowhere.pem"),
        (&format!("{poll}, method: PUT"), "`PUT` is not one of: GET, POST"),
        (&format!("{poll}, method: GET, body: '{{}}'"), "`body` needs `method: POST`"),
        (&format!("{poll}, body: 'a=b'"), "`body`: not JSON"),
        (&format!("{poll}, body: '{{\"a\": LAST_POLL_TIME}}'"), "put it into quotes, or set `time_format`"),
        (&format!("{poll}, body: '{{\"a\": NEXT_CURSOR}}'"), "set `next` too"),
        (&format!("{poll}, body: '{{\"a\": NEXT_OFFSET}}', next: /a"), "different ways to the next page"),
        (&format!("{poll}, body: '{{\"a\": ITEM_ID}}'"), "`ITEM_ID` has no value here"),
        ("kind: http-poll, url: \"https://soc.example/?a=NEXT_CURSOR\"", "`NEXT_CURSOR` has no value here"),
        (&format!("{poll}, detail: {{ url: /a }}"), "`detail`: neither `url` nor `body` has ITEM_ID or ITEM_IDS"),
        (&format!("{poll}, detail: {{ id: /a }}"), "missing field `url`"),
        (&format!("{poll}, detail: {{ url: /ITEM_ID, next: /a }}"), "set all three, or none"),
        (
            &format!("{poll}, detail: {{ url: /a, body: '[ITEM_IDS]', next: /a, next_parameter: b, list: /c }}"),
            "`next` finds further pages of one item",
        ),
        (&format!("{poll}, detail: {{ url: /ITEM_ID }}, files: {{ url: /a }}"), "`detail` and `files` are both set"),
        (&format!("{poll}, files: {{ hosts: [\"*.com\"] }}"), "`*.com` is not the name of a host"),
        (&format!("{poll}, window: 1h"), "THIS_POLL_TIME, which the request does not have"),
        ("kind: http-poll, url: \"https://soc.example/?to=THIS_POLL_TIME\", window: 1m", "longer than `overlap`"),
        (&format!("{poll}, history: 1m"), "must be longer than `overlap`"),
        (
            "kind: http-poll, url: \"https://soc.example/?to=THIS_POLL_TIME\", window: 1h, start: 0",
            "`start: 0` with a `window`",
        ),
        (
            "kind: http-poll, url: \"https://soc.example/?to=THIS_POLL_TIME\", window: 1h, next: /a, keep_next: true",
            "`window` is for requests by time",
        ),
        (&format!("{poll}, more: has_more"), "is not a position in a document"),
        (&format!("{poll}, body: '{{\"a\": NEXT_PAGE}}', keep_next: true"), "remove it"),
        (&format!("{poll}, operations: {{ first: a, next: b, again: c }}"), "values of the placeholder NEXT_OPERATION"),
        ("kind: http-poll, url: \"https://soc.example/?a=NEXT_OPERATION\"", "values of the placeholder NEXT_OPERATION"),
        (
            &format!("{poll}, detail: {{ url: \"https://other.example/ITEM_ID\" }}"),
            "`url` is at another scheme, host or port",
        ),
        (&format!("{poll}, detail: {{ url: /a/ITEM_ID, batch: 5 }}"), "`batch` is the number of ids in ITEM_IDS"),
        (&format!("{poll}, detail: {{ url: /a, body: '[ITEM_IDS]', batch: 5000 }}"), "`batch` is 5000; at most 1000"),
        (&format!("{poll}, detail: {{ url: /ITEM_ID, body: '[ITEM_IDS]' }}"), "use one of the two"),
        (
            "kind: graphql-poll, url: \"https://soc.example/\", query: a, items: /a, detail: { url: /a }",
            "no key `detail`",
        ),
        (&format!("{poll}, detail: {{ url: /ITEM_ID, into: /a }}"), "`into` is a key of `details`"),
        (&format!("{poll}, details: [{{ url: /ITEM_ID }}]"), "`details`: `into` is missing"),
        (&format!("{poll}, details: [{{ url: /ITEM_ID, into: \"\" }}]"), "`details`: `into` is missing"),
        (&format!("{poll}, details: [{{ url: /a, into: /a }}]"), "`details`: neither `url` nor `body` has ITEM_ID"),
        (&format!("{poll}, details: [{{ url: /a, body: '[ITEM_IDS]', into: /a }}]"), "use ITEM_ID"),
        (
            &format!("{poll}, details: [{{ url: /ITEM_ID, into: /a }}], files: {{}}"),
            "`details` and `files` are both set",
        ),
        (&format!("{poll}, headers: {{ range: ITEM_ID }}"), "`headers`: range: `ITEM_ID` has no value here"),
        (&format!("{poll}, headers: {{ range: NEXT_PAGE }}, next: /a"), "different ways to the next page"),
        (&format!("{poll}, headers: {{ host: NEXT_PAGE }}"), "the header `host` is the host's own"),
        (&format!("{poll}, headers: {{ range: \"NEXT_PAGE\\n\" }}"), "characters that a header cannot carry"),
    ] {
        let refusal = Folder::new(&format!("sources:\n  pulled: {{ {keys} }}\n")).refusal();
        assert!(refusal.contains(text), "{keys}: {refusal}");
    }
}

/// A secret in the wrong place must not appear in a terminal or log.
#[test]
fn errors_do_not_quote_the_environment() {
    let source = |keys: &str| format!("sources:\n  edr: {{ secret: a-secret-of-the-tests-24, {keys} }}");
    let folder = Folder::new("");
    for (config, shown) in [
        ("listen: \"${WRONG}\"".into(), "`${WRONG}`"),
        ("public_url: \"${WRONG}\"".into(), "`public_url`"),
        ("limits: { payload_mib: \"${WRONG}\" }".into(), "`${WRONG}`"),
        ("limits: { payload_mib: \"1${SHORT}\" }".into(), "`1${SHORT}`"),
        (source("scheme: \"${WRONG}\""), "`${WRONG}`"),
        (source("scheme: \"${SHORT}\""), "`${SHORT}`"),
        (source("scheme: { type: github, tolerance: \"${WRONG}\" }"), "`${WRONG}`"),
        (source("plugin: \"${WRONG}\""), "`${WRONG}`"),
        ("webhooks: { soc: { url: \"https://soc.example\", auth: \"${WRONG}\" } }".into(), "`${WRONG}`"),
    ] {
        fs::write(folder.path("hookmill.yaml"), &config).unwrap();
        let mut command = folder.hookmill(&["serve"]);
        let output = command.env("WRONG", "/hunter2/hunter2").env("SHORT", "hunter2").output().unwrap();
        let refusal = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && refusal.contains(shown), "{config}: {refusal}");
        assert!(!refusal.contains("hunter2"), "{config}: {refusal}");
    }
}
