//! The trail of what operators change.

use crate::api::time::timestamp;
use hookmill_store::OperatorAction;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One request to the API that was to change something, or a command that changed the data folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShownOperatorAction {
    /// The id of the request, which the audit entries of its changes name as `requestId`.
    pub id: Uuid,
    /// When the request came.
    pub at: Timestamp,
    /// The name of the token; `local` for a command.
    pub token: String,
    /// The address of the client.
    pub address: Option<String>,
    /// The method; `CLI` for a command.
    pub method: String,
    /// The path, without the query; for a command, the command.
    pub path: String,
    /// The status of the answer; null for a command.
    pub http_status: Option<u16>,
    /// The reason that the operator gave, or what the request did to many events.
    pub note: Option<String>,
}

impl From<OperatorAction> for ShownOperatorAction {
    fn from(action: OperatorAction) -> Self {
        let OperatorAction { id, at, token, address, method, path, status, note } = action;
        Self { id, at: timestamp(at), token, address, method, path, http_status: status, note }
    }
}
