//! The conversion of a playbook's actions to the domain's, with their checks.

use crate::bindings::wit;
use crate::reading::{observable, severity};
use hookmill_incident::name::check_name;
use hookmill_incident::{Action, Status, TAG_BYTES_MAX, check_length};

/// The greatest number of actions of one call. More observables and tags than an incident keeps would have no effect.
const ACTIONS_MAX: usize = 1_500;
/// The greatest length of a category or an assignee, in bytes.
const NAME_BYTES_MAX: usize = 128;
/// The greatest length of a note, in bytes.
const NOTE_BYTES_MAX: usize = 16 * 1024;
/// The greatest number of notes of one call: people read them.
const NOTES_MAX: usize = 10;

/// Checks and converts actions. An invalid action makes the whole call fail.
///
/// # Errors
/// Returns a sentence that says which action is invalid, and why.
pub(crate) fn check(actions: Vec<wit::Action>) -> Result<Vec<Action>, String> {
    let count = actions.len();
    if count > ACTIONS_MAX {
        return Err(format!("the playbook returned {count} actions; at most {ACTIONS_MAX} are allowed"));
    }
    let notes = actions.iter().filter(|action| matches!(action, wit::Action::AddNote(_))).count();
    if notes > NOTES_MAX {
        return Err(format!("the playbook returned {notes} notes; at most {NOTES_MAX} are allowed"));
    }
    let checked = actions.into_iter().enumerate();
    let checked = checked.map(|(index, action)| {
        check_one(action).map_err(|problem| format!("action {} of {count}: {problem}", index + 1))
    });
    checked.collect()
}

fn check_one(action: wit::Action) -> Result<Action, String> {
    let bounded = |what, text: String, max| check_length(what, &text, max).map(|()| text);
    Ok(match action {
        wit::Action::SetSeverity(word) => Action::SetSeverity(severity(word)),
        wit::Action::SetStatus(word) => Action::SetStatus(status(word)),
        wit::Action::SetCategory(text) => Action::SetCategory(bounded("the category", text, NAME_BYTES_MAX)?),
        wit::Action::SetAssignee(text) => Action::SetAssignee(bounded("the assignee", text, NAME_BYTES_MAX)?),
        wit::Action::AddTag(text) => Action::AddTag(bounded("the tag", text, TAG_BYTES_MAX)?),
        wit::Action::AddObservable(seen) => Action::AddObservable(observable(seen)?),
        wit::Action::AddNote(text) => Action::AddNote(bounded("the note", text, NOTE_BYTES_MAX)?),
        wit::Action::Notify(name) => check_name(&name).map(|()| Action::Notify(name))?,
    })
}

fn status(status: wit::Status) -> Status {
    match status {
        wit::Status::New => Status::New,
        wit::Status::Triaged => Status::Triaged,
        wit::Status::InProgress => Status::InProgress,
        wit::Status::Escalated => Status::Escalated,
        wit::Status::Resolved => Status::Resolved,
        wit::Status::FalsePositive => Status::FalsePositive,
        wit::Status::Closed => Status::Closed,
    }
}

#[cfg(test)]
mod tests {
    use super::{ACTIONS_MAX, NOTES_MAX, check};
    use crate::bindings::wit::Action;

    #[test]
    fn an_invalid_action_is_named() {
        let error = |actions| check(actions).unwrap_err();
        let tags = vec![Action::AddTag("a".into()), Action::AddTag(String::new())];
        assert_eq!(error(tags), "action 2 of 2: the tag has 0 bytes; expected 1 to 128");
        assert!(error(vec![Action::Notify("a/b".into())]).starts_with("action 1 of 1: `a/b` is not a valid name"));
    }

    #[test]
    fn actions_and_notes_are_limited() {
        let tags = |count| vec![Action::AddTag("a".into()); count];
        assert_eq!(check(tags(ACTIONS_MAX)).unwrap().len(), ACTIONS_MAX);
        let error = check(tags(ACTIONS_MAX + 1)).unwrap_err();
        assert_eq!(error, "the playbook returned 1501 actions; at most 1500 are allowed");
        let error = check(vec![Action::AddNote("n".into()); NOTES_MAX + 1]).unwrap_err();
        assert_eq!(error, "the playbook returned 11 notes; at most 10 are allowed");
    }
}
