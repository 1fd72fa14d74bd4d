//! The scan that finds the values of an object.

use super::cursor::Cursor;
use super::{FIELDS_MAX, Flat, Form, decoded, part, place, tag};
use std::borrow::Cow;
use std::cell::{Cell, OnceCell};
use std::ops::Range;

/// The depth up to which an object is read as it is. The repaired text of a deeper one has texts in place of the deepest
/// values.
const DEPTH_MAX: usize = 127;

/// The reason why an object is not read as it is: a repeated key, or values that are nested too deep.
struct Odd;

/// A scan of JSON that a parser accepted. Its functions take the position of a value or a sign, and return the position
/// after it.
struct Scan<'s> {
    json: Cursor<'s>,
    flat: &'s mut Flat,
    /// The tags of the paths of the members in the objects around this value.
    tags: Vec<u32>,
    /// Whether no key is repeated: two paths can have the same tag.
    is_repaired: bool,
}

impl Flat {
    /// Finds the values of an object. Returns none if it is not read as it is.
    pub(super) fn scan(json: &str, is_repaired: bool) -> Option<Self> {
        let mut flat = Self::default();
        flat.paths.reserve(json.len() / 4);
        flat.values.reserve((json.len() / 32).min(FIELDS_MAX));
        Scan::new(json, &mut flat, is_repaired).value(0, &(0..0), 0, 0).ok()?;
        flat.link();
        Some(flat)
    }
}

impl<'s> Scan<'s> {
    fn new(json: &'s str, flat: &'s mut Flat, is_repaired: bool) -> Self {
        Self { json: Cursor(json), flat, tags: Vec::with_capacity(64), is_repaired }
    }

    fn value(&mut self, start: usize, path: &Range<u32>, tag: u32, depth: usize) -> Result<usize, Odd> {
        let (end, form) = match self.json.byte(start) {
            b'{' | b'[' if depth == DEPTH_MAX => return Err(Odd),
            b'{' => return self.object(start, path, depth + 1),
            b'[' => return self.array(start, path, tag, depth + 1),
            b'n' => return Ok(start + 4),
            b'"' => {
                let (end, is_plain) = self.json.text(start);
                (end, if is_plain { Form::Quoted } else { Form::Encoded(OnceCell::new()) })
            }
            first => {
                let (mut end, mut is_decimal) = (start, false);
                // `]` and `}` differ in one bit, and so do `E` and `e`.
                while let sign @ b'!'.. = self.json.byte(end)
                    && sign != b','
                    && sign | 0x20 != b'}'
                {
                    is_decimal |= sign == b'.' || sign | 0x20 == b'e';
                    end += 1;
                }
                let is_bare = matches!(first, b't' | b'f') || !is_decimal;
                (end, if is_bare { Form::Bare } else { Form::Encoded(OnceCell::new()) })
            }
        };
        self.flat.push_scalar(path, tag, place(start, end), form);
        Ok(end)
    }

    fn object(&mut self, start: usize, path: &Range<u32>, depth: usize) -> Result<usize, Odd> {
        let first = self.tags.len();
        let mut at = self.json.space(start + 1);
        while self.json.byte(at) == b'"' {
            at = self.member(at, path, depth)?;
            at = self.json.comma(at);
        }
        let tags = &mut self.tags[first..];
        tags.sort_unstable();
        if !self.is_repaired && tags.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Odd);
        }
        self.tags.truncate(first);
        Ok(at + 1)
    }

    fn member(&mut self, start: usize, parent: &Range<u32>, depth: usize) -> Result<usize, Odd> {
        let (end, is_plain) = self.json.text(start);
        let key = if is_plain {
            Cow::Borrowed(&self.json.0[start + 1..end - 1])
        } else {
            Cow::Owned(decoded(&self.json.0[start..end]))
        };
        let start = self.json.space(self.json.space(end) + 1);
        let path = self.flat.path(parent, &key);
        let tag = tag(path.as_ref().map_or(&key, |path| part(&self.flat.paths, path)));
        self.tags.push(tag);
        let Some(path) = path else {
            self.flat.more += usize::from(self.json.byte(start) != b'n');
            return Ok(self.json.value(start));
        };
        let (number, is_container) = (self.flat.values.len(), matches!(self.json.byte(start), b'{' | b'['));
        if !is_container || number - self.flat.scalars >= FIELDS_MAX {
            return self.value(start, &path, tag, depth);
        }
        let form = |end| Form::Container { end, is_asked: Cell::new(false) };
        self.flat.push(&path, tag, 0..0, form(0));
        let end = self.value(start, &path, tag, depth)?;
        let form = form(self.flat.values.len() as u32);
        let container = &mut self.flat.values[number];
        (container.json, container.form) = (place(start, end), form);
        Ok(end)
    }

    fn array(&mut self, start: usize, path: &Range<u32>, tag: u32, depth: usize) -> Result<usize, Odd> {
        let mut at = self.json.space(start + 1);
        while !matches!(self.json.byte(at), b']' | 0) {
            at = self.value(at, path, tag, depth)?;
            at = self.json.comma(at);
        }
        Ok(at + 1)
    }
}
