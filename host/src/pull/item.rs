//! The items of a source, and the limits of a batch.

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
    /// A digest of the parts that a repeated item has in common with the first one.
    pub digest: [u8; 32],
}
