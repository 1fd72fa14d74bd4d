//! Sessions of browsers.

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
