//! The items of a source, and how many are stored together.

use bytes::Bytes;
use hookmill_incident::NamedValue;

/// Items that are stored in one transaction.
pub(super) const BATCH_ITEMS: usize = 64;
/// Bytes that are read ahead for one batch.
pub(super) const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// One payload that was read.
#[derive(Debug)]
pub(super) struct Item {
    pub body: Bytes,
    pub context: Vec<NamedValue>,
    /// The server's id of the item.
    pub identity: String,
    /// A digest of what a repeated item has in common with the first.
    pub digest: [u8; 32],
}
