//! Tokens of the API.

use hookmill_incident::words;

words!(
    /// The permission of a token.
    Scope { Read = "read", Admin = "admin" }
);

/// A token in the list of tokens.
#[derive(Clone, Debug)]
pub struct TokenRow {
    /// The name, which the log and the notes of incidents show.
    pub name: String,
    /// The permission.
    pub scope: Scope,
    /// The time when the token was created, in milliseconds since the Unix epoch.
    pub created_at: i64,
    /// The time when the token expires, in milliseconds since the Unix epoch.
    pub expires_at: Option<i64>,
}
