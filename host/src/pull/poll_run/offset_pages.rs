//! The pages of a list that are requested by an offset, the number of items before them.
//!
//! An item that changes while the list is read moves, and the items between its old and its new place move by one. Pages
//! therefore overlap. A page that begins with an item that was read follows the pages before, because the items that did not
//! change keep their order. If a page begins with another item, an earlier page is requested.

use hookmill_connection::{Code, Failure};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::collections::HashSet;

/// Pages of one poll.
pub(super) const PAGES_MAX: usize = 10_000;
/// The error of a poll with more pages.
pub(super) const TOO_MANY_PAGES: &str =
    "there are more than 10000 pages; request more items a page, or fewer items in total";
/// The error of a server that sends the same page for every number.
pub(super) const SAME_PAGE: &str = "the server sends a page again: the number of the page has no effect";
/// A page overlaps the one before by a tenth, and by at most this many items.
const OVERLAP_MAX: usize = 10;
/// The number of digests in a generation. The last two generations are kept.
const GENERATION_ITEMS: usize = 10_000;
/// The number of times that the list is read from its start because no item of its first page is recognized. If that
/// happens more often, the texts of the items probably differ at each request, and pages are no longer checked.
const RESTARTS_MAX: u32 = 1;

/// The position in a list that is read by an offset.
#[derive(Default)]
pub(super) struct OffsetPages {
    /// The offset of the page that is requested.
    pub offset: u64,
    /// The number of items from `offset` on that were read before, if none moved.
    overlap: u64,
    /// The largest number of items on a page.
    page_items_max: usize,
    /// Digests of the items that were read, newest generation first.
    read: [HashSet<[u8; 32]>; 2],
    /// The digest of the page before, unless the host went back since.
    previous: Option<[u8; 32]>,
    pages: usize,
    restarts: u32,
}

