//! The scan that makes a flat list of an object's scalars.

mod chains;
mod members;

use crate::fault::fault;
use crate::repair;
use chains::Chains;
use std::borrow::Cow;
use std::cell::{Cell, OnceCell};
use std::ops::Range;

/// The most fields of one object. Each needs some memory, and a payload can have half a million.
pub(crate) const FIELDS_MAX: usize = 50_000;
/// The greatest length of all paths of one object: a long key is a part of the path of each value in it.
const PATHS_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The depth up to which an object is read as it is. The repaired text of a deeper one has texts in place of the deepest
/// values.
const DEPTH_MAX: usize = 127;
/// An odd number whose product with another spreads the bits of the latter.
const MIXER: u64 = 0x9E37_79B9_7F4A_7C15;
/// The place after all others.
const END: u32 = u32::MAX;

/// The scalars of an object in the payload's order, and the lists and objects in it.
///
/// Has places in the object's JSON in place of references to it, so that it can be made on the first use.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flat {
    pub scalars: Vec<Scalar>,
    containers: Vec<Container>,
    /// The number of scalars beyond the bounds, which are not kept.
    pub more: usize,
    /// The paths, one after the other.
    paths: String,
    scalar_chains: Chains,
    container_chains: Chains,
    /// The JSON with the places, unless it is the original.
    repaired: Option<&'static str>,
}

/// A text, a number or a boolean.
#[derive(Clone, Debug)]
pub(crate) struct Scalar {
    path: Range<u32>,
    tag: u32,
    pub is_read: Cell<bool>,
    form: Form,
    json: Range<u32>,
    /// The value of the form [`Form::Encoded`].
    decoded: OnceCell<String>,
}

/// The form of a value in the payload.
#[derive(Clone, Copy, Debug)]
enum Form {
    /// A text without escapes, in quotes.
    Quoted,
    /// An integer or a boolean.
    Bare,
    /// A text with escapes or a decimal number.
    Encoded,
}

