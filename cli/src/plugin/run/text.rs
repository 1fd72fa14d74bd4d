//! The results of single calls of plugins, as text.

use crate::text::{bytes, clean, fields, http_request, incident, observable};
use hookmill_host::api::shapes::{CallSummary, MapperDryRun, MappingOutcome, NotifierDryRun, PlaybookDryRun};
use hookmill_incident::{Action, Incident};

pub(super) fn mapper(shown: &MapperDryRun<Incident>, payload_bytes: usize) -> String {
    let MapperDryRun { call, outcome, incidents, .. } = shown;
    let mut text = String::new();
    for (index, shown) in incidents.iter().enumerate() {
        text += &format!("\nincident {} of {}, as it would be stored\n{}", index + 1, incidents.len(), incident(shown));
    }
    match outcome {
        Some(MappingOutcome::Read { skipped, problems, .. }) => {
            if incidents.is_empty() {
                text += "\nno incident\n";
            }
            text += &fields(skipped.iter().map(|line| ("skipped", clean(line))));
            text += &fields(problems.iter().map(|line| ("problem", clean(line))));
        }
        Some(MappingOutcome::Failed { error }) => {
            let error = fields([("code", error.code.clone()), ("reason", clean(&error.message))]);
            text += &format!("\nnot mapped\n{error}");
        }
        None => {}
    }
    text + &log(call) + &format!("\n{} for {}\n", usage(call), bytes(payload_bytes as u64))
}

pub(super) fn playbook(shown: &PlaybookDryRun) -> String {
    let mut text = String::new();
    if let Some(wanted) = &shown.actions {
        text += if wanted.is_empty() { "no action\n" } else { "actions\n" };
        text += &fields(wanted.iter().map(action));
    }
    text + &log(&shown.call) + &format!("\n{}\n", usage(&shown.call))
}

fn action(action: &Action) -> (&'static str, String) {
    match action {
        Action::SetSeverity(severity) => ("set severity", severity.to_string()),
        Action::SetStatus(status) => ("set status", status.to_string()),
        Action::SetCategory(category) => ("set category", clean(category)),
        Action::SetAssignee(assignee) => ("set assignee", clean(assignee)),
        Action::AddTag(tag) => ("add tag", clean(tag)),
        Action::AddObservable(added) => ("add observable", observable(added)),
        Action::AddNote(note) => ("add note", clean(note)),
        Action::Notify(notification) => ("notify", clean(notification)),
    }
}

pub(super) fn notifier(shown: &NotifierDryRun) -> String {
    let mut text = String::new();
    match &shown.request {
        Some(None) => text += "nothing is sent\n",
        Some(Some(request)) => text += &http_request(request),
        None => {}
    }
    text + &log(&shown.call) + &format!("\n{}\n", usage(&shown.call))
}

fn log(call: &CallSummary) -> String {
    match call.log.as_slice() {
        [] => String::new(),
        lines => format!("\nlog\n{}", fields(lines.iter().map(|line| (line.level, clean(&line.message))))),
    }
}

fn usage(call: &CallSummary) -> String {
    let milliseconds = call.duration_us as f64 / 1000.0;
    format!("took {milliseconds:.2} ms and {} of memory", bytes(call.memory_bytes as u64))
}
