//! The public keys of issuers of tokens, from the URLs that sources name. No request chooses a URL.
//!
//! Keys are fetched when a token needs them, and again in the background when they are old, or when a token names a key
//! that is not among them. While the issuer cannot be reached, the known keys stay in use for a day.

use crate::source::KeyServer;
use anyhow::{Result, anyhow, ensure};
use hookmill_connection::{Connection, Request, read_body};
use hookmill_incident::Clock;
use hookmill_signatures::{KeySet, SignatureError, VerifyError};
use reqwest::header::HeaderMap;
use reqwest::{Method, Url};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OwnedMutexGuard;
use tracing::{info, warn};

const KEYS_BYTES_MAX: usize = 256 * 1024;
/// The number of issuers whose keys are kept.
const ISSUERS_MAX: usize = 256;
/// The age from which keys are fetched again.
const FRESH: Duration = Duration::from_secs(60 * 60);
/// The age up to which keys are used if they cannot be fetched again.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// The pause after a fetch. Payloads that are not verified yet cause fetches, so that the number needs a limit.
const PAUSE: Duration = Duration::from_secs(30);
/// The pause after a fetch that failed.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(5);

/// The keys that a token needs cannot be fetched now. The reason is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the keys of the token's issuer could not be fetched; try again")]
pub struct KeysUnavailable;

/// The issuers whose keys were needed so far.
#[derive(Debug)]
pub struct Issuers {
    clock: Clock,
    issuers: Mutex<BTreeMap<KeyServer, Arc<Issuer>>>,
}

#[derive(Debug)]
struct Issuer {
    clock: Clock,
    url: Url,
    connection: Connection,
    newest: Mutex<Option<FetchedKeys>>,
    /// Locked during a fetch.
    pause: Arc<tokio::sync::Mutex<Pause>>,
}

#[derive(Clone, Debug)]
struct FetchedKeys {
    keys: Arc<KeySet>,
    /// The time of the fetch, in milliseconds since the Unix epoch.
    at_ms: i64,
}

/// The time in which nothing is fetched, in milliseconds since the Unix epoch.
type Pause = Range<i64>;

impl Issuers {
    /// Returns issuers without keys.
    pub fn new(clock: Clock) -> Self {
        Self { clock, issuers: Mutex::default() }
    }

    /// Verifies with the keys of a server: with those that are known, or with newer ones if the key of the token is not
    /// among them.
    ///
    /// # Errors
    /// Returns an error if the keys cannot be fetched now.
    pub async fn verify<T>(
        &self,
        server: &KeyServer,
        verify: impl Fn(&KeySet) -> Result<T, VerifyError>,
    ) -> Result<Result<T, VerifyError>, KeysUnavailable> {
        let issuer = self.issuer(server).map_err(|error| {
            warn!("cannot set up a connection to {}: {error:#}", server.url);
            KeysUnavailable
        })?;
        let known = issuer.known();
        if let Some(known) = &known {
            let result = verify(&known.keys);
            if !matches!(result, Err(VerifyError::Signature(SignatureError::KeyUnknown))) {
                issuer.refresh_if_old(known);
                return Ok(result);
            }
        }
        let newer = issuer.newer_than(known.as_ref()).await?;
        Ok(verify(&newer.keys))
    }

    fn issuer(&self, server: &KeyServer) -> Result<Arc<Issuer>> {
        let mut issuers = self.issuers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(issuer) = issuers.get(server) {
            return Ok(issuer.clone());
        }
        if issuers.len() >= ISSUERS_MAX {
            issuers.pop_first();
        }
        let issuer = Arc::new(Issuer::new(server, self.clock.clone())?);
        issuers.insert(server.clone(), issuer.clone());
        Ok(issuer)
    }
}

impl Issuer {
    fn new(server: &KeyServer, clock: Clock) -> Result<Self> {
        Ok(Self {
            clock,
            url: server.url.clone(),
            connection: server.connection()?,
            newest: Mutex::default(),
            pause: Arc::new(tokio::sync::Mutex::new(0..0)),
        })
    }

