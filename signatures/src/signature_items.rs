//! The value of a signature header: one signature, or a list of items that are distinguished by a prefix.

use memchr::memmem;
use smallvec::SmallVec;

/// The largest number of signatures of one kind in a request. Each one costs a comparison, or a verification with a
/// public key.
pub const ITEMS_MAX: usize = 16;

/// The format of a header's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemFormat {
    /// The text between items. Without a separator the whole value is one item.
    pub separator: Option<String>,
    /// The prefixes of an HMAC; the first one that fits is removed. An empty prefix always fits.
    pub prefixes: Vec<String>,
    /// The prefix of an ed25519 signature.
    pub ed25519_prefix: Option<String>,
    /// The prefix of the signing time.
    pub timestamp_prefix: Option<String>,
}

/// A header has more than [`ITEMS_MAX`] signatures of one kind, or two signing times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyItems;

/// The items of one kind.
pub type ItemList<'v> = SmallVec<[&'v [u8]; 2]>;

/// The items in the signature headers of one request, not yet decoded.
#[derive(Clone, Debug, Default)]
pub struct Items<'v> {
    /// HMACs.
    pub hmacs: ItemList<'v>,
    /// Ed25519 signatures.
    pub ed25519: ItemList<'v>,
    /// The signing time.
    pub timestamp: Option<&'v [u8]>,
}

impl<'v> Items<'v> {
    /// Adds the items of one header value. Items with an unknown prefix belong to versions that are not supported, and
    /// are skipped.
    ///
    /// # Errors
    /// Returns an error if there are more than [`ITEMS_MAX`] signatures of one kind, or two signing times.
    pub fn read(&mut self, text: &'v [u8], format: &ItemFormat) -> Result<(), TooManyItems> {
        let Some(separator) = &format.separator else { return self.read_item(text.trim_ascii(), format) };
        let mut rest = Some(text);
        while let Some(text) = rest {
            let end = memmem::find(text, separator.as_bytes());
            let item = end.map_or(text, |end| &text[..end]);
            rest = end.map(|end| &text[end + separator.len()..]);
            self.read_item(item.trim_ascii(), format)?;
        }
        Ok(())
    }

    fn read_item(&mut self, item: &'v [u8], format: &ItemFormat) -> Result<(), TooManyItems> {
        let after = |prefix: &Option<String>| item.strip_prefix(prefix.as_ref()?.as_bytes());
        if item.is_empty() {
            return Ok(());
        }
        if let Some(timestamp) = after(&format.timestamp_prefix) {
            return match self.timestamp.replace(timestamp) {
                None => Ok(()),
                Some(_) => Err(TooManyItems),
            };
        }
        if let Some(signature) = after(&format.ed25519_prefix) {
            return push(&mut self.ed25519, signature);
        }
        match format.prefixes.iter().find_map(|prefix| item.strip_prefix(prefix.as_bytes())) {
            Some(hmac) => push(&mut self.hmacs, hmac),
            None => Ok(()),
        }
    }
}

fn push<'v>(items: &mut ItemList<'v>, item: &'v [u8]) -> Result<(), TooManyItems> {
    if items.len() == ITEMS_MAX {
        return Err(TooManyItems);
    }
    items.push(item);
    Ok(())
}
