//! A flat list of the values of an object, and an index of their paths.

mod cursor;
mod members;
mod scan;

use crate::equal::is_equal;
use crate::fault::fault;
use crate::repair;
pub(crate) use cursor::{Cursor, add_objects};
use std::cell::{Cell, OnceCell};
use std::ops::Range;

/// The most fields of one object. Each needs some memory, and a payload can have half a million.
pub(crate) const FIELDS_MAX: usize = 50_000;
/// The greatest length of all paths of one object: a long key is a part of the path of each value in it.
const PATHS_BYTES_MAX: usize = 4 * 1024 * 1024;
/// An odd number whose product with another spreads the bits of the latter.
const MIXER: u64 = 0x9E37_79B9_7F4A_7C15;
/// The end of a chain.
const END: u32 = u32::MAX;

/// The values of an object in the payload's order.
///
/// Has places in the object's JSON in place of references to it, so that it can be made on the first use.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flat {
    /// The scalars, and in front of their own values the lists and objects that are values of members.
    values: Vec<Value>,
    /// The number of scalars among the values.
    scalars: usize,
    /// The number of scalars beyond the bounds, which are not kept.
    pub more: usize,
    /// The paths, one after the other.
    paths: String,
    /// The first value of each chain. The values of one path are in the same chain, in their order.
    chains: Vec<u32>,
    /// The JSON with the places, unless it is the original.
    repaired: Option<&'static str>,
}

#[derive(Clone, Debug)]
pub(crate) struct Value {
    path: Range<u32>,
    tag: u32,
    /// The next value of the chain.
    next: u32,
    json: Range<u32>,
    form: Form,
    pub is_read: Cell<bool>,
}

/// The form of a value in the payload.
#[derive(Clone, Debug)]
enum Form {
    /// A text without escapes, in quotes.
    Quoted,
    /// An integer or a boolean.
    Bare,
    /// A text with escapes or a decimal number, and its value once that is known.
    Encoded(OnceCell<Box<str>>),
    /// A list or an object.
    Container {
        /// The number of the first value after those in it.
        end: u32,
        /// Whether a text was looked for at the path.
        is_asked: Cell<bool>,
    },
}

impl Value {
    fn is_scalar(&self) -> bool {
        !matches!(self.form, Form::Container { .. })
    }
}

/// The checks that JSON has passed before a scan.
#[derive(Clone, Copy, PartialEq)]
enum Known {
    /// It may be faulty.
    Nothing,
    /// A parser accepted it.
    IsJson,
    /// It was repaired: no key is repeated. Two paths can have the same tag.
    IsRepaired,
}

/// A search for the values at a path.
pub(crate) struct Search {
    tag: u32,
    /// The number of the next of them.
    next: u32,
}

/// Returns a text without escapes, half a surrogate pair as U+FFFD, or a decimal number in its shortest form.
fn decoded(json: &str) -> String {
    if !json.starts_with('"') {
        let number: Option<f64> = json.parse().ok().filter(|number: &f64| number.is_finite());
        return number.map_or_else(|| json.to_owned(), |number| number.to_string());
    }
    let repaired = || serde_json::from_str(repair::documents(json.as_bytes()).list.first()?).ok();
    serde_json::from_str(json).ok().or_else(repaired).unwrap_or_default()
}

impl Flat {
    /// Reads an object. An object with a repeated key or one that is nested too deep is repaired first.
    ///
    /// A repaired text is never freed, like all memory of an instance.
    pub fn of(json: &str) -> Self {
        if json.is_empty() {
            return Self::default();
        }
        Self::scan(json, Known::IsJson).map(|(flat, _)| flat).unwrap_or_else(|| {
            // Parts of the payload that are not read as fields can have the same fault.
            fault();
            let repaired = repair::documents(json.as_bytes()).list.into_iter().next().unwrap_or_default().leak();
            let flat = Self::scan(repaired, Known::IsRepaired).map(|(flat, _)| flat).unwrap_or_default();
            Self { repaired: Some(repaired), ..flat }
        })
    }

