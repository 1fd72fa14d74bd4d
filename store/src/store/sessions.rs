//! Sessions of browsers: each one replaces a token by an id that ends soon.

use super::Store;
use super::credential_digest;
use crate::error::StoreError;
use crate::reads::Reads;
use crate::rows::{OwnedSession, SessionRow};
use anyhow::Result;

/// The number of sessions that a token has at the same time, which bounds the table. People have a few browsers.
const SESSIONS_MAX: usize = 32;
/// The number of sessions in the list of sessions, which is not in pages.
const SESSIONS_SHOWN: usize = 1000;
/// The time between two writes of a session's last use, so that a browser's requests do not each write.
const USED_EVERY_MS: i64 = 60 * 1000;

impl Store {
    /// Begins a session of the token with this digest. Returns the session's id, which is not stored. The token's oldest
    /// session ends if it has too many.
    ///
    /// # Errors
    /// Returns an error if the session cannot be written.
    pub async fn begin_session(&self, token: [u8; 32]) -> Result<(String, SessionRow)> {
        let mut random = [0; 32];
        getrandom::fill(&mut random)?;
        let id = hex::encode(random);
        let now = self.clock.now_ms();
        let session = SessionRow { digest: credential_digest(&id), token, created_at: now, used_at: now };
        let row = session.clone();
        self.database.write(move |ledger| ledger.rows.add_session(&row, SESSIONS_MAX)).await?;
        Ok((id, session))
    }

    /// Returns the session with this id, if it goes on. Its token may have ended.
    ///
    /// # Errors
    /// Returns an error if the sessions cannot be read.
    pub async fn session(&self, id: &str) -> Result<Option<SessionRow>> {
        let found = self.database.reads().session(credential_digest(id)).await?;
        Ok(found.filter(|session| session.is_valid(self.clock.now_ms())))
    }

    /// Records that a session is used now, so that it does not end as an idle one.
    ///
    /// # Errors
    /// Returns an error if this cannot be written.
    pub async fn use_session(&self, session: &SessionRow) -> Result<(), StoreError> {
        let (digest, now) = (session.digest, self.clock.now_ms());
        if now < session.used_at + USED_EVERY_MS {
            return Ok(());
        }
        self.database.write(move |ledger| ledger.rows.set_session_used(&digest, now)).await
    }

    /// Returns the sessions that go on, the newest first. Their tokens may have ended.
    ///
    /// # Errors
    /// Returns an error if they cannot be read.
    pub async fn sessions(&self) -> Result<Vec<OwnedSession>> {
        let mut sessions = self.database.reads().sessions(SESSIONS_SHOWN).await?;
        sessions.retain(|owned| owned.session.is_valid(self.clock.now_ms()));
        Ok(sessions)
    }

    /// Ends the session whose id has this digest. Returns whether there was one.
    ///
    /// # Errors
    /// Returns an error if the session cannot be removed.
    pub async fn end_session(&self, digest: [u8; 32]) -> Result<bool, StoreError> {
        self.database.write(move |ledger| ledger.rows.remove_session(&digest)).await
    }
}
