//! The trail of what operators change.

use uuid::Uuid;

/// One request to the API that was to change something.
#[derive(Clone, Debug)]
pub struct OperatorAction {
    /// The id of the request, which the audit entries of its changes name.
    pub id: Uuid,
    /// The time of the request, in milliseconds since the Unix epoch.
    pub at: i64,
    /// The name of the token.
    pub token: String,
    /// The address of the client.
    pub address: Option<String>,
    /// The method.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The status of the answer.
    pub status: u16,
}
