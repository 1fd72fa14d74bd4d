//! All row verbs together.

use super::{PlainWrites, RetentionTx};

/// The rows of one transaction, for every write of the store.
pub(crate) trait RowVerbs: RetentionTx + PlainWrites {}

impl<T: RetentionTx + PlainWrites> RowVerbs for T {}
