//! The second request of an `http-poll`: for each id of a list, or for several ids together.

use super::pointer::Pointer;
use super::rest_request::RestRequest;
use hookmill_connection::{Code, Failure};
use serde_json::Value;
use serde_json::value::RawValue;

/// The request for the details of items, which become events in place of the items.
#[derive(Debug)]
pub struct Detail {
    /// The request.
    pub request: RestRequest,
    /// The position of the id in an item of the list.
    pub id: Pointer,
    /// The position of the details in an answer.
    pub item: Pointer,
    /// The largest number of ids in one request.
    pub batch: usize,
}

impl Detail {
    /// Returns the id in an item of the list.
    ///
    /// # Errors
    /// Returns an error if there is none.
    pub(super) fn id_of(&self, item: &RawValue) -> Result<Value, Failure> {
        let found = self.id.find(item.get().as_bytes()).ok().flatten();
        let id = found.and_then(|id| serde_json::from_str(id.get()).ok());
        let id = id.filter(|id: &Value| id.is_string() || id.is_number());
        id.ok_or_else(|| {
            let text = format!("the server's answer: an item has no id at `detail.id`, {}", self.id);
            Failure::new(Code::Answer, text)
        })
    }
}
