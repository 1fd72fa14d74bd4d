//! The values of the configuration with the origin of each, for operators to look at. No value that may be a secret, or
//! contain one, is shown.

use super::value::references;
use anyhow::{Result, anyhow};
use hookmill_incident::words;
use serde::{Deserialize, Serialize};
use serde_json::Value;

words!(
    /// The place that a value of the configuration comes from.
    SettingOrigin {
        /// The configuration file.
        File = "file",
        /// Variables of the environment, or credentials of the service, to which the file refers.
        Environment = "environment",
        /// The program: the file does not set the key.
        Default = "default",
        /// A source that was registered through the API.
        Api = "api",
    }
);

/// A key with its value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ListedSetting {
    /// The path of the key, with dots between its parts.
    pub key: String,
    /// The value; null if it is hidden. Values of the environment are shown as the references to them.
    pub value: Option<String>,
    /// The origin of the value.
    pub origin: SettingOrigin,
}

/// The top-level keys with named or numbered declarations, which contain secrets.
const DECLARATIONS: &[&str] = &["sources", "webhooks", "destinations", "notifications"];
/// Keys of declarations and of `traces` whose values are shown, with everything below them.
const SHOWN: &[&str] = &[
    "algorithm",
    "allow_ips",
    "allow_networks",
    "auto_triage",
    "ca",
    "client_certificate",
    "client_key",
    "concurrency",
    "connect_timeout",
    "consumer_count",
    "disable_after",
    "enabled",
    "files",
    "filter",
    "format",
    "from",
    "hello",
    "history",
    "ignore_duplicates",
    "interval",
    "items",
    "items_optional",
    "keep_next",
    "kind",
    "listen_delete",
    "method",
    "more",
    "name",
    "next",
    "next_parameter",
    "no_dependencies",
    "notifier",
    "on_unmappable",
    "operations",
    "ordering",
    "overlap",
    "path",
    "payload_mib",
    "playbook",
    "plugin",
    "recover",
    "requests_per_second",
    "retries",
    "retry_schedule",
    "sample",
    "scheme",
    "settings",
    "severity_mapping",
    "signature",
    "silent_after",
    "start",
    "starttls",
    "stream",
    "time_format",
    "timeout",
    "to",
    "traceparent",
    "trigger",
    "type",
    "window",
];
/// Keys with URLs, whose user names, paths and queries may be secrets.
const URLS: &[&str] = &["database", "otlp", "proxy", "public_url", "url"];

/// Returns the settings of a file, and those of the default file that it does not set.
///
/// # Errors
/// Returns an error if a text is not YAML.
pub(super) fn listing(text: &str, default: &str) -> Result<Vec<ListedSetting>> {
    let mut settings = declared(&parse(text)?, &[], SettingOrigin::File);
    let is_set = |key: &str| {
        let of_key = |known: &str| known.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        settings.iter().any(|known| of_key(&known.key))
    };
    let mut defaults = declared(&parse(default)?, &[], SettingOrigin::Default);
    defaults.retain(|default| !is_set(&default.key));
    settings.extend(defaults);
    Ok(settings)
}

/// Returns the settings of a source that was registered through the API.
pub fn registered(name: &str, declaration: &Value) -> Vec<ListedSetting> {
    declared(declaration, &["sources", name], SettingOrigin::Api)
}

fn parse(text: &str) -> Result<Value> {
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(Value::Null);
    }
    // An error could show a secret.
    serde_saphyr::from_str(text).map_err(|_| anyhow!("the keys cannot be listed"))
}

