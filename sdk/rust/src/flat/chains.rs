//! An index of values by the tags of their paths.

use std::iter::successors;

/// The end of a chain.
const END: u32 = u32::MAX;

/// The numbers of values in chains. Those of one path are in the same chain, in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Chains {
    /// The first of each chain.
    heads: Vec<u32>,
    /// The one that follows each.
    next: Vec<u32>,
}

impl Chains {
    pub fn of(tags: impl DoubleEndedIterator<Item = u32> + ExactSizeIterator) -> Self {
        let count = tags.len();
        if count == 0 {
            return Self::default();
        }
        let mut chains = Self { heads: vec![END; count.next_power_of_two()], next: vec![END; count] };
        for (number, tag) in tags.enumerate().rev() {
            let slot = chains.slot(tag);
            chains.next[number] = std::mem::replace(&mut chains.heads[slot], number as u32);
        }
        chains
    }

    /// Returns the numbers of the chain that has the values with this tag.
    pub fn of_tag(&self, tag: u32) -> impl Iterator<Item = usize> {
        let known = |number: &u32| (*number != END).then_some(*number as usize);
        successors(self.heads.get(self.slot(tag)).and_then(known), move |number| self.next.get(*number).and_then(known))
    }

    fn slot(&self, tag: u32) -> usize {
        tag as usize & self.heads.len().wrapping_sub(1)
    }
}
