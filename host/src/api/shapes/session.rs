//! Sessions of browsers.

use hookmill_store::Scope;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The request to begin a session.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// The token.
    pub token: String,
}

/// The token with which a client acts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShownSession {
    /// The name of the token.
    pub token: String,
    /// The permission of the token.
    pub scope: Scope,
    /// When the session ends even if it is used; without a session, when the token expires; null if it does not.
    pub expires_at: Option<Timestamp>,
}
