//! The trail of what operators change.

use uuid::Uuid;

/// One request to the API that was to change something, or a command that changed the data folder.
#[derive(Clone, Debug)]
pub struct OperatorAction {
    /// The id of the request, which the audit entries of its changes name.
    pub id: Uuid,
    /// The time of the request, in milliseconds since the Unix epoch.
    pub at: i64,
    /// The name of the token; `local` for a command.
    pub token: String,
    /// The address of the client.
    pub address: Option<String>,
    /// The method; `CLI` for a command.
    pub method: String,
    /// The path, without the query; for a command, the command.
    pub path: String,
    /// The status of the answer; `None` for a command.
    pub status: Option<u16>,
    /// The reason that the operator gave, or what the request did to many events, in words.
    pub note: Option<String>,
}
