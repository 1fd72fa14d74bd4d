//! Positions in JSON.

/// JSON. The functions take the position of a value or a sign, and return the position after it, which can be behind the end
/// of JSON that is wrong.
#[derive(Clone, Copy)]
pub(crate) struct Cursor<'j>(pub &'j str);

impl Cursor<'_> {
    /// Returns the byte at a position, or 0 at the end.
    pub fn byte(self, at: usize) -> u8 {
        self.0.as_bytes().get(at).copied().unwrap_or_default()
    }

    /// Passes over white space.
    pub fn space(self, mut at: usize) -> usize {
        while matches!(self.byte(at), b' ' | b'\n' | b'\r' | b'\t') {
            at += 1;
        }
        at
    }

    /// Passes over a comma and the white space around it.
    pub fn comma(self, at: usize) -> usize {
        let at = self.space(at);
        if self.byte(at) == b',' { self.space(at + 1) } else { at }
    }

    /// Passes over a value, however deep it is.
    pub fn value(self, mut at: usize) -> usize {
        let mut depth = 0_usize;
        loop {
            match self.byte(at) {
                b'"' => {
                    at = self.text(at).0;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b',' | b'}' | b']' | 0 if depth == 0 => return at,
                b'}' | b']' => depth -= 1,
                0 => return at,
                _ => {}
            }
            at += 1;
        }
    }

    /// Passes over a text in quotes. Also returns whether it has no escapes and no control characters.
    pub fn quoted(self, start: usize) -> Option<(usize, bool)> {
        let (end, is_plain) = self.text(start);
        (self.byte(start) == b'"' && self.byte(end - 1) == b'"').then_some((end, is_plain))
    }

    /// Passes over a text like [`quoted`](Self::quoted), but does not look at the quotes.
    fn text(self, start: usize) -> (usize, bool) {
        let bytes = self.0.as_bytes();
        let (mut at, mut is_plain) = (start + 1, true);
        loop {
            while let Some([one, other]) = bytes.get(at..).and_then(|rest| rest.as_chunks().0.first_chunk()) {
                let [one, other] = [one, other].map(|eight| signs(u64::from_le_bytes(*eight)));
                if one | other == 0 {
                    at += 16;
                    continue;
                }
                let (found, before) = if one == 0 { (other, 8) } else { (one, 0) };
                at += before + found.trailing_zeros() as usize / 8;
                break;
            }
            match self.byte(at) {
                b'"' | 0 => return (at + 1, is_plain),
                b'\\' => (at, is_plain) = (at + 2, false),
                ..b' ' => (at, is_plain) = (at + 1, false),
                _ => at += 1,
            }
        }
    }
}

/// Returns eight bytes with the highest bit of the first quote, backslash or control character among them set, and no bit of
/// those before it.
fn signs(eight: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let is_below = |bytes: u64, bound: u64| bytes.wrapping_sub(ONES * bound) & !bytes;
    // With one bit changed, the quote comes right after the control characters.
    let quote_or_control = is_below(eight ^ (ONES * 2), 0x21);
    (quote_or_control | is_below(eight ^ (ONES * u64::from(b'\\')), 1)) & (ONES << 7)
}

/// Adds the objects of a value, alone or in lists of so many levels. Returns none if there is anything else than objects and
/// nulls.
pub(crate) fn add_objects<'j>(json: &'j str, levels: usize, objects: &mut Vec<&'j str>) -> Option<()> {
    match json.as_bytes() {
        b"null" => {}
        [b'{', ..] => objects.push(json),
        [b'[', ..] if levels > 0 => {
            let cursor = Cursor(json);
            let mut at = cursor.space(1);
            while !matches!(cursor.byte(at), b']' | 0) {
                let end = cursor.value(at);
                add_objects(json[at..end].trim_end(), levels - 1, objects)?;
                at = cursor.comma(end);
            }
        }
        _ => return None,
    }
    Some(())
}
