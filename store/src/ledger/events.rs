//! Events: recording one, with everything that follows from it.

use super::audit::Cause;
use super::{EncodedEvent, Ledger, NewEvent, Subject, Tx};
use crate::rows::{CountKind, IncidentKey, RecordDryRun, Recorded};
use anyhow::{Context, Result};
use hookmill_incident::id::row_key;
use hookmill_incident::{Event, EventState, EventStatus, Mapped, MappingFailure, Origin, Reading, Verdict, json_size};
use hookmill_notify::{Rule, Trigger, about_event};
use uuid::Uuid;

/// The maximum number of bytes, in JSON, of the notes on an event: a mapper may return thousands.
const MESSAGE_BYTES_MAX: usize = 16 * 1024;

impl<T: Tx + ?Sized> Ledger<'_, T> {
    /// Records a new event with everything that follows from it, unless it is a repeat.
    pub fn record(&mut self, mapped: &Mapped, encoded: &EncodedEvent) -> Result<Recorded> {
        let source = &mapped.event.source;
        self.count(CountKind::Payloads, source, "received");
        if let Some(known) = self.remember(&mapped.event)? {
            self.count(CountKind::Payloads, source, "duplicate");
            let state = self.rows.event_state(known)?.context("a remembered event is not in the store")?;
            return Ok(Recorded { state, duplicate: true });
        }
        let state = self.decide(mapped, None)?;
        self.count(CountKind::Payloads, source, state.status.as_str());
        // An event without a tried plugin waits for a plugin, not for another attempt.
        let was_tried = !mapped.tried.is_empty();
        self.changed.queued |= state.status == EventStatus::Queued && was_tried;
        let (attempts, stored_at) = (u32::from(was_tried), self.clock.now_ms());
        self.rows.put_event(&NewEvent { mapped, state: &state, attempts, stored_at, encoded })?;
        self.events.push(state.id);
        Ok(Recorded { state, duplicate: false })
    }

    /// Records the result of mapping a stored event again. Returns `None` if its status is no longer `was`.
    ///
    /// This comparison is the fence of the task that maps waiting events. Groups of writes are serial, and an event leaves
    /// the status `queued` or `quarantined` once: a host that was stopped and still has a result finds another status.
    pub fn record_again(&mut self, mapped: &Mapped, was: EventStatus, attempt: u32) -> Result<Option<Recorded>> {
        let before = self.stored_state(mapped.event.id)?.filter(|before| before.status == was);
        let Some(before) = before else { return Ok(None) };
        let state = self.decide(mapped, Some(&before))?;
        self.rows.update_event(&state, attempt, mapped)?;
        self.events.push(state.id);
        if state.status != was {
            self.count(CountKind::Payloads, &mapped.event.source, state.status.as_str());
        }
        self.changed.queued |= state.status == EventStatus::Queued;
        Ok(Some(Recorded { state, duplicate: false }))
    }

    /// Returns everything that recording an event would change, without changing it.
    pub fn dry_run(&mut self, mapped: &Mapped) -> Result<RecordDryRun> {
        let (changed, counts, first) = (self.changed.clone(), self.counts.clone(), row_key(self.clock.new_id()));
        let before = self.stored_state(mapped.event.id)?;
        self.rows.begin_dry_run()?;
        let state = self.decide(mapped, before.as_ref())?;
        let incidents = self.views(&state)?;
        let deliveries = self.rows.destinations_after(first)?;
        self.rows.undo_dry_run()?;
        (self.changed, self.counts) = (changed, counts);
        let present = self.views(&state)?;
        Ok(RecordDryRun { state, incidents, present, deliveries })
    }

    /// Returns the state of an event that is stored.
    fn stored_state(&mut self, id: Uuid) -> Result<Option<EventState>> {
        Ok(self.rows.event_state(row_key(id))?.filter(|state| state.id == id))
    }

    /// Returns the incidents of an event as the API shows them; `null` for an incident that does not exist or is
    /// unreadable.
    fn views(&mut self, state: &EventState) -> Result<Vec<serde_json::Value>> {
        let view = |id: Uuid| {
            let row = self.rows.find_incident(IncidentKey::Id(id))?.and_then(Result::ok);
            Ok(row.map(|row| serde_json::to_value(row.shown())).transpose()?.unwrap_or_default())
        };
        state.incidents.iter().map(|incident| incident.id).map(view).collect()
    }

    /// Discards an event. Returns `None` if there is no such event, and `Some(false)` if its status is final.
    pub fn discard(&mut self, id: Uuid, reason: Option<&str>) -> Result<Option<bool>> {
        let Some(status) = self.rows.event_status(id)? else { return Ok(None) };
        if !matches!(status, EventStatus::Queued | EventStatus::Quarantined | EventStatus::Partial) {
            return Ok(Some(false));
        }
        self.rows.discard_event(id, reason)?;
        self.events.push(id);
        Ok(Some(true))
    }

    /// Discards those of some events that are in quarantine. Returns their number.
    pub fn discard_quarantined(&mut self, ids: &[Uuid], reason: Option<&str>) -> Result<usize> {
        let mut discarded = 0;
        for id in ids {
            if self.rows.event_status(*id)? == Some(EventStatus::Quarantined) {
                self.rows.discard_event(*id, reason)?;
                discarded += 1;
            }
        }
        Ok(discarded)
    }

    /// Applies a verdict: creates and changes incidents, with their audit entries and deliveries. Notifications are for
    /// events that are new, and for those that become quarantined and were not before. `before` is the state of an event
    /// that is stored.
    fn decide(&mut self, mapped: &Mapped, before: Option<&EventState>) -> Result<EventState> {
        let mut state = EventState {
            id: mapped.event.id,
            status: mapped.verdict.status(),
            code: None,
            message: None,
            incidents: Vec::new(),
        };
        match &mapped.verdict {
            Verdict::NotMapped(reason) => state.message = Some(reason.clone().into_owned()),
            Verdict::Wait(reason) => {
                state.message = Some(reason.clone());
            }
            Verdict::Failed(MappingFailure { code, message }) => {
                state.code = Some(*code);
                state.message = Some(message.clone());
            }
            Verdict::Read { plugin, reading: Reading { observations, skipped, problems } } => {
                let origin = Origin {
                    playbook: mapped.playbook.clone(),
                    auto_triage: mapped.auto_triage,
                    ..Origin::of(&mapped.event, plugin)?
                };
                let counted = before.map_or(&[][..], |before| &before.incidents);
                let (request_id, traceparent) = (mapped.event.id.to_string(), mapped.event.traceparent.as_deref());
                let cause = Cause { request_id: &request_id, traceparent };
                for observation in observations {
                    state.incidents.push(self.apply(observation, &origin, counted, cause)?);
                }
                let notes = if problems.is_empty() { skipped } else { problems };
                state.message = (!notes.is_empty()).then(|| notes.join("; "));
            }
        }
        if let Some(message) = &mut state.message {
            json_size::cut(message, MESSAGE_BYTES_MAX);
        }
        if before.is_none() {
            self.notify_of_event(Trigger::EventReceived, &mapped.event, &state)?;
        }
        if state.status == EventStatus::Quarantined
            && before.is_none_or(|before| before.status != EventStatus::Quarantined)
        {
            self.notify_of_event(Trigger::EventQuarantined, &mapped.event, &state)?;
        }
        Ok(state)
    }

    /// Queues the deliveries of the notifications about an event.
    fn notify_of_event(&mut self, trigger: Trigger, event: &Event, state: &EventState) -> Result<()> {
        let outbound = self.outbound.clone();
        let rules = outbound.rules.of_source(&event.source).filter(|rule| rule.trigger == trigger);
        let rules: Vec<&Rule> = rules.collect();
        if rules.is_empty() {
            return Ok(());
        }
        let needs_body = rules.iter().any(|rule| rule.filter.reads(&["event", "body"]));
        let message = about_event(trigger, event, state, &outbound.public_url, needs_body);
        for rule in rules.into_iter().filter(|rule| rule.filter.matches(&message)) {
            let traceparent = event.traceparent.as_deref();
            self.enqueue_steps(rule, Subject::Event { event: row_key(event.id), traceparent })?;
        }
        Ok(())
    }
}
