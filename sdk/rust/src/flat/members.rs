//! The members of an object, and what was not read of them.

use super::{Flat, Form, Value, part};

impl Flat {
    /// Returns the lists and objects, as JSON, with an object where a text was looked for and of which nothing was read.
    pub fn objects_for_texts<'f>(&'f self, json: &'f str) -> impl Iterator<Item = &'f str> {
        let json = self.repaired.unwrap_or(json);
        let is_misplaced = |(number, container): &(usize, &Value)| {
            let is_asked = matches!(&container.form, Form::Container { is_asked, .. } if is_asked.get());
            // The scalars of a list have the path of the list.
            let is_below = |value: &Value| value.path.len() > container.path.len();
            let is_read = |value: &Value| value.is_read.get() && (is_below(value) || !value.is_scalar());
            is_asked
                && !container.is_read.get()
                && self.inside(*number).iter().any(|value| value.is_scalar() && is_below(value))
                && !self.inside(*number).iter().any(is_read)
        };
        self.values.iter().enumerate().filter(is_misplaced).map(move |(_, container)| part(json, &container.json))
    }

    /// Returns what was not read, with its JSON, in the payload's order: members whole and, of those of which a part was read,
    /// the other parts.
    pub fn unread_members<'f>(&'f self, json: &'f str) -> impl Iterator<Item = (&'f Value, &'f str)> {
        let is_read = |value: &Value| value.is_read.get();
        let is_part_read =
            move |number: usize| !is_read(&self.values[number]) && self.inside(number).iter().any(is_read);
        self.walk(json, is_part_read).filter(move |(value, _)| !is_read(value))
    }

    /// Returns the names and the JSON of all members, in the payload's order.
    pub fn members<'f>(&'f self, json: &'f str) -> impl Iterator<Item = (&'f str, &'f str)> {
        self.walk(json, |_| false).map(|(value, json)| (self.path_of(value), json))
    }

    /// Returns the members with their JSON, in the payload's order, and in place of those that are to be split what is in them.
    fn walk<'f>(
        &'f self,
        json: &'f str,
        is_split: impl Fn(usize) -> bool,
    ) -> impl Iterator<Item = (&'f Value, &'f str)> {
        let json = self.repaired.unwrap_or(json);
        let mut next = 0;
        std::iter::from_fn(move || {
            while next < self.values.len() && is_split(next) {
                next += 1;
            }
            let value = self.values.get(next)?;
            next += 1 + self.inside(next).len();
            Some((value, part(json, &value.json)))
        })
    }

    /// Returns the values in a list or an object.
    fn inside(&self, number: usize) -> &[Value] {
        match self.values[number].form {
            Form::Container { end, .. } => &self.values[number + 1..end as usize],
            _ => &[],
        }
    }
}