impl OffsetPages {
    /// Returns the items of a page that were not read before; none if the page does not follow those before.
    pub fn unread<'j>(&self, page: &[&'j RawValue]) -> Vec<&'j RawValue> {
        match self.follows(page) {
            true => page.iter().copied().filter(|item| !self.was_read(item)).collect(),
            false => Vec::new(),
        }
    }

    /// Moves to the next page, or back if this page does not follow those before. Returns whether there is a page to request.
    ///
    /// # Errors
    /// Returns an error if there are too many pages, or the server ignores the offset.
    pub fn advance(&mut self, page: &[&RawValue], is_more: Option<bool>) -> Result<bool, Failure> {
        self.pages += 1;
        if self.pages > PAGES_MAX {
            return Err(Failure::new(Code::Answer, TOO_MANY_PAGES));
        }
        if !self.follows(page) {
            let end = self.offset + self.overlap;
            self.overlap = (2 * self.overlap).min(end);
            self.offset = end - self.overlap;
            self.previous = None;
            return Ok(true);
        }
        if self.overlap > 0 && !page.iter().any(|item| self.was_read(item)) {
            self.restarts += 1;
        }
        let unread = self.unread(page);
        self.page_items_max = self.page_items_max.max(page.len());
        // The list ends within a page that is not full.
        let is_last = page.is_empty() || (unread.is_empty() && page.len() < self.page_items_max);
        if !is_more.unwrap_or(!is_last) {
            return Ok(false);
        }
        let items: Vec<&str> = page.iter().map(|item| item.get()).collect();
        let digest = Sha256::digest(items.join(",")).into();
        if self.previous.replace(digest) == Some(digest) {
            return Err(Failure::new(Code::Answer, SAME_PAGE));
        }
        self.remember(&unread);
        let is_checked = page.len() > 1 && self.restarts <= RESTARTS_MAX;
        self.overlap = if is_checked { page.len().div_ceil(10).min(OVERLAP_MAX) as u64 } else { 0 };
        self.offset = self.offset + page.len() as u64 - self.overlap;
        Ok(true)
    }

    /// Returns whether no item is missing between the pages before and this one.
    fn follows(&self, page: &[&RawValue]) -> bool {
        self.overlap == 0 || self.offset == 0 || page.first().is_some_and(|item| self.was_read(item))
    }

    fn was_read(&self, item: &RawValue) -> bool {
        let digest: [u8; 32] = Sha256::digest(item.get()).into();
        self.read.iter().any(|generation| generation.contains(&digest))
    }

    fn remember(&mut self, items: &[&RawValue]) {
        if self.read[0].len() >= GENERATION_ITEMS {
            self.read.swap(0, 1);
            self.read[0].clear();
        }
        self.read[0].extend(items.iter().map(|item| <[u8; 32]>::from(Sha256::digest(item.get()))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A list by time of change, in which items change after each page.
    struct ChangingList {
        /// The number of the item and that of its version, in the order of the list.
        items: Vec<(usize, usize)>,
        is_descending: bool,
    }

    impl ChangingList {
        fn page(&self, offset: u64, limit: usize) -> Vec<Box<RawValue>> {
            let page = self.items.iter().skip(offset as usize).take(limit);
            page.map(|(item, version)| RawValue::from_string(format!("[{item},{version}]")).unwrap()).collect()
        }

        fn change(&mut self, at: usize) {
            let (item, version) = self.items.remove(at);
            let to = if self.is_descending { 0 } else { self.items.len() };
            self.items.insert(to, (item, version + 1));
        }
    }

    /// Every item that does not change is read once, and no version of another is read twice.
    #[test]
    fn a_list_that_changes_is_read_without_loss() {
        for seed in 0..400_usize {
            let (count, limit) = (seed % 97, 10 + seed % 7);
            let mut list =
                ChangingList { items: (0..count).map(|item| (item, 0)).collect(), is_descending: seed % 2 == 1 };
            let (mut pages, mut read, mut random) = (OffsetPages::default(), Vec::new(), seed);
            for request in 0.. {
                assert!(request < 200, "{seed}");
                let page = list.page(pages.offset, limit);
                let page: Vec<&RawValue> = page.iter().map(|item| &**item).collect();
                read.extend(pages.unread(&page).iter().map(|item| item.get().to_owned()));
                if !pages.advance(&page, None).unwrap() {
                    break;
                }
                for _ in 0..if request < 20 { seed / 7 % 4 } else { 0 } {
                    random = (random * 1_103_515_245 + 12_345) % (1 << 31);
                    list.change((random >> 8) % count);
                }
            }
            let distinct: HashSet<&String> = read.iter().collect();
            assert_eq!(distinct.len(), read.len(), "{seed}: {read:?}");
            for (item, _) in list.items.iter().filter(|(_, version)| *version == 0) {
                assert!(distinct.contains(&format!("[{item},0]")), "{seed}: {item} is missing in {read:?}");
            }
        }
    }

    /// Returns the offsets that are requested for these pages, and whether the list has ended.
    fn offsets(answers: &[&[&str]]) -> (Vec<u64>, bool) {
        let (mut pages, mut offsets) = (OffsetPages::default(), vec![0]);
        for answer in answers {
            let page: Vec<&RawValue> = answer.iter().map(|item| serde_json::from_str(item).unwrap()).collect();
            match pages.advance(&page, None).unwrap() {
                true => offsets.push(pages.offset),
                false => return (offsets, true),
            }
        }
        (offsets, false)
    }

    #[test]
    fn a_page_that_does_not_follow_is_requested_from_an_earlier_item() {
        let (first, rest) = (["1", "2", "3", "4"], ["4", "5"]);
        for (answers, expected, is_at_end) in [
            (&[&[][..]][..], &[0][..], true),
            (&[&first[..], &rest, &["5"]], &[0, 3, 4], true),
            // The list has become shorter.
            (&[&first, &[], &["4", "5"], &["5"]], &[0, 3, 2, 3], true),
            // Nothing is left of the first page.
            (&[&first, &["7"], &["6", "7"], &["5", "6", "7"], &["7"]], &[0, 3, 2, 0, 2], true),
            // The list has one item.
            (&[&["1"], &[]], &[0, 1], true),
            // Each text differs, so that pages are no longer checked.
            (&[&["1", "2"], &["3"], &["4", "5"], &["6"], &["7", "8"], &["9", "10"]], &[0, 1, 0, 1, 0, 2, 4], false),
        ] {
            assert_eq!(offsets(answers), (expected.to_vec(), is_at_end), "{answers:?}");
        }
    }

    #[test]
    fn a_server_that_ignores_the_offset_is_an_error() {
        let mut pages = OffsetPages::default();
        let items = ["1", "2"].map(|item| RawValue::from_string(item.to_owned()).unwrap());
        let page: Vec<&RawValue> = items.iter().map(|item| &**item).collect();
        assert!(pages.advance(&page, None).unwrap());
        assert_eq!(pages.advance(&page, None).unwrap_err().text, SAME_PAGE);
    }

    #[test]
    fn the_digests_that_are_kept_are_bounded() {
        let mut pages = OffsetPages::default();
        for number in 0..50_000_u64 {
            let item = RawValue::from_string(number.to_string()).unwrap();
            pages.remember(&[&item]);
        }
        let last = RawValue::from_string("49999".to_owned()).unwrap();
        assert!(pages.was_read(&last));
        assert!(pages.read.iter().map(HashSet::len).sum::<usize>() <= 2 * GENERATION_ITEMS);
    }
}
