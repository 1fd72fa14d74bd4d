//! `hookmill notification`.

use super::client::{HostConnection, print_shape, read};
use super::text::{clean, http_request, table};
use anyhow::{Result, ensure};
use clap::{Args, Subcommand};
use hookmill_host::api::shapes::{
    DryRunAttempt, DryRunMessage, DryRunStep, NotificationDryRun, NotificationDryRunRequest, ShownMail,
    ShownNotification,
};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

#[derive(Debug, Subcommand)]
pub(super) enum NotificationCommand {
    /// List notifications
    List(HostConnection),
    /// Show the messages of a notification, whether its filter matches or not
    Test(NotificationTest),
}

#[derive(Debug, Args)]
pub(super) struct NotificationTest {
    /// The notification's name
    name: String,
    /// The number or id of an incident; the messages are about its newest change
    #[arg(long, value_name = "N")]
    incident: Option<String>,
    /// The id of an event, for triggers about events
    #[arg(long, value_name = "ID")]
    event: Option<Uuid>,
    /// Also send the messages
    #[arg(long)]
    send: bool,
    #[command(flatten)]
    connection: HostConnection,
}

impl NotificationCommand {
    pub fn run(self) -> Result<()> {
        match self {
            Self::List(connection) => {
                connection.print_list("notifications", &[], |notifications: Vec<ShownNotification>| {
                    table(["NAME", "TRIGGER", "TO"], notifications.iter().map(row).collect())
                })
            }
            Self::Test(test) => test.run(),
        }
    }
}

impl NotificationTest {
    fn run(self) -> Result<()> {
        let request = NotificationDryRunRequest { incident: self.incident, event: self.event, send: self.send };
        let path = ["notifications", self.name.as_str(), "test"];
        let answer = self.connection.open()?.post_json(&path, &json!(request))?;
        print_shape(self.connection.json, &answer, |dry_run| messages(&dry_run))?;
        let StepResults { steps } = read(&answer)?;
        let failed = steps.iter().filter(|step| step.has_failed()).count();
        ensure!(failed == 0, "{failed} of {} steps failed", steps.len());
        Ok(())
    }
}

/// The members of an answer that show whether steps failed.
#[derive(Deserialize)]
struct StepResults {
    steps: Vec<StepResult>,
}

#[derive(Deserialize)]
struct StepResult {
    error: Option<String>,
    sent: Option<DryRunAttempt>,
}

impl StepResult {
    fn has_failed(&self) -> bool {
        self.error.is_some() || self.sent.as_ref().is_some_and(|sent| sent.code.is_some())
    }
}

fn messages(dry_run: &NotificationDryRun) -> String {
    let filter = match dry_run.matches {
        true => "the filter matches\n",
        false => "the filter does not match: nothing would be sent\n",
    };
    std::iter::once(filter.to_owned()).chain(dry_run.steps.iter().map(message)).collect()
}

fn message(step: &DryRunStep) -> String {
    let mut text = format!("\nto {} ({})\n", clean(&step.to), step.kind);
    text += &match &step.message {
        DryRunMessage::Request(shown) => http_request(shown),
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

fn mail(ShownMail { from, to, subject, text }: &ShownMail) -> String {
    let to = json!(to).to_string();
    let [from, to, subject, text] = [from, &to, subject, text].map(|value| clean(value));
    format!("From: {from}\nTo: {to}\nSubject: {subject}\n\n{text}\n")
}

fn row(notification: &ShownNotification) -> [String; 3] {
    [clean(&notification.name), notification.trigger.to_string(), clean(&notification.to.join(", "))]
}
