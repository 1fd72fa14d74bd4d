//! The share of the leases that a host takes while others live.

use std::collections::BTreeSet;

/// The kinds of work that hosts share. The other kinds are short or small, and whichever host comes first does them.
const SHARED: [&str; 2] = ["destination/", "source/"];

/// A row of the table `leases`.
#[derive(Clone, Debug)]
pub(super) struct LeaseRow {
    pub name: String,
    /// The host that holds the lease now.
    pub host: Option<String>,
    /// Whether no host took the lease for a while: those below their share do not need it.
    pub is_left: bool,
}

/// The leases as one host sees them.
#[derive(Debug)]
pub(super) struct LeaseView<'a> {
    /// The id of the host.
    pub host: &'a str,
    pub leases: Vec<LeaseRow>,
    /// The names that tasks of the host wait for.
    pub waiting: &'a [String],
    /// The names that each other live host would take.
    pub others: Vec<Vec<String>>,
}

impl LeaseView<'_> {
    /// Returns the names to take, if they are free.
    pub fn takeable(&self) -> Vec<String> {
        let mut room = self.share().saturating_sub(self.own().count());
        let mut takeable = Vec::new();
        for name in self.waiting.iter().filter(|name| self.is_free(name)) {
            if is_shared(name) && !self.is_left(name) {
                if room == 0 {
                    continue;
                }
                room -= 1;
            }
            takeable.push(name.clone());
        }
        takeable
    }

    /// Returns the names that the host would take from others that have more than their share.
    pub fn wanted(&self) -> Vec<String> {
        match self.own().count() < self.share() {
            true => self.waiting.iter().filter(|name| is_shared(name)).cloned().collect(),
            false => Vec::new(),
        }
    }

    /// Returns the held names beyond the share that other hosts would take.
    pub fn excess(&self) -> Vec<String> {
        let count = self.own().count().saturating_sub(self.share());
        let wanted: BTreeSet<&String> = self.others.iter().flatten().collect();
        self.own().filter(|name| wanted.contains(name)).take(count).cloned().collect()
    }

    /// Returns the number of shared leases that the host may hold.
    fn share(&self) -> usize {
        let held = self.leases.iter().filter(|row| row.host.is_some()).map(|row| &row.name);
        let all: BTreeSet<&String> =
            held.chain(self.waiting).chain(self.others.iter().flatten()).filter(|name| is_shared(name)).collect();
        all.len().div_ceil(self.others.len() + 1)
    }

    fn own(&self) -> impl Iterator<Item = &String> {
        let own = self.leases.iter().filter(|row| row.host.as_deref() == Some(self.host));
        own.map(|row| &row.name).filter(|name| is_shared(name))
    }

    fn is_free(&self, name: &str) -> bool {
        let row = self.leases.iter().find(|row| row.name == name);
        row.is_none_or(|row| row.host.as_deref().is_none_or(|host| host == self.host))
    }

    fn is_left(&self, name: &str) -> bool {
        self.leases.iter().any(|row| row.name == name && row.is_left)
    }
}

fn is_shared(name: &str) -> bool {
    SHARED.iter().any(|kind| name.starts_with(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each case: the holders of the destinations 1, 2, …, what `a` waits for, what the other hosts want, and what `a` may
    /// take, wants and gives up. `?` is free, `!` is free for long.
    #[test]
    fn hosts_take_their_share() {
        for (holders, waiting, others, takeable, wanted, excess) in [
            // Alone, a host takes everything.
            ("???", "123", &[][..], "123", "123", ""),
            ("aa?", "3", &[], "3", "3", ""),
            // Beside others, only its share, unless the others do not need the rest.
            ("????", "1234", &[""], "12", "1234", ""),
            ("aa??", "34", &[""], "", "", ""),
            ("aa!!", "34", &[""], "34", "", ""),
            ("bbbb", "1234", &[""], "", "1234", ""),
            // What is beyond the share goes to those who want it.
            ("aaaa", "", &["1234"], "", "", "12"),
            ("aaaa", "", &["4"], "", "", "4"),
            ("aaaa", "", &[""], "", "", ""),
            ("aaa", "", &["123"], "", "", "1"),
            ("aabb", "34", &["12"], "", "", ""),
            // Three hosts.
            ("aaabbb", "456", &["123", "123456"], "", "", "1"),
        ] {
            let names = |digits: &str| digits.chars().map(|digit| format!("destination/{digit}")).collect::<Vec<_>>();
            let leases = holders.chars().enumerate().map(|(index, holder)| LeaseRow {
                name: format!("destination/{}", index + 1),
                host: Some(holder.to_string()).filter(|_| holder.is_alphabetic()),
                is_left: holder == '!',
            });
            let waiting = names(waiting);
            let others = others.iter().map(|wanted| names(wanted)).collect();
            let view = LeaseView { host: "a", leases: leases.collect(), waiting: &waiting, others };
            let place = format!("{holders} {waiting:?}");
            assert_eq!(view.takeable(), names(takeable), "{place}");
            assert_eq!(view.wanted(), names(wanted), "{place}");
            assert_eq!(view.excess(), names(excess), "{place}");
        }
    }

    #[test]
    fn other_work_is_taken_whenever_it_is_free() {
        let waiting = ["purge".to_owned(), "remap".to_owned()];
        let row = |name: &str, host: Option<&str>| LeaseRow {
            name: name.into(),
            host: host.map(str::to_owned),
            is_left: false,
        };
        let leases = vec![row("destination/1", Some("a")), row("purge", None), row("remap", Some("b"))];
        let view = LeaseView { host: "a", leases, waiting: &waiting, others: vec![Vec::new()] };
        assert_eq!(view.takeable(), ["purge"]);
    }
}
