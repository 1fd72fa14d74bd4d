//! Calls of playbooks.

use super::stored_incident::{Lists, Texts};
use super::{Call, Interface, Kind, Plugin, ShownIncident, shapes};
use crate::sandbox::Walls;

impl Plugin {
    /// Has an incident judged in an instance of its own. Its clock stands at the incident's last change, so that the
    /// same incident is judged the same.
    pub(crate) async fn triage(&self, shown: &ShownIncident) -> Call<Result<Vec<shapes::Action>, String>> {
        let Interface::Playbook(indices) = &self.interface else { return self.not_a(Kind::Playbook) };
        let walls = Walls {
            clock_ms: shown.incident.updated_at.as_millisecond(),
            seed: shown.id,
            memory_bytes: self.memory_bytes,
            output_bytes: self.limits.output_bytes,
        };
        let texts = Texts::new(shown);
        let lists = Lists::new(&texts);
        let record = lists.record();
        self.call(walls, self.limits.deadline, async |store, instance| {
            indices.load(&mut *store, instance)?.call_triage(store, record.clone()).await
        })
        .await
    }
}