    fn known(&self) -> Option<FetchedKeys> {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        newest.clone().filter(|keys| self.age(keys) <= KEPT)
    }

    /// Returns the age of keys; also if the clock went back.
    fn age(&self, keys: &FetchedKeys) -> Duration {
        Duration::from_millis(self.clock.now_ms().abs_diff(keys.at_ms))
    }

    /// Returns the pause of this length from now.
    fn pause_of(&self, length: Duration) -> Pause {
        let now = self.clock.now_ms();
        now..now.saturating_add(length.as_millis() as i64)
    }

    /// Returns newer keys than these. Requests that need them at the same time wait for one fetch.
    async fn newer_than(self: &Arc<Self>, known: Option<&FetchedKeys>) -> Result<FetchedKeys, KeysUnavailable> {
        let pause = self.pause.clone().lock_owned().await;
        if let Some(newest) = self.known().filter(|newest| known.is_none_or(|known| known.at_ms != newest.at_ms)) {
            return Ok(newest);
        }
        if pause.contains(&self.clock.now_ms()) {
            return Err(KeysUnavailable);
        }
        // In a task of its own: a sender that disconnects must not end the fetch that others wait for.
        let fetched = tokio::spawn(self.clone().fetch_newest(pause));
        fetched.await.unwrap_or(Err(KeysUnavailable))
    }

    /// Fetches keys and keeps them, and sets the pause after that.
    async fn fetch_newest(self: Arc<Self>, mut pause: OwnedMutexGuard<Pause>) -> Result<FetchedKeys, KeysUnavailable> {
        let keys = self.fetch().await.map_err(|error| {
            warn!("cannot fetch the keys {}: {error:#}", self.url);
            *pause = self.pause_of(PAUSE_AFTER_FAILURE);
            KeysUnavailable
        })?;
        info!("fetched the keys {}: {keys:?}", self.url);
        let fetched = FetchedKeys { keys: Arc::new(keys), at_ms: self.clock.now_ms() };
        let former = self.newest.lock().unwrap_or_else(PoisonError::into_inner).replace(fetched.clone());
        // The issuer may have changed its keys right after the first fetch.
        *pause = self.pause_of(if former.is_some() { PAUSE } else { Duration::ZERO });
        Ok(fetched)
    }

    /// Fetches keys again in the background if these are old.
    fn refresh_if_old(self: &Arc<Self>, known: &FetchedKeys) {
        let is_due = || self.pause.try_lock().is_ok_and(|pause| !pause.contains(&self.clock.now_ms()));
        if self.age(known) <= FRESH || !is_due() {
            return;
        }
        let (issuer, known) = (self.clone(), known.clone());
        tokio::spawn(async move {
            // A failure is in the log, and the known keys stay in use.
            let _ = issuer.newer_than(Some(&known)).await;
        });
    }

    async fn fetch(&self) -> Result<KeySet> {
        let request =
            Request { method: Method::GET, url: self.url.clone(), headers: HeaderMap::new(), body: Vec::new() };
        let answer = self.connection.send(request).await;
        let answer = answer.map_err(|failure| anyhow!("{failure}"))?;
        ensure!(answer.status().is_success(), "the answer is {}", answer.status());
        Ok(KeySet::read(&read_body(answer, KEYS_BYTES_MAX).await?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_issuers_whose_keys_are_kept_are_limited() {
        let issuers = Issuers::new(Clock::default());
        for number in 0..=ISSUERS_MAX {
            let url = format!("https://issuer-{number}.example/keys").parse().unwrap();
            issuers.issuer(&KeyServer { url, allow_networks: Vec::new(), proxy: None, ca: None }).unwrap();
        }
        assert_eq!(issuers.issuers.lock().unwrap().len(), ISSUERS_MAX);
    }
}
