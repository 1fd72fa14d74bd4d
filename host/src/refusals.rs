//! The newest refused requests of each source with their exact causes, for the operator who wonders why nothing arrives.
//!
//! They are in memory only, and no part of a body is kept. Refusals of one address for one reason are one entry with a
//! count, so that a sender that repeats its mistake does not hide another one.

use crate::peer::network;
use hookmill_incident::Clock;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use uuid::Uuid;

/// The maximum number of entries of one source. Requests for unknown sources share as many.
pub const ENTRIES_MAX: usize = 32;

/// Refused requests of one address for one reason.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RefusedRequests {
    /// The id of the first one.
    pub id: Uuid,
    /// The source that the request was for; `None` if the source is not known.
    pub source: Option<String>,
    /// The code of the answer.
    pub code: String,
    /// The exact reason of the newest one, which the sender does not learn.
    pub reason: String,
    /// The address that sent the newest one, if it is known.
    pub address: Option<IpAddr>,
    /// When the first one was refused.
    pub first_at: Timestamp,
    /// When the newest one was refused.
    pub last_at: Timestamp,
    /// The number of requests.
    pub count: u64,
}

/// A request that is being refused.
#[derive(Debug)]
pub struct NewRefusal<'r> {
    /// The id of the request.
    pub id: Uuid,
    /// The source that the request is for, if it is known.
    pub source: Option<&'r str>,
    /// The code of the answer.
    pub code: &'r str,
    /// The exact reason.
    pub reason: &'r str,
    /// The address of the sender.
    pub address: Option<IpAddr>,
}

/// The newest refused requests.
#[derive(Debug)]
pub struct Refusals {
    clock: Clock,
    /// The entries of each source, the newest last.
    kept: Mutex<HashMap<Option<String>, Vec<RefusedRequests>>>,
}

impl Refusals {
    /// Creates an empty list with times of this clock.
    pub fn new(clock: Clock) -> Self {
        Self { clock, kept: Mutex::default() }
    }

    /// Adds a request, and drops the oldest entry of its source if there are too many.
    pub fn add(&self, new: NewRefusal) {
        let now = self.clock.now();
        let mut kept = self.lock();
        let entries = kept.entry(new.source.map(str::to_owned)).or_default();
        let is_same = |entry: &RefusedRequests| {
            entry.code == new.code
                && without_numbers(&entry.reason).eq(without_numbers(new.reason))
                && entry.address.map(network) == new.address.map(network)
        };
        let entry = match entries.iter().position(is_same) {
            Some(index) => {
                let known = entries.remove(index);
                let (reason, count) = (new.reason.to_owned(), known.count + 1);
                RefusedRequests { reason, address: new.address, last_at: now, count, ..known }
            }
            None => RefusedRequests {
                id: new.id,
                source: new.source.map(str::to_owned),
                code: new.code.to_owned(),
                reason: new.reason.to_owned(),
                address: new.address,
                first_at: now,
                last_at: now,
                count: 1,
            },
        };
        if entries.len() == ENTRIES_MAX {
            entries.remove(0);
        }
        entries.push(entry);
    }

    /// Returns the entries of some sources, or of all, the newest first.
    pub fn list(&self, sources: &[String], limit: usize) -> Vec<RefusedRequests> {
        let is_wanted = |source: &Option<String>| {
            sources.is_empty() || source.as_ref().is_some_and(|source| sources.contains(source))
        };
        let kept = self.lock();
        let wanted = kept.iter().filter(|(source, _)| is_wanted(source));
        let mut found: Vec<RefusedRequests> = wanted.flat_map(|(_, entries)| entries).cloned().collect();
        found.sort_by_key(|entry| Reverse((entry.last_at, entry.id)));
        found.truncate(limit);
        found
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Option<String>, Vec<RefusedRequests>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the characters of a reason that are the same when it is repeated: the age of a request is not.
fn without_numbers(reason: &str) -> impl Iterator<Item = char> {
    reason.chars().filter(|character| !character.is_ascii_digit())
}
