//! The second request of an `http-poll`: for each id of a list, or for several ids together.

use super::pointer::Pointer;
use super::rest_request::RestRequest;
use hookmill_connection::{Code, Failure};
use serde_json::Value;
use serde_json::value::RawValue;

/// The maximum length of an id, in bytes.
const ID_BYTES_MAX: usize = 1024;

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
    /// Returns an error if there is none, or it would make another request of this one.
    pub(super) fn id_of(&self, item: &RawValue) -> Result<Value, Failure> {
        let found = self.id.find(item.get().as_bytes()).ok().flatten();
        let id = found.and_then(|id| serde_json::from_str(id.get()).ok());
        let id = id.filter(|id: &Value| id.is_string() || id.is_number());
        let wrong = |text: &str| {
            Failure::new(Code::Answer, format!("the server's answer: an item {text} at `detail.id`, {}", self.id))
        };
        let id = id.ok_or_else(|| wrong("has no id"))?;
        // In a URL, an empty id would request the list, and dots another path.
        let is_usable = id.as_str().is_none_or(|text| !["", ".", ".."].contains(&text) && text.len() <= ID_BYTES_MAX);
        if is_usable { Ok(id) } else { Err(wrong("has an id that is empty, a dot or two, or longer than 1 KiB")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pull::{Placeholder, PollMethod, RequestText, TimeFormat};

    #[test]
    fn only_ids_that_stay_where_they_are_written_are_used() {
        let url = RequestText::parse("/items/ITEM_ID", TimeFormat::UnixMs, Placeholder::OF_DETAIL_URL).unwrap();
        let request = RestRequest { method: PollMethod::Get, url, body: None };
        let detail = Detail { request, id: "/id".parse().unwrap(), item: Pointer::default(), batch: 1 };
        let (longest, too_long) = ("x".repeat(ID_BYTES_MAX), "x".repeat(ID_BYTES_MAX + 1));
        for (id, is_usable) in [
            (Value::from("a/../b"), true),
            (7.into(), true),
            ("...".into(), true),
            (longest.into(), true),
            (too_long.into(), false),
            ("".into(), false),
            (".".into(), false),
            ("..".into(), false),
            (Value::Null, false),
            (true.into(), false),
        ] {
            let item: Box<RawValue> = serde_json::from_str(&serde_json::json!({"id": id}).to_string()).unwrap();
            assert_eq!(detail.id_of(&item).ok(), Some(id.clone()).filter(|_| is_usable), "{id}");
        }
    }
}
