//! Calls playbooks: an incident in, checked actions out.

use crate::actions::check;
use crate::call::{Call, CallError};
use crate::component::{Interface, Kind};
use crate::plugin::Plugin;
use crate::stored_incident::{Lists, Texts};
use hookmill_incident::{Action, ShownIncident, TriageCode, TriageError};

impl Plugin {
    /// Calls a playbook for an incident, in an instance of its own. Its clock shows the time of the incident's last
    /// change, so that the same incident gets the same result.
    pub async fn triage(&self, shown: &ShownIncident) -> Call<Result<Result<Vec<Action>, TriageError>, CallError>> {
        let Interface::Playbook(indices) = &self.compiled.interface else { return self.wrong_kind(Kind::Playbook) };
        let texts = Texts::new(shown);
        let lists = Lists::new(&texts);
        let record = lists.record();
        let call = async |store: &mut _, instance: &_| {
            indices.load(&mut *store, instance)?.call_triage(store, record.clone()).await
        };
        let clock_ms = shown.incident.updated_at.as_millisecond();
        self.compiled.call(clock_ms, shown.id, call).await.map_value(|returned| match returned {
            Ok(actions) => check(actions).map_err(|message| TriageError { code: TriageCode::InvalidAction, message }),
            Err(message) => Err(TriageError { code: TriageCode::Refused, message }),
        })
    }
}
