//! `hookmill notification`.

use super::client::{Connection, Query, print};
use super::text::{clean, list, plain, table};
use anyhow::{Result, ensure};
use clap::{Args, Subcommand};
use serde_json::{Map, Value};

#[derive(Debug, Subcommand)]
pub(super) enum Notification {
    /// List notifications
    List(Connection),
    /// Show exactly what a notification sends, whether its filter lets it or not
    Test(Test),
}

#[derive(Debug, Args)]
pub(super) struct Test {
    /// Its name
    name: String,
    /// The number or id of an incident, whose newest change is told
    #[arg(long, value_name = "N")]
    incident: Option<String>,
    /// The id of an event, for triggers that tell of one
    #[arg(long, value_name = "ID")]
    event: Option<String>,
    /// Send it too
    #[arg(long)]
    send: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Notification {
    pub fn run(self) -> Result<()> {
        match self {
            Self::List(connection) => {
                print(connection.json, &connection.open()?.get(&["notifications"], &Query::new())?, |answer| {
                    let rows = list(&answer["data"]).iter().map(row).collect();
                    table(["NAME", "TRIGGER", "TO"], rows)
                });
                Ok(())
            }
            Self::Test(test) => test.run(),
        }
    }
}

impl Test {
    fn run(self) -> Result<()> {
        let named = [("incident", self.incident.map(Value::from)), ("event", self.event.map(Value::from))];
        let named = named.into_iter().chain([("send", Some(Value::from(self.send)))]);
        let body: Map<String, Value> = named.filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
        let path = ["notifications", self.name.as_str(), "test"];
        let answer = self.connection.open()?.post_json(&path, &Value::Object(body))?;
        print(self.connection.json, &answer, shown);
        let failed =
            list(&answer["steps"]).iter().filter(|step| !step["error"].is_null() || step["sent"]["code"].is_string());
        let failed = failed.count();
        ensure!(failed == 0, "{failed} of its steps failed");
        Ok(())
    }
}

fn shown(answer: &Value) -> String {
    let mut text = match answer["matches"].as_bool() {
        Some(true) => "its filter lets this through\n".to_owned(),
        _ => "its filter holds this back: it would not be sent\n".to_owned(),
    };
    for step in list(&answer["steps"]) {
        text += &format!("\nto {} ({})\n", plain(&step["to"]), plain(&step["type"]));
        let request = &step["request"];
        if request.is_object() {
            text += &format!("{} {}\n", plain(&request["method"]), plain(&request["url"]));
            for header in list(&request["headers"]) {
                text += &format!("{}: {}\n", plain(&header[0]), plain(&header[1]));
            }
            text += &format!("\n{}\n", clean(request["body"].as_str().unwrap_or_default()));
        }
        let mail = &step["mail"];
        if mail.is_object() {
            for (title, name) in [("From", "from"), ("To", "to"), ("Subject", "subject")] {
                text += &format!("{title}: {}\n", plain(&mail[name]));
            }
            text += &format!("\n{}\n", clean(mail["text"].as_str().unwrap_or_default()));
        }
        for name in ["line", "skipped", "error"] {
            if let Some(value) = step[name].as_str() {
                text += &format!("{name}: {}\n", clean(value));
            }
        }
        if step["alert"].is_object() {
            text += &format!("alert: {:#}\n", step["alert"]);
        }
        if step["sent"].is_object() {
            let sent = &step["sent"];
            let outcome = sent["error"].as_str().map_or_else(|| "sent".to_owned(), clean);
            text += &format!("→ {outcome} {} in {} ms\n", plain(&sent["http_status"]), plain(&sent["duration_ms"]));
        }
    }
    text
}

fn row(notification: &Value) -> [String; 3] {
    let to = list(&notification["to"]).iter().map(plain).collect::<Vec<_>>().join(", ");
    [plain(&notification["name"]), plain(&notification["trigger"]), to]
}
