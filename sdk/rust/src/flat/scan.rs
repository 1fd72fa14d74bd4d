//! The scan that finds the values of an object.

use super::cursor::Cursor;
use super::{FIELDS_MAX, Flat, Form, Known, decoded, part, place, tag};
use serde::de::IgnoredAny;
use std::borrow::Cow;
use std::cell::{Cell, OnceCell};
use std::ops::Range;

/// The depth up to which an object is read as it is. The repaired text of a deeper one has texts in place of the deepest
/// values.
const DEPTH_MAX: usize = 127;

/// The reason why an object is not read as it is: a repeated key, values that are nested too deep, or a fault of its JSON.
struct Odd;

/// A scan of JSON. Its functions take the position of a value or a sign, and return the position after it.
struct Scan<'s> {
    json: Cursor<'s>,
    flat: &'s mut Flat,
    /// The tags of the paths of the members in the objects around this value.
    tags: Vec<u32>,
    known: Known,
}

impl Flat {
    /// Finds the values of an object. Also returns the end of the object. Returns none if it is not read as it is.
    pub(super) fn scan(json: &str, known: Known) -> Option<(Self, usize)> {
        let mut flat = Self::default();
        flat.paths.reserve(json.len() / 4);
        flat.values.reserve((json.len() / 32).min(FIELDS_MAX));
        let end = Scan::new(json, &mut flat, known).value(0, &(0..0), 0, 0).ok()?;
        flat.link();
        Some((flat, end))
    }
}

impl<'s> Scan<'s> {
    fn new(json: &'s str, flat: &'s mut Flat, known: Known) -> Self {
        Self { json: Cursor(json), flat, tags: Vec::with_capacity(64), known }
    }

    /// Fails if a value is not JSON.
    fn check(&self, value: Range<usize>, is_json: impl FnOnce(&str) -> bool) -> Result<(), Odd> {
        let is_right = self.known != Known::Nothing || self.json.0.get(value).is_some_and(is_json);
        is_right.then_some(()).ok_or(Odd)
    }

    fn text(&self, start: usize) -> Result<(usize, bool), Odd> {
        let (end, is_plain) = self.json.quoted(start).ok_or(Odd)?;
        if !is_plain {
            self.check(start..end, is_json)?;
        }
        Ok((end, is_plain))
    }

    fn value(&mut self, start: usize, path: &Range<u32>, tag: u32, depth: usize) -> Result<usize, Odd> {
        let (end, form) = match self.json.byte(start) {
            b'{' | b'[' if depth == DEPTH_MAX => return Err(Odd),
            b'{' => return self.object(start, path, depth + 1),
            b'[' => return self.array(start, path, tag, depth + 1),
            b'n' => {
                self.check(start..start + 4, |word| word == "null")?;
                return Ok(start + 4);
            }
            b'"' => {
                let (end, is_plain) = self.text(start)?;
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
                self.check(start..end, |word| is_integer(word) || is_json(word))?;
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
        let mut is_end = self.json.byte(at) == b'}';
        while !is_end {
            at = self.json.space(self.member(at, path, depth)?);
            is_end = self.json.byte(at) == b'}';
            at = self.separator(at, is_end)?;
        }
        let tags = &mut self.tags[first..];
        tags.sort_unstable();
        if self.known != Known::IsRepaired && tags.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Odd);
        }
        self.tags.truncate(first);
        Ok(at + 1)
    }

    fn member(&mut self, start: usize, parent: &Range<u32>, depth: usize) -> Result<usize, Odd> {
        let (end, is_plain) = self.text(start)?;
        let key = if is_plain {
            Cow::Borrowed(&self.json.0[start + 1..end - 1])
        } else {
            Cow::Owned(decoded(&self.json.0[start..end]))
        };
        let colon = self.json.space(end);
        self.check(colon..colon + 1, |sign| sign == ":")?;
        let start = self.json.space(colon + 1);
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
        let mut is_end = self.json.byte(at) == b']';
        while !is_end {
            at = self.json.space(self.value(at, path, tag, depth)?);
            is_end = self.json.byte(at) == b']';
            at = self.separator(at, is_end)?;
        }
        Ok(at + 1)
    }

    /// Passes over a comma and the white space after it, unless this is the end of the list or object.
    fn separator(&self, at: usize, is_end: bool) -> Result<usize, Odd> {
        match self.json.byte(at) {
            _ if is_end => Ok(at),
            b',' => Ok(self.json.space(at + 1)),
            _ => Err(Odd),
        }
    }
}

fn is_json(value: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(value).is_ok()
}

fn is_integer(value: &str) -> bool {
    let digits = value.strip_prefix('-').unwrap_or(value).as_bytes();
    matches!(digits, [b'0'] | [b'1'..=b'9', ..]) && digits.iter().all(u8::is_ascii_digit)
}
