//! Changes of an incident by analysts and playbooks. Fields that they set are pinned: payloads do not change them.

use super::{Details, Guard, Incident};
use crate::{Action, Patch, Triage};
use jiff::Timestamp;
use serde_json::json;

impl Guard {
    fn pin(&mut self, field: &str) {
        self.pinned.insert(field.to_owned());
    }
}

impl Incident {
    /// Applies an analyst's change. Returns the changes.
    pub fn patch(&mut self, guard: &mut Guard, patch: Patch, by: &str, now: Timestamp) -> Details {
        let before = self.clone();
        if let Some(title) = patch.title {
            guard.pin("title");
            self.title = title;
        }
        if let Some(description) = patch.description {
            guard.pin("description");
            self.description = description;
        }
        if let Some(severity) = patch.severity {
            guard.pin("severity");
            self.severity = severity;
        }
        if let Some(status) = patch.status {
            self.status = status;
        }
        if let Some(assignee) = patch.assignee {
            self.assignee = assignee;
        }
        if let Some(category) = patch.category {
            guard.pin("category");
            self.category = category;
        }
        if let Some(tlp) = patch.tlp {
            guard.pin("tlp");
            self.tlp = tlp;
        }
        if let Some(tags) = patch.tags {
            guard.pin("tags");
            self.tags.clear();
            self.unite(tags, Vec::new(), Vec::new());
        }
        if let Some(hold) = patch.hold {
            self.hold = hold;
        }
        if let Some(text) = patch.note {
            self.add_note(now, by, text);
        }
        self.cut_texts();
        let changes = self.changes_since(&before);
        if !changes.is_empty() {
            self.touch(now);
        }
        changes
    }

    /// Applies a playbook's actions and records the triage. Returns the changes.
    ///
    /// With `notifies`, the triage itself counts as a change even if the actions changed nothing, so that there is an
    /// audit entry to deliver.
    pub fn triage(
        &mut self,
        guard: &mut Guard,
        actions: Vec<Action>,
        done: Triage,
        notifies: bool,
        now: Timestamp,
    ) -> Details {
        let before = self.clone();
        let by = format!("playbook {}", done.playbook);
        for action in actions {
            self.act(guard, action, &by, now);
        }
        self.cut_texts();
        let mut changes = self.changes_since(&before);
        self.put_triage(done);
        if notifies || !changes.is_empty() {
            changes.insert("triage".to_owned(), json!(self.triage));
            self.touch(now);
        }
        changes
    }

    fn act(&mut self, guard: &mut Guard, action: Action, by: &str, now: Timestamp) {
        match action {
            Action::SetSeverity(severity) => {
                guard.pin("severity");
                self.severity = severity;
            }
            Action::SetStatus(status) => self.status = status,
            Action::SetCategory(category) => {
                guard.pin("category");
                self.category = Some(category);
            }
            Action::SetAssignee(assignee) => self.assignee = Some(assignee),
            Action::AddTag(tag) => self.unite(vec![tag], Vec::new(), Vec::new()),
            Action::AddObservable(observable) => self.unite(Vec::new(), vec![observable], Vec::new()),
            Action::AddNote(text) => {
                // A call that is repeated after a crash adds its notes once.
                if !self.notes.iter().any(|note| note.by == by && note.text == text) {
                    self.add_note(now, by, text);
                }
            }
            // The store makes the delivery.
            Action::Notify(_) => {}
        }
    }
}
