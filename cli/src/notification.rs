//! `hookmill notification`.

use super::client::{Connection, print_shape, read};
use super::text::{clean, table};
use anyhow::{Result, ensure};
use clap::{Args, Subcommand};
use hookmill_host::api::shapes::{
    DryRunMessage, DryRunStep, List, NotificationDryRun, NotificationDryRunRequest, ShownMail, ShownNotification,
    ShownRequest,
};
use serde_json::json;
use uuid::Uuid;

#[derive(Debug, Subcommand)]
pub(super) enum Notification {
    /// List notifications
    List(Connection),
    /// Show the messages of a notification, whether its filter matches or not
    Test(Test),
}

#[derive(Debug, Args)]
pub(super) struct Test {
    /// The notification's name
    name: String,
    /// The number or id of an incident; its newest change is the message
    #[arg(long, value_name = "N")]
    incident: Option<String>,
    /// The id of an event, for triggers about events
    #[arg(long, value_name = "ID")]
    event: Option<Uuid>,
    /// Send the messages too
    #[arg(long)]
    send: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Notification {
    pub fn run(self) -> Result<()> {
        match self {
            Self::List(connection) => {
                let answer = connection.open()?.get(&["notifications"], &[])?;
                print_shape(connection.json, &answer, |notifications: List<ShownNotification>| {
                    let rows = notifications.data.iter().map(row).collect();
                    table(["NAME", "TRIGGER", "TO"], rows)
                })
            }
            Self::Test(test) => test.run(),
        }
    }
}

impl Test {
    fn run(self) -> Result<()> {
        let request = NotificationDryRunRequest { incident: self.incident, event: self.event, send: self.send };
        let path = ["notifications", self.name.as_str(), "test"];
        let answer = self.connection.open()?.post_json(&path, &json!(request))?;
        print_shape(self.connection.json, &answer, |dry_run| messages(&dry_run))?;
        let dry_run: NotificationDryRun = read(&answer)?;
        let failed = dry_run.steps.iter().filter(|step| has_failed(step)).count();
        ensure!(failed == 0, "{failed} of its steps failed");
        Ok(())
    }
}

fn has_failed(step: &DryRunStep) -> bool {
    matches!(step.message, DryRunMessage::Error(_)) || step.sent.as_ref().is_some_and(|sent| sent.code.is_some())
}

fn messages(dry_run: &NotificationDryRun) -> String {
    let filter = match dry_run.matches {
        true => "its filter lets this through\n",
        false => "its filter holds this back: it would not be sent\n",
    };
    std::iter::once(filter.to_owned()).chain(dry_run.steps.iter().map(message)).collect()
}

fn message(step: &DryRunStep) -> String {
    let mut text = format!("\nto {} ({})\n", clean(&step.to), step.kind);
    text += &match &step.message {
        DryRunMessage::Request(shown) => request(shown),
        DryRunMessage::Alert(shown) => format!("alert: {:#}\n", json!(shown)),
        DryRunMessage::Mail(shown) => mail(shown),
        DryRunMessage::Line(line) => format!("line: {}\n", clean(line)),
        DryRunMessage::Skipped(reason) => format!("skipped: {}\n", clean(reason)),
        DryRunMessage::Error(error) => format!("error: {}\n", clean(error)),
    };
    if let Some(sent) = &step.sent {
        let outcome = sent.error.as_deref().map_or_else(|| "sent".to_owned(), clean);
        let status = sent.http_status.map(|status| status.to_string()).unwrap_or_default();
        text += &format!("→ {outcome} {status} in {} ms\n", sent.duration_ms);
    }
    text
}

fn request(ShownRequest { method, url, headers, body }: &ShownRequest) -> String {
    let mut text = format!("{} {}\n", clean(method), clean(url));
    for (name, value) in headers {
        text += &format!("{}: {}\n", clean(name), clean(value));
    }
    text + &format!("\n{}\n", clean(body))
}

fn mail(ShownMail { from, to, subject, text }: &ShownMail) -> String {
    let to = json!(to).to_string();
    let [from, to, subject, text] = [from, &to, subject, text].map(|value| clean(value));
    format!("From: {from}\nTo: {to}\nSubject: {subject}\n\n{text}\n")
}

fn row(notification: &ShownNotification) -> [String; 3] {
    [clean(&notification.name), notification.trigger.to_string(), clean(&notification.to.join(", "))]
}
