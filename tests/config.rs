//! Configurations that work: the default one, every common key, and what the API shows of them.

use crate::guest::guest;
use crate::host::{Folder, send};
use crate::outcome::incident;
use crate::receiver::Receiver;
use reqwest::Method;
use serde_json::json;
use std::fs;

/// `hookmill config` prints the default configuration, which the host's unit tests parse.
#[tokio::test]
async fn the_default_configuration_is_printed_and_runs() {
    let folder = Folder::new("");
    let (success, text, _) = folder.run(&["config"]);
    assert!(success);
    fs::write(folder.path("hookmill.yaml"), text.replace("127.0.0.1:8080", "127.0.0.1:0")).unwrap();
    folder.start().await;
}

/// A `sources:` map with every common key is valid, with secrets from the environment. A short secret is only a
/// warning.
/// `admin_listen` separates the API.
#[tokio::test]
async fn a_source_with_every_common_key_and_a_separate_api() {
    let folder = Folder::new(
        "admin_listen: 127.0.0.1:0
sources:
  email-gateway:
    secret: \"${EMAIL_GATEWAY_SECRET:-short-one}\"
    auto_triage: true
    playbook: phishing_triage
    severity_mapping: { critical: critical, high: high, medium: medium, low: low }
    settings: { team: soc }",
    );
    let host = folder.start_listening().await;
    host.logs("the secret of source `email-gateway` has 9 bytes; use at least 24").await;
    assert!(!host.log().contains("short-one"));
    let log = host.log();
    let admin = log.split_once("admin_address=").unwrap().1.split_whitespace().next().unwrap().to_owned();
    let status = async |url: String| host.client.get(url).send().await.unwrap().status().as_u16();
    let readyz = || format!("http://{admin}/readyz");
    crate::host::eventually("the host is ready", async || (status(readyz()).await == 200).then_some(())).await;
    for (path, inbound, apart) in
        [("/healthz", 200, 200), ("/readyz", 404, 200), ("/metrics", 404, 200), ("/api/incidents", 404, 401)]
    {
        assert_eq!(status(format!("{}{path}", host.url)).await, inbound, "{path}");
        assert_eq!(status(format!("http://{admin}{path}")).await, apart, "{path}");
    }
}

/// A host that listens everywhere has no address to link to, unless the configuration has one.
#[tokio::test]
async fn an_address_of_every_interface_is_no_link() {
    for (keys, is_linked) in [("", false), ("public_url: https://soc.example\n", true)] {
        let receiver = Receiver::start([]).await;
        let folder = Folder::new("").with("returns", &guest("returns"));
        let config = format!(
            "listen: 0.0.0.0:0\n{keys}sources: {{ lab: {{ scheme: none, plugin: returns }} }}\n\
             destinations: {{ chat: {{ type: teams, url: \"{}\", allow_networks: [127.0.0.0/8] }} }}\n\
             notifications: [{{ name: n, trigger: any, notify: [{{ to: chat }}] }}]\n",
            receiver.url
        );
        fs::write(folder.path("hookmill.yaml"), config).unwrap();
        let mut host = folder.start_listening().await;
        host.url = host.url.replace("0.0.0.0", "127.0.0.1");
        host.ready().await;
        assert_eq!(host.log().contains("set `public_url`"), !is_linked, "{}", host.log());
        host.post("lab", incident(json!({"source-ref": "a"}))).await;
        let card = receiver.wait_for(1).await.remove(0).body.to_string();
        assert!(!card.contains("0.0.0.0"), "{card}");
        assert_eq!(card.contains("Action.OpenUrl"), is_linked, "{card}");
    }
}

/// The values of the file, the environment, registered sources and the program are listed without secrets, as they apply.
#[tokio::test]
async fn the_configuration_is_listed_with_origins_and_applied_on_request() {
    let config = |team: &str| {
        format!(
            "data_dir: \"${{DATA:-data}}\"\nsources:\n  edr: {{ secret: only-a-secret-of-this-test, plugin: none, settings: {{ team: {team} }} }}\n\
             destinations: {{ lines: {{ type: file, path: lines.jsonl }} }}\n"
        )
    };
    let folder = Folder::new(&config("soc"));
    let host = folder.start().await;
    let registered = json!({"source": "added", "secret": "another-secret-of-this-test", "plugin": "none"});
    assert_eq!(host.call(Method::POST, "/api/webhooks", registered.to_string()).await.status, 201);
    let value = async |key: &str| {
        let settings = host.list("/api/config").await;
        assert!(!json!(settings).to_string().contains("secret-of-this-test"));
        let setting = settings.iter().find(|setting| setting["key"] == key).unwrap_or_else(|| panic!("no {key}"));
        (setting["value"].as_str().map(str::to_owned), setting["origin"].as_str().unwrap().to_owned())
    };
    for (key, expected, origin) in [
        ("data_dir", Some("${DATA:-data}"), "environment"),
        ("sources.edr.secret", None, "file"),
        ("sources.edr.settings.team", Some("soc"), "file"),
        ("sources.added.plugin", Some("none"), "api"),
        ("limits.output_mib", Some("4"), "default"),
        ("HOOKMILL_ADMIN_TOKEN", None, "environment"),
    ] {
        assert_eq!(value(key).await, (expected.map(str::to_owned), origin.to_owned()), "{key}");
    }
    let (_, token, _) = folder.run(&["token", "create", "--scope", "read", "--name", "reader"]);
    let reader = host.client.get(format!("{}/api/config", host.url)).bearer_auth(token.trim());
    assert_eq!(send(reader).await.unwrap().status, 403);

    folder.configure(&config("night"));
    assert_eq!(host.call(Method::POST, "/api/reload", "").await.status, 204);
    assert_eq!(value("sources.edr.settings.team").await.0.as_deref(), Some("night"));
    folder.configure("sources: { edr: { secret: short } }");
    let refused = host.call(Method::POST, "/api/reload", "").await;
    let reason = refused.body["error"]["message"].as_str().unwrap();
    assert!(refused.status == 409 && reason.contains("sources.edr"), "{refused:?}");
    assert_eq!(value("sources.edr.settings.team").await.0.as_deref(), Some("night"), "the former configuration stays");
}
