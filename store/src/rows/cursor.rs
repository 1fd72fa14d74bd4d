//! The position up to which a source was read.

/// The position up to which the host has read a source that it pulls from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The configured start. A cursor with another start is a new cursor.
    pub start: String,
    /// The position from which the next request continues: an id of a stream, or milliseconds.
    pub position: String,
}