/// A list or an object that is the value of a member.
#[derive(Clone, Debug)]
struct Container {
    path: Range<u32>,
    tag: u32,
    json: Range<u32>,
    is_read: Cell<bool>,
    /// Whether a text was looked for at the path.
    is_asked: Cell<bool>,
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
        Self::scan(json, false).unwrap_or_else(|Odd| {
            // Parts of the payload that are not read as fields can have the same fault.
            fault();
            let repaired = repair::documents(json.as_bytes()).list.into_iter().next().unwrap_or_default().leak();
            Self { repaired: Some(repaired), ..Self::scan(repaired, true).unwrap_or_default() }
        })
    }

    /// Returns pairs of a name and a value.
    pub fn of_pairs<'p>(pairs: impl IntoIterator<Item = (&'p str, impl AsRef<str>)>) -> Self {
        let mut flat = Self::default();
        for (name, value) in pairs {
            match flat.path(&(0..0), name) {
                Some(path) => {
                    flat.push(&path, tag(name), (0..0, Form::Encoded), OnceCell::from(value.as_ref().to_owned()))
                }
                None => flat.more += 1,
            }
        }
        flat.link();
        flat
    }

    pub fn path_of(&self, scalar: &Scalar) -> &str {
        self.text(&scalar.path)
    }

    /// Returns a value as text, also one that stands for an absent value. `json` is the object.
    pub fn value_of<'f>(&'f self, scalar: &'f Scalar, json: &'f str) -> &'f str {
        let json = part(self.repaired.unwrap_or(json), &scalar.json);
        match scalar.form {
            Form::Quoted => &json[1..json.len() - 1],
            Form::Bare => json,
            Form::Encoded => scalar.decoded.get_or_init(|| decoded(json)),
        }
    }

    /// Returns the scalars at a path.
    pub fn all(&self, path: impl AsRef<str>) -> impl Iterator<Item = &Scalar> {
        let tag = tag(path.as_ref());
        let scalars = self.scalar_chains.of_tag(tag).map(|number| &self.scalars[number]);
        scalars.filter(move |scalar| scalar.tag == tag && self.path_of(scalar) == path.as_ref())
    }

    /// Returns the lists and objects at a path.
    fn containers_at(&self, path: &str) -> impl Iterator<Item = &Container> {
        let tag = tag(path);
        let containers = self.container_chains.of_tag(tag).map(|number| &self.containers[number]);
        containers.filter(move |container| container.tag == tag && self.text(&container.path) == path)
    }

    /// Notes that a text is looked for at a path.
    pub fn ask(&self, path: &str) {
        self.containers_at(path).for_each(|container| container.is_asked.set(true));
    }

    /// Returns whether there is a value at a path or below it.
    pub fn has(&self, path: &str) -> bool {
        self.below(path).next().is_some()
    }

    /// Marks the values at a path and below it as read.
    pub fn mark_read(&self, path: &str) {
        self.below(path).for_each(|is_read| is_read.set(true));
    }

    /// Returns the marks of the values at a path and below it.
    fn below(&self, path: &str) -> impl Iterator<Item = &Cell<bool>> {
        let is_of =
            move |known: &str| known.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        let scalars = self.scalars.iter().filter(move |scalar| is_of(self.path_of(scalar)));
        let containers = self.containers.iter().filter(move |container| is_of(self.text(&container.path)));
        scalars.map(|scalar| &scalar.is_read).chain(containers.map(|container| &container.is_read))
    }

    /// Returns the values at a path as JSON. For [`members`](Self::members), lists and objects are read then.
    pub fn json_of<'a>(&self, path: &str, json: &'a str) -> impl Iterator<Item = &'a str> {
        let json = self.repaired.unwrap_or(json);
        let mut containers = self.containers_at(path).inspect(|container| container.is_read.set(true)).peekable();
        let mut scalars = self.all(path).peekable();
        std::iter::from_fn(move || {
            let scalar = scalars.peek().map_or(END, |scalar| scalar.json.start);
            let Some(container) = containers.next_if(|container| container.json.start < scalar) else {
                return Some(&scalars.next()?.json);
            };
            // What is in a list has the path of the list.
            while scalars.next_if(|scalar| scalar.json.start < container.json.end).is_some() {}
            Some(&container.json)
        })
        .map(move |place| part(json, place))
    }

    fn text(&self, path: &Range<u32>) -> &str {
        part(&self.paths, path)
    }

    fn scan(json: &str, is_repaired: bool) -> Result<Self, Odd> {
        let mut flat = Self::default();
        flat.paths.reserve(json.len() / 8);
        flat.scalars.reserve(json.len() / 48);
        Scan { json, at: 0, flat: &mut flat, keys: Vec::with_capacity(64), is_repaired }.value(&(0..0), 0, 0)?;
        flat.link();
        Ok(flat)
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

    fn push(&mut self, path: &Range<u32>, tag: u32, (json, form): (Range<u32>, Form), decoded: OnceCell<String>) {
        if self.scalars.len() == FIELDS_MAX {
            self.more += 1;
            return;
        }
        let (path, is_read) = (path.clone(), Cell::new(false));
        self.scalars.push(Scalar { path, tag, is_read, form, json, decoded });
    }

    fn link(&mut self) {
        self.scalar_chains = Chains::of(self.scalars.iter().map(|scalar| scalar.tag));
        self.container_chains = Chains::of(self.containers.iter().map(|container| container.tag));
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
fn tag(text: &str) -> u32 {
    let bytes = text.as_bytes();
    let eight = |at: usize| bytes.get(at..at + 8).and_then(|part| part.try_into().ok()).map_or(0, u64::from_le_bytes);
    let mixed = match bytes.len() {
        length @ 0..8 => bytes.iter().fold(length as u64, |mixed, byte| mixed << 8 | u64::from(*byte)),
        length => {
            let middle = eight(length / 2 - 4).wrapping_mul(MIXER).rotate_left(23);
            eight(0) ^ middle ^ eight(length - 8).rotate_left(29) ^ length as u64
        }
    };
    (mixed.wrapping_mul(MIXER) >> 32) as u32
}

/// The reason why an object is not read as it is: a repeated key, or values that are nested too deep.
struct Odd;

/// A position in JSON that a parser accepted.
struct Scan<'s> {
    json: &'s str,
    at: usize,
    flat: &'s mut Flat,
    /// The tags of the keys in the objects around this value.
    keys: Vec<u32>,
    /// Whether no key is repeated: two keys can have the same tag.
    is_repaired: bool,
}

impl Scan<'_> {
    fn byte(&self) -> u8 {
        self.json.as_bytes().get(self.at).copied().unwrap_or_default()
    }

    fn skip_space(&mut self) {
        while matches!(self.byte(), b' ' | b'\n' | b'\r' | b'\t') {
            self.at += 1;
        }
    }

    fn value(&mut self, path: &Range<u32>, tag: u32, depth: usize) -> Result<(), Odd> {
        let start = self.at;
        match self.byte() {
            b'{' | b'[' if depth == DEPTH_MAX => return Err(Odd),
            b'{' => return self.object(path, depth + 1),
            b'[' => return self.array(path, tag, depth + 1),
            b'"' => {
                let form = if self.skip_text() { Form::Quoted } else { Form::Encoded };
                self.flat.push(path, tag, (place(start, self.at), form), OnceCell::new());
            }
            b'n' => self.at += 4,
            _ => {
                let bytes = &self.json.as_bytes()[start..];
                let end =
                    bytes.iter().position(|byte| matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t'));
                self.at = end.map_or(self.json.len(), |length| start + length);
                let bytes = &bytes[..self.at - start];
                let is_bare = matches!(bytes, [b't' | b'f', ..]) || !bytes.iter().any(|byte| b".eE".contains(byte));
                let form = if is_bare { Form::Bare } else { Form::Encoded };
                self.flat.push(path, tag, (place(start, self.at), form), OnceCell::new());
            }
        }
        Ok(())
    }

    fn object(&mut self, path: &Range<u32>, depth: usize) -> Result<(), Odd> {
        let first = self.keys.len();
        self.at += 1;
        self.skip_space();
        while self.byte() == b'"' {
            let start = self.at;
            let is_plain = self.skip_text();
            let key = &self.json[start..self.at];
            let key = if is_plain { Cow::Borrowed(&key[1..key.len() - 1]) } else { Cow::Owned(decoded(key)) };
            self.keys.push(tag(&key));
            self.skip_space();
            self.at += 1;
            self.skip_space();
            self.member(path, &key, depth)?;
            self.skip_space();
            if self.byte() == b',' {
                self.at += 1;
                self.skip_space();
            }
        }
        self.at += 1;
        let keys = &mut self.keys[first..];
        keys.sort_unstable();
        if !self.is_repaired && keys.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Odd);
        }
        self.keys.truncate(first);
        Ok(())
    }

    fn member(&mut self, parent: &Range<u32>, key: &str, depth: usize) -> Result<(), Odd> {
        let start = self.at;
        if self.byte() == b'n' {
            self.at += 4;
            return Ok(());
        }
        let Some(path) = self.flat.path(parent, key) else {
            self.flat.more += 1;
            self.skip();
            return Ok(());
        };
        let tag = tag(self.flat.text(&path));
        let number = self.flat.containers.len();
        let is_container = matches!(self.byte(), b'{' | b'[') && number < FIELDS_MAX;
        if is_container {
            let (is_read, is_asked) = (Cell::new(false), Cell::new(false));
            self.flat.containers.push(Container { path: path.clone(), tag, json: 0..0, is_read, is_asked });
        }
        self.value(&path, tag, depth)?;
        if is_container {
            self.flat.containers[number].json = place(start, self.at);
        }
        Ok(())
    }

    fn array(&mut self, path: &Range<u32>, tag: u32, depth: usize) -> Result<(), Odd> {
        self.at += 1;
        self.skip_space();
        while !matches!(self.byte(), b']' | 0) {
            self.value(path, tag, depth)?;
            self.skip_space();
            if self.byte() == b',' {
                self.at += 1;
                self.skip_space();
            }
        }
        self.at += 1;
        Ok(())
    }

    /// Passes over a value.
    fn skip(&mut self) {
        let mut depth = 0_usize;
        loop {
            match self.byte() {
                b'"' => _ = self.skip_text(),
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' if depth > 0 => {
                    depth -= 1;
                    self.at += 1;
                }
                b',' if depth == 0 => return,
                b'}' | b']' | 0 => return,
                _ => self.at += 1,
            }
        }
    }

    /// Passes over a text. Returns whether it has no escapes.
    fn skip_text(&mut self) -> bool {
        const ONES: u64 = 0x0101_0101_0101_0101;
        let is_zero = |bytes: u64| bytes.wrapping_sub(ONES) & !bytes & (ONES << 7);
        let bytes = self.json.as_bytes();
        let mut is_plain = true;
        self.at += 1;
        loop {
            // Eight bytes at a time.
            while let Some(eight) = bytes[self.at..].first_chunk() {
                let eight = u64::from_le_bytes(*eight);
                let found = is_zero(eight ^ (ONES * u64::from(b'"'))) | is_zero(eight ^ (ONES * u64::from(b'\\')));
                if found != 0 {
                    self.at += found.trailing_zeros() as usize / 8;
                    break;
                }
                self.at += 8;
            }
            match self.byte() {
                b'\\' => {
                    is_plain = false;
                    self.at += 2;
                }
                b'"' | 0 => {
                    self.at += 1;
                    return is_plain;
                }
                _ => self.at += 1,
            }
        }
    }
}
