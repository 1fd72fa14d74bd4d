//! What stands in a signature header: one signature, or a list of items of which each says by its prefix what it is.

use crate::Distrust;
use memchr::memmem;
use smallvec::SmallVec;

/// Signatures that one request may bring. Each costs a comparison, or a verification with a public key.
pub const ITEMS_MAX: usize = 16;

/// How a header's value is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    /// What stands between items; without one the whole value is one item.
    pub separator: Option<String>,
    /// What stands before a keyed hash, the first that fits; an empty one fits always.
    pub prefixes: Vec<String>,
    /// What stands before an ed25519 signature.
    pub ed25519_prefix: Option<String>,
    /// What stands before the time of signing.
    pub timestamp_prefix: Option<String>,
}

/// The items of one kind.
pub type Few<'v> = SmallVec<[&'v [u8]; 2]>;

/// What was read from the signature headers of one request, not yet decoded.
#[derive(Clone, Debug, Default)]
pub struct Value<'v> {
    /// Keyed hashes.
    pub hashes: Few<'v>,
    /// Signatures with a public key's counterpart.
    pub ed25519: Few<'v>,
    /// The time of signing.
    pub timestamp: Option<&'v [u8]>,
}

impl<'v> Value<'v> {
    /// Adds what one header's value holds. Items with a prefix that is none of the format's belong to versions that are
    /// not known here, and are passed over.
    ///
    /// # Errors
    /// When there is more than anybody would send, or two times of signing.
    pub fn read(&mut self, text: &'v [u8], format: &Format) -> Result<(), Distrust> {
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

    fn read_item(&mut self, item: &'v [u8], format: &Format) -> Result<(), Distrust> {
        let after = |prefix: &Option<String>| item.strip_prefix(prefix.as_ref()?.as_bytes());
        if item.is_empty() {
            return Ok(());
        }
        if let Some(timestamp) = after(&format.timestamp_prefix) {
            return match self.timestamp.replace(timestamp) {
                None => Ok(()),
                Some(_) => Err(Distrust::Signature),
            };
        }
        if let Some(signature) = after(&format.ed25519_prefix) {
            return push(&mut self.ed25519, signature);
        }
        match format.prefixes.iter().find_map(|prefix| item.strip_prefix(prefix.as_bytes())) {
            Some(hash) => push(&mut self.hashes, hash),
            None => Ok(()),
        }
    }
}

fn push<'v>(items: &mut Few<'v>, item: &'v [u8]) -> Result<(), Distrust> {
    if items.len() == ITEMS_MAX {
        return Err(Distrust::Signature);
    }
    items.push(item);
    Ok(())
}