    /// Reads the object at the beginning of what may be JSON. Also returns its end. Returns none if there is no object, if it is
    /// faulty or not read as it is.
    pub fn checked(json: &str) -> Option<(Self, usize)> {
        let is_object = json.starts_with('{');
        is_object.then(|| Self::scan(json, Known::Nothing)).flatten().filter(|(flat, _)| flat.more == 0)
    }

    /// Returns pairs of a name and a value.
    pub fn of_pairs<'p>(pairs: impl IntoIterator<Item = (&'p str, impl AsRef<str>)>) -> Self {
        let mut flat = Self::default();
        for (name, value) in pairs {
            let value = OnceCell::from(Box::from(value.as_ref()));
            match flat.path(&(0..0), name) {
                Some(path) => flat.push_scalar(&path, tag(name), 0..0, Form::Encoded(value)),
                None => flat.more += 1,
            }
        }
        flat.link();
        flat
    }

    /// Adds the path of a member. Returns none if the paths are too long together.
    fn path(&mut self, parent: &Range<u32>, key: &str) -> Option<Range<u32>> {
        let start = self.paths.len();
        if start + parent.len() + key.len() >= PATHS_BYTES_MAX {
            return None;
        }
        if !parent.is_empty() {
            self.paths.extend_from_within(parent.start as usize..parent.end as usize);
            self.paths.push('.');
        }
        self.paths.push_str(key);
        Some(place(start, self.paths.len()))
    }

    fn push_scalar(&mut self, path: &Range<u32>, tag: u32, json: Range<u32>, form: Form) {
        if self.scalars == FIELDS_MAX {
            self.more += 1;
            return;
        }
        self.scalars += 1;
        self.push(path, tag, json, form);
    }

    fn push(&mut self, path: &Range<u32>, tag: u32, json: Range<u32>, form: Form) {
        self.values.push(Value { path: path.clone(), tag, next: END, json, form, is_read: Cell::new(false) });
    }

    /// Makes the chains, of two slots or more for each value, so that most of the paths that are not there need one look.
    fn link(&mut self) {
        self.chains = vec![END; (self.values.len() * 2).next_power_of_two()];
        for (number, value) in self.values.iter_mut().enumerate().rev() {
            let slot = value.tag as usize & (self.chains.len() - 1);
            value.next = std::mem::replace(&mut self.chains[slot], number as u32);
        }
    }

    /// Begins to search for texts at a path, and notes at the lists and objects there that these are asked for.
    pub fn search(&self, path: &str) -> Search {
        let search = self.search_any(path);
        let mut next = search.next;
        while next != END {
            let value = &self.values[next as usize];
            next = value.next;
            if let Form::Container { is_asked, .. } = &value.form
                && value.tag == search.tag
                && self.is_at(path, value)
            {
                is_asked.set(true);
            }
        }
        search
    }

    /// Begins to search for values at a path.
    pub fn search_any(&self, path: &str) -> Search {
        let tag = tag(path);
        let slot = tag as usize & self.chains.len().wrapping_sub(1);
        Search { tag, next: self.chains.get(slot).copied().unwrap_or(END) }
    }

    /// Returns the next value at a path.
    #[inline]
    fn find(&self, path: &str, search: &mut Search) -> Option<&Value> {
        // Most paths are not there.
        while search.next != END {
            let value = &self.values[search.next as usize];
            search.next = value.next;
            if value.tag == search.tag && self.is_at(path, value) {
                return Some(value);
            }
        }
        None
    }

    /// Returns the next scalar at a path.
    #[inline]
    pub fn find_scalar(&self, path: &str, search: &mut Search) -> Option<&Value> {
        loop {
            let value = self.find(path, search)?;
            if value.is_scalar() {
                return Some(value);
            }
        }
    }

    /// Returns the scalars.
    pub fn scalars(&self) -> impl Iterator<Item = &Value> {
        self.values.iter().filter(|value| value.is_scalar())
    }

    pub fn path_of(&self, value: &Value) -> &str {
        part(&self.paths, &value.path)
    }

    fn is_at(&self, path: &str, value: &Value) -> bool {
        is_equal(self.path_of(value), path)
    }

    /// Returns a scalar as text, also one that stands for an absent value. `json` is the object.
    pub fn text_of<'f>(&'f self, scalar: &'f Value, json: &'f str) -> &'f str {
        let json = part(self.repaired.unwrap_or(json), &scalar.json);
        match &scalar.form {
            Form::Quoted => &json[1..json.len() - 1],
            Form::Encoded(value) => value.get_or_init(|| decoded(json).into()),
            Form::Bare | Form::Container { .. } => json,
        }
    }

    /// Returns whether there is a value at a path or below it.
    pub fn has(&self, path: &str) -> bool {
        self.below(path).next().is_some()
    }

    /// Marks the values at a path and below it as read.
    pub fn mark_read(&self, path: &str) {
        self.below(path).for_each(|value| value.is_read.set(true));
    }

    /// Returns the values at a path and below it.
    fn below(&self, path: &str) -> impl Iterator<Item = &Value> {
        let is_of =
            move |known: &str| known.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        self.values.iter().filter(move |value| is_of(self.path_of(value)))
    }

    /// Returns a number that the values at the path of a value have in common, if there are several.
    pub fn number_of_several(&self, value: &Value) -> Option<u32> {
        let mut next = self.chains[value.tag as usize & (self.chains.len() - 1)];
        let mut first = None;
        while next != END {
            let other = &self.values[next as usize];
            next = other.next;
            if std::ptr::eq(other, value) || other.tag == value.tag && self.is_at(self.path_of(value), other) {
                match first {
                    None => first = Some(other.path.start),
                    first => return first,
                }
            }
        }
        None
    }

    /// Returns the values at a path as JSON. For [`members`](Self::members), lists and objects are read then.
    pub fn json_of<'a>(&self, path: &str, json: &'a str) -> impl Iterator<Item = &'a str> {
        let json = self.repaired.unwrap_or(json);
        let (mut search, mut inner) = (self.search_any(path), 0);
        std::iter::from_fn(move || {
            loop {
                let value = self.find(path, &mut search)?;
                match value.form {
                    Form::Container { .. } => {
                        value.is_read.set(true);
                        inner = value.json.end.max(inner);
                    }
                    // What is in a list has the path of the list.
                    _ if value.json.start < inner => continue,
                    _ => {}
                }
                return Some(part(json, &value.json));
            }
        })
    }
}

/// Returns the place between two positions. A payload is much shorter than 4 GiB.
fn place(start: usize, end: usize) -> Range<u32> {
    start as u32..end as u32
}

fn part<'t>(text: &'t str, place: &Range<u32>) -> &'t str {
    &text[place.start as usize..place.end as usize]
}

/// Returns a number by which to find a path or a key. It is made of 24 bytes at most: two texts with the same number cost
/// time only.
#[inline]
fn tag(text: &str) -> u32 {
    let bytes = text.as_bytes();
    let four = |bytes: &[u8; 4]| u64::from(u32::from_le_bytes(*bytes));
    let eight = |bytes: &[u8; 8]| u64::from_le_bytes(*bytes);
    let mixed = if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let middle = bytes.get(bytes.len() / 2 - 4..).and_then(<[u8]>::first_chunk).map_or(0, eight);
        eight(first) ^ middle.wrapping_mul(MIXER).rotate_left(23) ^ eight(last).rotate_left(29)
    } else if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        four(first) << 32 | four(last)
    } else {
        bytes.iter().fold(0, |mixed, byte| mixed << 8 | u64::from(*byte))
    };
    ((mixed ^ bytes.len() as u64).wrapping_mul(MIXER) >> 32) as u32
}
