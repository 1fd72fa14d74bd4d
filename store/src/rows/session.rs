//! Sessions of browsers.

/// The time after which a session ends, used or not: a working day with its handover.
const DURATION_MS: i64 = 12 * 60 * 60 * 1000;
/// The time without a request after which a session ends.
const IDLE_MS: i64 = 30 * 60 * 1000;

/// A session, which has the scope of its token. Only the digest of its id is stored.
#[derive(Clone, Debug)]
pub struct SessionRow {
    /// The digest of the id, which is the value of the cookie.
    pub digest: [u8; 32],
    /// The digest of the token that began the session.
    pub token: [u8; 32],
    /// The time when the session began, in milliseconds since the Unix epoch.
    pub created_at: i64,
    /// The time when the session was last used, in milliseconds since the Unix epoch; at most a minute too early.
    pub used_at: i64,
}

/// A session with the name of its token.
#[derive(Clone, Debug)]
pub struct OwnedSession {
    /// The session.
    pub session: SessionRow,
    /// The name of the token; `None` if the database has no such token.
    pub token_name: Option<String>,
}

impl SessionRow {
    /// Returns the time when the session ends even if it is used.
    pub fn expires_at(&self) -> i64 {
        self.created_at + DURATION_MS
    }

    /// Returns whether the session goes on at this time.
    pub(crate) fn is_valid(&self, now: i64) -> bool {
        now < self.expires_at() && now < self.used_at + IDLE_MS
    }

    /// Returns the latest beginning and the latest use of the sessions that have ended at this time.
    pub(crate) fn ended_before(now: i64) -> (i64, i64) {
        (now - DURATION_MS, now - IDLE_MS)
    }
}
