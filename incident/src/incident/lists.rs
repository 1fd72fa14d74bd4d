//! Bounded lists without repeats: tags, observables and techniques.

use super::Incident;
use crate::{Observable, Technique};

const OBSERVABLES_MAX: usize = 1_000;
const TAGS_MAX: usize = 200;
const TECHNIQUES_MAX: usize = 100;

impl Incident {
    /// Adds new items to the lists; items beyond the bounds are only counted in `truncated`.
    pub(super) fn unite(&mut self, tags: Vec<String>, observables: Vec<Observable>, techniques: Vec<Technique>) {
        for tag in tags {
            if !self.tags.contains(&tag) {
                push_bounded(&mut self.tags, tag, TAGS_MAX, &mut self.truncated);
            }
        }
        for observable in observables {
            self.add_observable(observable);
        }
        for technique in techniques {
            match self.techniques.iter_mut().find(|known| known.id == technique.id) {
                Some(known) => known.tactic = known.tactic.take().or(technique.tactic),
                None => push_bounded(&mut self.techniques, technique, TECHNIQUES_MAX, &mut self.truncated),
            }
        }
    }

    /// Adds an observable, or merges it into the known one of the same type and value.
    fn add_observable(&mut self, seen: Observable) {
        let same = |known: &&mut Observable| known.data_type == seen.data_type && known.value == seen.value;
        match self.observables.iter_mut().find(same) {
            Some(known) => {
                known.ioc |= seen.ioc;
                known.message = known.message.take().or(seen.message);
                for tag in seen.tags {
                    if !known.tags.contains(&tag) {
                        known.tags.push(tag);
                    }
                }
            }
            None => push_bounded(&mut self.observables, seen, OBSERVABLES_MAX, &mut self.truncated),
        }
    }
}

fn push_bounded<T>(list: &mut Vec<T>, item: T, max: usize, truncated: &mut u64) {
    if list.len() < max {
        list.push(item);
    } else {
        *truncated += 1;
    }
}
