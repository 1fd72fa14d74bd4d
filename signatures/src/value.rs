//! What stands in a signature header: one signature, or a list of items of which each says by its prefix what it is.

use crate::Distrust;

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
#[derive(Clone, Copy, Debug, Default)]
pub struct Few<'v> {
    items: [&'v [u8]; ITEMS_MAX],
    count: usize,
}

/// What was read from the signature headers of one request, not yet decoded.
#[derive(Clone, Copy, Debug, Default)]
pub struct Value<'v> {
    /// Keyed hashes.
    pub hashes: Few<'v>,
    /// Signatures with a public key's counterpart.
    pub ed25519: Few<'v>,
    /// The time of signing.
    pub timestamp: Option<&'v [u8]>,
}

impl<'v> Few<'v> {
    fn push(&mut self, item: &'v [u8]) -> Result<(), Distrust> {
        *self.items.get_mut(self.count).ok_or(Distrust::Signature)? = item;
        self.count += 1;
        Ok(())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The items in order.
    pub fn iter(&self) -> impl Iterator<Item = &'v [u8]> + '_ {
        self.items[..self.count].iter().copied()
    }
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
            let end = text.windows(separator.len()).position(|window| window == separator.as_bytes());
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
            return self.ed25519.push(signature);
        }
        match format.prefixes.iter().find_map(|prefix| item.strip_prefix(prefix.as_bytes())) {
            Some(hash) => self.hashes.push(hash),
            None => Ok(()),
        }
    }
}
