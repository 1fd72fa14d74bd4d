//! Tokens, and sessions of browsers.

use hookmill_incident::given;
use hookmill_store::Scope;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The request to begin a session, with either a token or a code.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SignIn {
    /// The token.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub token: Option<String>,
    /// The code of an address that signs in once.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub code: Option<String>,
}

/// A token, without its text.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShownToken {
    /// The token's name.
    pub name: String,
    /// The permission of the token.
    pub scope: Scope,
    /// When the token was created.
    pub created_at: Timestamp,
    /// When the token expires; null if it does not.
    pub expires_at: Option<Timestamp>,
}

/// A session of a browser.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShownOwnedSession {
    /// The digest of the cookie, by which the session can be ended.
    pub id: String,
    /// Whether the request is made with this session.
    #[serde(rename = "own")]
    pub is_own: bool,
    /// The name of the token that began the session.
    pub token: String,
    /// When the session began.
    pub created_at: Timestamp,
    /// When the session was last used; at most a minute too early.
    pub used_at: Timestamp,
    /// When the session ends even if it is used.
    pub expires_at: Timestamp,
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
