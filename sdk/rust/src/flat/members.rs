//! The members of an object, and what was not read of them.

use super::{Container, END, Flat, Scalar, part};
use std::ops::Range;

impl Flat {
    /// Returns the lists and objects, as JSON, with an object where a text was looked for and of which nothing was read.
    pub fn objects_for_texts<'f>(&'f self, json: &'f str) -> impl Iterator<Item = &'f str> {
        let json = self.repaired.unwrap_or(json);
        let is_misplaced = |container: &&Container| {
            let (scalars, inner) = self.inside(&container.json);
            let mut below = scalars.iter().filter(|scalar| scalar.path.len() > container.path.len()).peekable();
            let is_read = |inner: &Container| inner.is_read.get();
            below.peek().is_some() && !below.any(|scalar| scalar.is_read.get()) && !inner.iter().any(is_read)
        };
        let asked = self.containers.iter().filter(|container| container.is_asked.get() && !container.is_read.get());
        asked.filter(is_misplaced).map(move |container| part(json, &container.json))
    }

    /// Returns the paths and values of what was not read, in the payload's order: members whole and, of those of which a part
    /// was read, the other parts.
    pub fn unread_members<'f>(&'f self, json: &'f str) -> impl Iterator<Item = (&'f str, &'f str)> {
        let is_partly_read = |container: &Container| !container.is_read.get() && self.is_read_inside(&container.json);
        let members = self.walk(json, is_partly_read);
        members.filter(|(_, _, is_read)| !is_read).map(|(path, value, _)| (path, value))
    }

    /// Returns the names and the JSON of all members, in the payload's order.
    pub fn members<'f>(&'f self, json: &'f str) -> impl Iterator<Item = (&'f str, &'f str)> {
        self.walk(json, |_| false).map(|(path, value, _)| (path, value))
    }

    /// Returns the paths and values of the members, and whether they are read. The parts of a list or an object stand in its
    /// place if it is to be opened.
    fn walk<'f>(
        &'f self,
        json: &'f str,
        is_opened: impl Fn(&Container) -> bool,
    ) -> impl Iterator<Item = (&'f str, &'f str, bool)> {
        let json = self.repaired.unwrap_or(json);
        let mut scalars = self.scalars.iter().peekable();
        let mut containers = self.containers.iter().peekable();
        std::iter::from_fn(move || {
            loop {
                let scalar = scalars.peek().map_or(END, |scalar| scalar.json.start);
                let Some(container) = containers.next_if(|container| container.json.start < scalar) else {
                    let scalar = scalars.next()?;
                    return Some((&scalar.path, &scalar.json, scalar.is_read.get()));
                };
                if is_opened(container) {
                    continue;
                }
                while scalars.next_if(|scalar| scalar.json.start < container.json.end).is_some() {}
                while containers.next_if(|inner| inner.json.start < container.json.end).is_some() {}
                return Some((&container.path, &container.json, container.is_read.get()));
            }
        })
        .map(move |(path, place, is_read)| (self.text(path), part(json, place), is_read))
    }

    fn is_read_inside(&self, place: &Range<u32>) -> bool {
        let (scalars, containers) = self.inside(place);
        scalars.iter().any(|scalar| scalar.is_read.get()) || containers.iter().any(|inner| inner.is_read.get())
    }

    /// Returns the scalars, and the lists and objects, in a list or an object.
    fn inside(&self, place: &Range<u32>) -> (&[Scalar], &[Container]) {
        let first = self.scalars.partition_point(|scalar| scalar.json.start < place.start);
        let end = self.scalars.partition_point(|scalar| scalar.json.start < place.end);
        let scalars = &self.scalars[first..end];
        let first = self.containers.partition_point(|inner| inner.json.start <= place.start);
        let end = self.containers.partition_point(|inner| inner.json.start < place.end);
        (scalars, &self.containers[first..end])
    }
}
