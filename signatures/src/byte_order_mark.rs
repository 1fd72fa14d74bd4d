//! The byte order mark with which some senders begin a text. It says nothing about UTF-8, and no JSON parser accepts it.

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Returns a text without the byte order mark at its start, for parsers. Signatures cover the mark.
pub fn without_byte_order_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text)
}
