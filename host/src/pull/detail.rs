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
    /// Returns the ids in the items of a list, and the items without one, which are events as they are.
    ///
    /// # Errors
    /// Returns an error if there are items, and none has an id.
    pub(super) fn ids_of<'i>(&self, items: &[&'i RawValue]) -> Result<(Vec<Value>, Vec<&'i RawValue>), Failure> {
        let (mut ids, mut without) = (Vec::new(), Vec::new());
        for item in items {
            match self.id_of(item) {
                Some(id) => ids.push(id),
                None => without.push(*item),
            }
        }
        if ids.is_empty() && !without.is_empty() {
            let text = format!("the server's answer: no item has an id at `detail.id`, {}", self.id);
            return Err(Failure::new(Code::Answer, text));
        }
        Ok((ids, without))
    }

    fn id_of(&self, item: &RawValue) -> Option<Value> {
        let id = self.id.find(item.get().as_bytes()).ok()??;
        serde_json::from_str(id.get()).ok().filter(|id: &Value| id.is_string() || id.is_number())
    }
}
