//! Destinations as the store sees them: who is told what, and who is told nothing any more.

use super::deliveries::{ROWS_AT_ONCE, notice};
use super::writer::Tx;
use super::{Store, StoreError};
use anyhow::Result;
use hookmill_incident::id::unix_ms;
use hookmill_notify::{Rule, Trigger};
use rusqlite::{OptionalExtension, params};
use serde_json::json;
use std::sync::Arc;

/// What is configured of a destination, as far as the store needs to know.
#[derive(Clone, Debug)]
pub struct DestinationRow {
    /// Its name.
    pub name: String,
    /// What makes it the same destination: one that was disabled gets another chance when this changes.
    pub fingerprint: String,
    /// Whether every audit entry goes there.
    pub is_told_all: bool,
    /// Whether changes of one incident wait for each other.
    pub is_ordered: bool,
}

/// A destination and how it does.
#[derive(Clone, Debug)]
pub struct DestinationState {
    /// Its name.
    pub name: String,
    pub(super) is_told_all: bool,
    pub(super) is_ordered: bool,
    /// When the first attempt failed after which none arrived, in milliseconds since the Unix epoch.
    pub failing_since: Option<i64>,
    /// Why it gets nothing, when it is disabled.
    pub disabled: Option<String>,
    /// When it was disabled, if that was since the start.
    disabled_at: i64,
}

/// What of a queue has no order yet waits for what is before it of the same subject.
const ORDER_PENDING: &str = "UPDATE deliveries SET next_at = NULL WHERE destination = ? AND status = 'pending' \
    AND next_at IS NOT NULL AND EXISTS (SELECT 1 FROM deliveries earlier WHERE earlier.destination = deliveries.destination \
        AND earlier.subject = deliveries.subject AND earlier.status = 'pending' AND earlier.key < deliveries.key)";

/// What an attempt says of its destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It takes what it is sent.
    Well,
    /// It could not be reached, or could not take anything.
    Failing,
    /// It did not take this, and may take others.
    Unknown,
}

/// Everything that decides who is told what.
#[derive(Clone, Debug, Default)]
pub struct Outbound {
    /// The destinations.
    pub destinations: Vec<DestinationState>,
    /// The notifications.
    pub rules: Vec<Rule>,
    /// Where people reach this host, for links.
    pub public_url: String,
}

impl Outbound {
    /// A destination that is configured.
    pub fn destination(&self, name: &str) -> Option<&DestinationState> {
        self.destinations.iter().find(|state| state.name == name)
    }

    /// The notifications of a trigger.
    pub fn rules_for(&self, trigger: Trigger) -> impl Iterator<Item = &Rule> {
        self.rules.iter().filter(move |rule| rule.trigger == trigger)
    }
}

/// Changes how a destination does, in the database and for what comes after in this transaction.
fn change(tx: &mut Tx, name: &str, change: impl FnOnce(&mut DestinationState)) -> Result<()> {
    let outbound = Arc::make_mut(&mut tx.outbound);
    let Some(state) = outbound.destinations.iter_mut().find(|state| state.name == name) else { return Ok(()) };
    change(state);
    let sql = "UPDATE destinations SET failing_since = ?, disabled = ? WHERE name = ?";
    tx.connection.prepare_cached(sql)?.execute(params![state.failing_since, state.disabled, name])?;
    Ok(())
}

/// What an attempt that began at a time says of its destination. One that was under way when the destination was disabled
/// does not enable it.
pub(super) fn hear(tx: &mut Tx, name: &str, health: Health, at: i64) -> Result<()> {
    let Some(state) = tx.outbound.destination(name) else { return Ok(()) };
    let is_well = state.failing_since.is_none() && state.disabled.is_none();
    match health {
        Health::Well if !is_well && at > state.disabled_at => {
            change(tx, name, |state| (state.failing_since, state.disabled) = (None, None))
        }
        Health::Failing if state.failing_since.is_none() => change(tx, name, |state| state.failing_since = Some(at)),
        _ => Ok(()),
    }
}

