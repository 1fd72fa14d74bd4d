//! The results of single calls of plugins, as text.

use crate::text::{actions, bytes, clean, fields, incident};
use hookmill_host::api::shapes::{CallSummary, MapperDryRun, MappingOutcome, NotifierDryRun, PlaybookDryRun};
use serde_json::{Value, json};

pub(super) fn mapper(shown: &MapperDryRun, payload_bytes: usize) -> String {
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
    if !call.log.is_empty() {
        text += "\nlog\n";
        text += &fields(call.log.iter().map(|line| (line.level, clean(&line.message))));
    }
    text + &format!("\n{} for {}\n", usage(call), bytes(payload_bytes as u64))
}

pub(super) fn playbook(shown: &PlaybookDryRun) -> String {
    let mut text = String::new();
    if let Some(wanted) = &shown.actions {
        text += if wanted.is_empty() { "no action\n" } else { "actions\n" };
        text += &actions(&wanted.iter().map(|action| json!(action)).collect::<Vec<Value>>());
    }
    text + &log_and_usage(&shown.call)
}

pub(super) fn notifier(shown: &NotifierDryRun) -> String {
    let mut text = String::new();
    match &shown.request {
        Some(None) => text += "nothing is sent\n",
        Some(Some(request)) => {
            text += &format!("{} {}\n", clean(&request.method), clean(&request.url));
            for (name, value) in &request.headers {
                text += &format!("{}: {}\n", clean(name), clean(value));
            }
            text += &format!("\n{}\n", clean(&request.body));
        }
        None => {}
    }
    text + &log_and_usage(&shown.call)
}

fn log_and_usage(call: &CallSummary) -> String {
    let mut text = String::new();
    if !call.log.is_empty() {
        text += "\nlog\n";
        text.extend(call.log.iter().map(|line| format!("  {:14}{}\n", line.level, clean(&line.message))));
    }
    text + &format!("\n{}\n", usage(call))
}

fn usage(call: &CallSummary) -> String {
    let milliseconds = call.duration_us as f64 / 1000.0;
    format!("took {milliseconds:.2} ms and {} of memory", bytes(call.memory_bytes as u64))
}