/// Returns the settings of a value. `path` has the keys and names that lead to the value: names may contain anything.
fn declared(value: &Value, path: &[&str], origin: SettingOrigin) -> Vec<ListedSetting> {
    let below = |part: &str, value: &Value| declared(value, &[path, &[part]].concat(), origin);
    let is_plain = |items: &[Value]| items.iter().all(|item| !item.is_object() && !item.is_array());
    match value {
        Value::Null => Vec::new(),
        Value::Object(members) => members.iter().flat_map(|(name, value)| below(name, value)).collect(),
        Value::Array(items) if items.is_empty() => vec![setting(path, "[]", origin)],
        Value::Array(items) if is_plain(items) => {
            let texts: Vec<String> = items.iter().map(text_of).collect();
            vec![setting(path, &texts.join(", "), origin)]
        }
        Value::Array(items) => {
            let numbered = items.iter().enumerate();
            numbered.flat_map(|(index, item)| below(&(index + 1).to_string(), item)).collect()
        }
        single => vec![setting(path, &text_of(single), origin)],
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn setting(path: &[&str], text: &str, origin: SettingOrigin) -> ListedSetting {
    let references = references(text);
    let origin = match origin {
        SettingOrigin::File if !references.is_empty() => SettingOrigin::Environment,
        origin => origin,
    };
    let value = match visibility(path) {
        Visibility::Shown => Some(text.to_owned()),
        // A default, and the text around a reference, may be secrets.
        _ if !references.is_empty() => {
            Some(references.iter().map(|name| format!("${{{name}}}")).collect::<Vec<_>>().join(" "))
        }
        Visibility::Url => server(text),
        Visibility::Hidden => None,
    };
    ListedSetting { key: path.join("."), value, origin }
}

/// The part of a value that is shown.
enum Visibility {
    Shown,
    /// The server of a URL.
    Url,
    Hidden,
}

/// Decides by the keys that the program defines. Names and keys that users choose, such as those of headers, decide nothing.
fn visibility(path: &[&str]) -> Visibility {
    let keys = match path {
        [root, _name, keys @ ..] if DECLARATIONS.contains(root) => keys,
        ["traces", keys @ ..] => keys,
        [key] if URLS.contains(key) => return Visibility::Url,
        _ => return Visibility::Shown,
    };
    match keys {
        [key] if URLS.contains(key) => Visibility::Url,
        [key, ..] if SHOWN.contains(key) => Visibility::Shown,
        ["auth", "token_url" | "url"] => Visibility::Url,
        ["detail", key] | ["details", _, key] => match *key {
            "url" => Visibility::Url,
            "batch" | "id" | "into" | "item" | "list" | "method" | "next" | "next_parameter" => Visibility::Shown,
            _ => Visibility::Hidden,
        },
        ["auth", "type"] | ["secrets", _, "not_after"] | ["notify", _, "to"] => Visibility::Shown,
        _ => Visibility::Hidden,
    }
}

/// Returns the part of a URL that names the server.
fn server(url: &str) -> Option<String> {
    let url: reqwest::Url = url.parse().ok()?;
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    Some(format!("{}://{}{port}/…", url.scheme(), url.host_str()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DEFAULT;

    #[test]
    fn values_that_may_be_secrets_are_hidden() {
        let text = r#"
listen: 0.0.0.0:80
database: postgres://hookmill:hunter2@db.example:5432/hunter2
limits: { deadline_ms: 20 }
sources:
  edr: { secret: "${EDR_SECRET:-hunter2-hunter2}", scheme: { type: hmac, signature_header: X-Sig }, settings: { team: soc } }
  octi: { kind: http-poll, url: "https://user:hunter2@octi.example:8443/hunter2", auth: { type: bearer, token: hunter2 } }
  poll: { kind: http-poll, url: "https://api.example", body: '{"key": "hunter2"}', detail: { url: /hunter2, body: '{"key": "${DETAIL_KEY:-hunter2}"}', batch: 7 }, details: [{ url: /hunter2/ITEM_ID, body: hunter2, into: /alerts }] }
  path: { secret: "hunter2-hunter2", headers: { format: hunter2 } }
  a.path: { secret: "$${hunter2}-hunter2" }
  secret: { secrets: [{ secret: hunter2-hunter2, not_after: 2030-01-31T00:00:00Z }] }
destinations:
  chat: { type: slack, url: "https://hunter2@${CHAT}/hunter2" }
  ticket: { type: http, url: "not a URL hunter2", headers: { x-key: hunter2 }, body: hunter2, retry_schedule: [5s, 1h] }
notifications: [{ name: all, trigger: any, notify: [{ to: chat, template: hunter2 }] }]
"#;
        let listed = listing(text, DEFAULT).unwrap();
        let shown = serde_json::to_string(&listed).unwrap();
        assert!(!shown.contains("hunter2"), "{shown}");
        for (key, value, origin) in [
            ("listen", Some("0.0.0.0:80"), SettingOrigin::File),
            ("database", Some("postgres://db.example:5432/…"), SettingOrigin::File),
            ("data_dir", Some("data"), SettingOrigin::Default),
            ("limits.deadline_ms", Some("20"), SettingOrigin::File),
            ("limits.output_mib", Some("4"), SettingOrigin::Default),
            ("sources.edr.secret", Some("${EDR_SECRET}"), SettingOrigin::Environment),
            ("sources.edr.scheme.signature_header", Some("X-Sig"), SettingOrigin::File),
            ("sources.edr.settings.team", Some("soc"), SettingOrigin::File),
            ("sources.octi.url", Some("https://octi.example:8443/…"), SettingOrigin::File),
            ("sources.octi.auth.type", Some("bearer"), SettingOrigin::File),
            ("sources.octi.auth.token", None, SettingOrigin::File),
            ("sources.poll.body", None, SettingOrigin::File),
            ("sources.poll.detail.body", Some("${DETAIL_KEY}"), SettingOrigin::Environment),
            ("sources.poll.detail.batch", Some("7"), SettingOrigin::File),
            ("sources.poll.details.1.into", Some("/alerts"), SettingOrigin::File),
            ("sources.poll.details.1.body", None, SettingOrigin::File),
            ("sources.secret.secrets.1.secret", None, SettingOrigin::File),
            ("sources.secret.secrets.1.not_after", Some("2030-01-31T00:00:00Z"), SettingOrigin::File),
            ("sources.path.headers.format", None, SettingOrigin::File),
            ("sources.a.path.secret", None, SettingOrigin::File),
            ("destinations.chat.url", Some("${CHAT}"), SettingOrigin::Environment),
            ("destinations.ticket.url", None, SettingOrigin::File),
            ("destinations.ticket.retry_schedule", Some("5s, 1h"), SettingOrigin::File),
            ("trusted_proxies", Some("[]"), SettingOrigin::Default),
            ("notifications.1.notify.1.to", Some("chat"), SettingOrigin::File),
            ("notifications.1.notify.1.template", None, SettingOrigin::File),
        ] {
            let expected = ListedSetting { key: key.into(), value: value.map(str::to_owned), origin };
            assert!(listed.contains(&expected), "{key}: {listed:#?}");
        }
        assert!(!listed.iter().any(|setting| setting.origin == SettingOrigin::Default && setting.key == "sources"));
        let keys = |text| listing(text, DEFAULT).unwrap().len();
        assert_eq!(keys("# nothing\n"), keys(DEFAULT));
    }
}
