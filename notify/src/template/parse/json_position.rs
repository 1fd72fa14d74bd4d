//! The position in a JSON document that a template's text has reached.

/// Whether the text so far ends within a string of the JSON document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct JsonPosition {
    pub in_string: bool,
    pub after_backslash: bool,
}

impl JsonPosition {
    /// Moves past a text.
    pub fn advance(&mut self, text: &str) {
        for byte in text.bytes() {
            match byte {
                _ if self.after_backslash => self.after_backslash = false,
                b'\\' if self.in_string => self.after_backslash = true,
                b'"' => self.in_string = !self.in_string,
                _ => {}
            }
        }
    }
}