impl Store {
    /// Sets who is told what from now on.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub async fn set_outbound(
        &self,
        destinations: Vec<DestinationRow>,
        rules: Vec<Rule>,
        public_url: String,
    ) -> Result<(), StoreError> {
        self.writer
            .write(move |tx| {
                let mut states = Vec::new();
                for row in &destinations {
                    let sql = "SELECT failing_since, disabled FROM destinations WHERE name = ? AND fingerprint = ?";
                    let known = tx
                        .connection
                        .query_row(sql, [&row.name, &row.fingerprint], |row| Ok((row.get(0)?, row.get(1)?)));
                    let (failing_since, disabled) = known.optional()?.unwrap_or_default();
                    let DestinationRow { name, fingerprint, is_told_all, is_ordered } = row.clone();
                    let sql = "INSERT OR REPLACE INTO destinations (name, fingerprint, failing_since, disabled) \
                               VALUES (?, ?, ?, ?)";
                    tx.connection.execute(sql, params![name, fingerprint, failing_since, disabled])?;
                    let state =
                        DestinationState { name, is_told_all, is_ordered, failing_since, disabled, disabled_at: 0 };
                    let sql = match state.is_ordered {
                        true => ORDER_PENDING,
                        // When it was put there.
                        false => {
                            "UPDATE deliveries SET next_at = key >> 15 \
                             WHERE destination = ? AND status = 'pending' AND next_at IS NULL"
                        }
                    };
                    tx.connection.execute(sql, [&state.name])?;
                    states.push(state);
                }
                let (rules, public_url) = (rules.clone(), public_url.clone());
                tx.outbound = Arc::new(Outbound { destinations: states, rules, public_url });
                Ok(())
            })
            .await
    }

    /// Gives up what waits for destinations that are not configured any more.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub async fn give_up_removed(&self) -> Result<()> {
        let waited_for = self.read(|connection| {
            let sql = "SELECT DISTINCT destination FROM deliveries WHERE status = 'pending'";
            let mut query = connection.prepare_cached(sql)?;
            Ok(query.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?)
        });
        for name in waited_for.await?.iter().filter(|name| self.destination(name).is_none()) {
            self.give_up(name).await?;
        }
        Ok(())
    }

    /// Sends what waits for a destination that gets nothing to the dead letters, until somebody enables it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn give_up(&self, name: &str) -> Result<(), StoreError> {
        loop {
            let name = name.to_owned();
            let given_up = self.writer.write(move |tx| {
                let reason = match tx.outbound.destination(&name).map(|state| &state.disabled) {
                    None => "its destination is not configured any more",
                    Some(Some(reason)) => reason,
                    Some(None) => return Ok(0),
                };
                // Those without a time first: nothing may be left that waits for what is given up.
                let sql = "UPDATE deliveries SET status = 'dead', error = ? WHERE key IN ( \
                               SELECT key FROM deliveries WHERE destination = ? AND status = 'pending' \
                               ORDER BY next_at LIMIT ?)";
                Ok(tx.connection.prepare_cached(sql)?.execute(params![reason, name, ROWS_AT_ONCE as u64])?)
            });
            if given_up.await? < ROWS_AT_ONCE {
                return Ok(());
            }
        }
    }

    /// Sends a destination nothing any more. Whoever wants to know is told. What waits for it is still to be given up.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn disable_destination(&self, name: &str, reason: String) -> Result<(), StoreError> {
        let name = name.to_owned();
        self.writer
            .write(move |tx| {
                let state = tx.outbound.destination(&name);
                if state.is_none_or(|state| state.disabled.is_some()) {
                    return Ok(());
                }
                change(tx, &name, |state| {
                    (state.disabled, state.disabled_at) = (Some(reason.clone()), unix_ms());
                })?;
                notice(tx, Trigger::DestinationDisabled, &json!({"object": {"name": name, "reason": reason}}))?;
                Ok(())
            })
            .await
    }

    /// Takes back that a destination is disabled. Returns whether it was; nothing when it is not configured.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn enable_destination(&self, name: &str) -> Result<Option<bool>, StoreError> {
        let name = name.to_owned();
        self.writer
            .write(move |tx| {
                let Some(state) = tx.outbound.destination(&name) else { return Ok(None) };
                let was_disabled = state.disabled.is_some();
                change(tx, &name, |state| (state.failing_since, state.disabled) = (None, None))?;
                Ok(Some(was_disabled))
            })
            .await
    }

    /// Who is told what.
    pub fn outbound(&self) -> Arc<Outbound> {
        self.outbound.load_full()
    }

    /// Whether a destination gets nothing.
    pub fn is_disabled(&self, name: &str) -> bool {
        self.outbound.load().destination(name).is_some_and(|state| state.disabled.is_some())
    }

    /// How a destination does; nothing when it is not configured.
    pub fn destination(&self, name: &str) -> Option<DestinationState> {
        self.outbound.load().destination(name).cloned()
    }
}
