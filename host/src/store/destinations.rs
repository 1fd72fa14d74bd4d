//! Destinations as the store sees them: who is told what, and who is told nothing any more.

use super::deliveries::notice;
use super::sql::json;
use super::writer::Tx;
use super::{Store, StoreError};
use crate::notify::{Rule, Trigger};
use anyhow::Result;
use rusqlite::types::Value;
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
}

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

/// A change of how a destination does: the same in the database and in memory.
#[derive(Clone, Debug)]
pub(super) enum News {
    /// Attempts fail, since this time at the latest.
    Failing(i64),
    /// Something arrived.
    Well,
    /// It gets nothing any more, for this reason.
    Disabled(String),
}

impl News {
    /// Returns whether it changed anything.
    pub fn write(&self, tx: &Tx, name: &str) -> Result<bool> {
        let sql = match self {
            Self::Failing(_) => "UPDATE destinations SET failing_since = coalesce(failing_since, ?2) WHERE name = ?1",
            Self::Well => "UPDATE destinations SET failing_since = ?2, disabled = ?2 WHERE name = ?1",
            Self::Disabled(_) => "UPDATE destinations SET disabled = ?2 WHERE name = ?1 AND disabled IS NULL",
        };
        let value = match self {
            Self::Failing(since) => Value::Integer(*since),
            Self::Well => Value::Null,
            Self::Disabled(reason) => Value::Text(reason.clone()),
        };
        Ok(tx.connection.prepare_cached(sql)?.execute(params![name, value])? > 0)
    }

    fn apply(&self, state: &mut DestinationState) {
        match self {
            Self::Failing(since) => state.failing_since = state.failing_since.or(Some(*since)),
            Self::Well => (state.failing_since, state.disabled) = (None, None),
            Self::Disabled(reason) => state.disabled = state.disabled.take().or(Some(reason.clone())),
        }
    }
}

impl Store {
    /// Sets who is told what from now on. What waits for destinations that are gone goes to the dead letters.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub async fn set_outbound(
        &self,
        destinations: Vec<DestinationRow>,
        rules: Vec<Rule>,
        public_url: String,
    ) -> Result<(), StoreError> {
        let states = self
            .writer
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
                    let state = DestinationState { name, is_told_all, is_ordered, failing_since, disabled };
                    if !state.is_ordered {
                        let sql = "UPDATE deliveries SET next_at = 0 \
                                   WHERE destination = ? AND status = 'pending' AND next_at IS NULL";
                        tx.connection.execute(sql, [&state.name])?;
                    }
                    states.push(state);
                }
                let names: Vec<&str> = destinations.iter().map(|row| row.name.as_str()).collect();
                let sql = "UPDATE deliveries SET status = 'dead', error = 'its destination is not configured any more' \
                           WHERE status = 'pending' AND destination NOT IN (SELECT value FROM json_each(?))";
                tx.connection.execute(sql, [json(&names)])?;
                Ok(states)
            })
            .await?;
        self.outbound.store(Arc::new(Outbound { destinations: states, rules, public_url }));
        Ok(())
    }

    /// Sends a destination nothing any more: what waits for it goes to the dead letters. Whoever wants to know is told.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn disable_destination(&self, name: &str, reason: String) -> Result<(), StoreError> {
        let news = News::Disabled(reason.clone());
        self.writer
            .write({
                let (name, news) = (name.to_owned(), news.clone());
                move |tx| {
                    let is_new = news.write(tx, &name)?;
                    let sql =
                        "UPDATE deliveries SET status = 'dead', error = ? WHERE destination = ? AND status = 'pending'";
                    tx.connection.execute(sql, [&reason, &name])?;
                    if is_new {
                        notice(tx, Trigger::DestinationDisabled, &json!({"object": {"name": name, "reason": reason}}))?;
                    }
                    Ok(())
                }
            })
            .await?;
        self.hear(name, &news);
        Ok(())
    }

    /// Takes back that a destination is disabled. Returns whether it was; nothing when it is not configured.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn enable_destination(&self, name: &str) -> Result<Option<bool>, StoreError> {
        let Some(state) = self.destination(name) else { return Ok(None) };
        let owned = name.to_owned();
        self.writer.write(move |tx| News::Well.write(tx, &owned)).await?;
        self.hear(name, &News::Well);
        Ok(Some(state.disabled.is_some()))
    }

    /// Who is told what.
    pub fn outbound(&self) -> Arc<Outbound> {
        self.outbound.load_full()
    }

    /// How a destination does; nothing when it is not configured.
    pub fn destination(&self, name: &str) -> Option<DestinationState> {
        self.outbound.load().destination(name).cloned()
    }

    /// What an attempt changes of what is known of its destination.
    pub(super) fn news(&self, name: &str, health: Health, at: i64) -> Option<News> {
        let outbound = self.outbound.load();
        let state = outbound.destination(name)?;
        let is_well = state.failing_since.is_none() && state.disabled.is_none();
        match health {
            Health::Well if !is_well => Some(News::Well),
            Health::Failing if state.failing_since.is_none() => Some(News::Failing(at)),
            _ => None,
        }
    }

    pub(super) fn hear(&self, name: &str, news: &News) {
        self.outbound.rcu(|outbound| {
            let mut outbound = Outbound::clone(outbound);
            if let Some(state) = outbound.destinations.iter_mut().find(|state| state.name == name) {
                news.apply(state);
            }
            outbound
        });
    }
}
