//! Recognition of repeated events.

use super::{KnownEvent, Ledger, RepeatKeyRow, Tx};
use crate::Dedup;
use anyhow::Result;
use hookmill_incident::id::row_key;
use hookmill_incident::{Event, RepeatKey};
use sha2::{Digest, Sha256};
use std::time::Duration;

/// The number of repeat keys that one write removes.
const KEYS_PER_WRITE: usize = 1000;

/// Returns whether an event would be a repeat; `find` returns the event of a repeat key.
pub(crate) fn is_repeat(
    event: &Event,
    dedup: Dedup,
    mut find: impl FnMut(&RepeatKeyRow) -> Result<Option<KnownEvent>>,
) -> Result<bool> {
    for identity in RepeatIdentity::all_of(event, dedup).into_iter().flatten() {
        if identity.find(&mut find)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns the time before which repeat keys have expired.
fn oldest_remembered(now_ms: i64, dedup: Dedup) -> i64 {
    now_ms.saturating_sub(dedup.retention.max(dedup.window).as_millis() as i64)
}

/// A property by which an event is recognised.
enum RepeatIdentity<'a> {
    /// One key, with the time that the sender signed. An expired key recognises nothing, even while it is still stored.
    Signed { key: RepeatKeyRow<'a>, is_expired: bool },
    /// Keys with windows of the time of arrival.
    Arrived(Windows<'a>),
}

/// A key with an identity of the event, which was remembered before.
struct FoundKey {
    /// The time in the key.
    at: i64,
    event: KnownEvent,
}

impl<'a> RepeatIdentity<'a> {
    /// Returns the identities of an event; one that was remembered is enough to recognise a repeat. An event with an id
    /// that is not signed has a second identity, because anyone who saw the event can send it with another id.
    fn all_of(event: &'a Event, dedup: Dedup) -> [Option<Self>; 2] {
        let (source, digest) = (&*event.source, event.digest);
        let arrived = |window: Duration, digest, is_renewed| {
            let (window_ms, received_at) = ((window.as_millis() as i64).max(1), event.received_at);
            Self::Arrived(Windows { source, digest, received_at, window_ms, is_renewed })
        };
        let delivery = |id: &str| {
            let digest = Sha256::new_with_prefix(digest).chain_update(id).finalize().into();
            // Renewed: an event that its sender repeats for ever is recognised for ever.
            arrived(dedup.retention, digest, true)
        };
        let content = |signed_at: Option<i64>| match signed_at {
            Some(at) => Self::Signed {
                key: RepeatKeyRow { at, source, digest: &event.digest },
                is_expired: at < oldest_remembered(event.received_at, dedup),
            },
            None => arrived(dedup.window, digest, false),
        };
        match &event.repeat_key {
            RepeatKey::SignedAt(at) => [Some(content(Some(*at))), None],
            RepeatKey::Body => [Some(content(None)), None],
            RepeatKey::DeliveryId(id) => [Some(delivery(id)), None],
            RepeatKey::UnsignedDeliveryId { id, signed_at } => [Some(delivery(id)), Some(content(*signed_at))],
        }
    }

    fn find(&self, mut find: impl FnMut(&RepeatKeyRow) -> Result<Option<KnownEvent>>) -> Result<Option<FoundKey>> {
        match self {
            Self::Signed { is_expired: true, .. } => Ok(None),
            Self::Signed { key, .. } => Ok(find(key)?.map(|event| FoundKey { at: key.at, event })),
            Self::Arrived(windows) => windows.find(find),
        }
    }

    /// Returns the key to write, after `found` was or was not found.
    fn new_key(&self, found: Option<&FoundKey>) -> Option<RepeatKeyRow<'_>> {
        match (self, found) {
            (Self::Signed { key, .. }, None) => Some(*key),
            // A key that is there already is too old to count, and is replaced.
            (Self::Arrived(windows), None) => Some(windows.key(windows.end())),
            (Self::Arrived(windows), Some(found)) if windows.is_renewed && found.at < windows.end() => {
                Some(windows.key(windows.end()))
            }
            (_, Some(_)) => None,
        }
    }
}

/// The window into which an event's time of arrival falls, and the windows beside it.
struct Windows<'a> {
    source: &'a str,
    digest: [u8; 32],
    received_at: i64,
    window_ms: i64,
    /// Whether a key is kept until no repeat arrives for a whole window.
    is_renewed: bool,
}

impl Windows<'_> {
    /// Returns the end of the event's window, so that its key is not removed before the last event of the window.
    fn end(&self) -> i64 {
        self.received_at - self.received_at.rem_euclid(self.window_ms) + self.window_ms
    }

    fn key(&self, at: i64) -> RepeatKeyRow<'_> {
        RepeatKeyRow { at, source: self.source, digest: &self.digest }
    }

    /// Returns the event that this one repeats, after the end of its window.
    fn find(&self, mut find: impl FnMut(&RepeatKeyRow) -> Result<Option<KnownEvent>>) -> Result<Option<FoundKey>> {
        // The time of arrival and not that of the event's id: ids stay ahead after the clock went back.
        let is_near = |known: &KnownEvent| self.received_at.abs_diff(known.received_at) < self.window_ms.unsigned_abs();
        // Writes do not come in the order of arrival: the other event may lie in the next window.
        for at in [self.end() - self.window_ms, self.end(), self.end() + self.window_ms] {
            if let Some(event) = find(&self.key(at))?.filter(|known| self.is_renewed || is_near(known)) {
                return Ok(Some(FoundKey { at, event }));
            }
        }
        Ok(None)
    }
}

impl<T: Tx + ?Sized> Ledger<'_, T> {
    /// Remembers an event, so that its repeats are recognised. Returns the key of the event that it repeats, if any.
    pub(super) fn remember(&mut self, event: &Event) -> Result<Option<i64>> {
        let identities = RepeatIdentity::all_of(event, self.policy.dedup);
        let new = KnownEvent { key: row_key(event.id), received_at: event.received_at };
        if let [Some(RepeatIdentity::Signed { key, is_expired: false }), None] = &identities {
            return Ok(self.rows.add_repeat(key, new)?.map(|known| known.key));
        }
        // All are looked for before one is written: no key may name an event that is not stored because it is a repeat.
        let mut found = [None, None];
        for (found, identity) in found.iter_mut().zip(identities.iter().flatten()) {
            *found = identity.find(|key| self.rows.find_repeat(key))?;
        }
        let known = found.iter().flatten().map(|known| known.event).next();
        for (identity, found) in identities.iter().flatten().zip(&found) {
            if let Some(key) = identity.new_key(found.as_ref()) {
                self.rows.put_repeat(&key, known.unwrap_or(new))?;
            }
        }
        Ok(known.map(|known| known.key))
    }

    /// Removes repeat keys that are too old to recognise anything, unless the clock may be wrong. Returns whether there may
    /// be more.
    pub fn purge_repeats(&mut self) -> Result<bool> {
        let (dedup, Some(now)) = (self.policy.dedup, self.clock.steady_ms()) else { return Ok(false) };
        Ok(self.rows.remove_repeats(oldest_remembered(now, dedup), KEYS_PER_WRITE)? == KEYS_PER_WRITE)
    }
}
