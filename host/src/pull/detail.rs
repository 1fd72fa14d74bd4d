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
    /// The pages of one answer.
    pub pages: Option<DetailPages>,
}

/// The pages of the details of one item. The elements of a list in further pages are added to those in the first one.
#[derive(Debug)]
pub struct DetailPages {
    /// The position of the reference to the next page.
    pub next: Pointer,
    /// The parameter of the URL for the value at `next`.
    pub next_parameter: String,
    /// The position of the list that is continued.
    pub list: Pointer,
}

/// A request for details that are put into their item.
#[derive(Debug)]
pub struct JoinedDetail {
    /// The request, for one item each.
    pub detail: Detail,
    /// The position in the item to which the details are put.
    pub into: Pointer,
}

impl Detail {
    /// Returns the ids in the items of a list, and the items without one, which are events as they are.
    ///
    /// # Errors
    /// Returns an error if there are items, and none has an id.
    pub(super) fn ids_of<'i>(&self, items: &[&'i RawValue]) -> Result<(Vec<Value>, Vec<&'i RawValue>), Failure> {
        let (mut ids, mut without) = (Vec::new(), Vec::new());
        for item in items {
            match self.id_of(item.get().as_bytes()) {
                Some(id) => ids.push(id),
                None => without.push(*item),
            }
        }
        if ids.is_empty() && !without.is_empty() {
            let text = format!("the server's answer: no item has a usable id at `detail.id`, {}", self.id);
            return Err(Failure::new(Code::Answer, text));
        }
        Ok((ids, without))
    }

    /// Returns the id of an item, if it can be written into a request.
    pub(super) fn id_of(&self, item: &[u8]) -> Option<Value> {
        let id = self.id.find(item).ok()??;
        let id = serde_json::from_str(id.get()).ok().filter(|id: &Value| id.is_string() || id.is_number())?;
        // In a URL, an empty id would request the list, and dots another path.
        let is_usable = |text: &str| !["", ".", ".."].contains(&text) && text.len() <= ID_BYTES_MAX;
        id.as_str().is_none_or(is_usable).then_some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pull::{Placeholder, PollMethod, RequestText, TimeFormat};

    #[test]
    fn only_ids_that_stay_where_they_are_written_are_used() {
        let url = RequestText::parse("/items/ITEM_ID", TimeFormat::UnixMs, Placeholder::OF_DETAIL_URL).unwrap();
        let request = RestRequest { method: PollMethod::Get, url, headers: Vec::new(), body: None };
        let detail = Detail { request, id: "/id".parse().unwrap(), item: Pointer::default(), batch: 1, pages: None };
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
            let item = serde_json::json!({"id": id}).to_string();
            assert_eq!(detail.id_of(item.as_bytes()), Some(id.clone()).filter(|_| is_usable), "{id}");
        }
    }
}
