//! The answers of the mappers that did not read an event.

use hookmill_incident::{FailureCode, MappingFailure, Verdict};

/// The number of refusals that a message names. All are counted.
const NAMED_MAX: usize = 3;
/// The length to which a named refusal is cut, in bytes.
const REFUSAL_BYTES_MAX: usize = 200;

/// The answers of the mappers that did not read an event.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    failures: Vec<MappingFailure>,
    /// The first empty reading, and the number of empty readings.
    empty: Option<Verdict>,
    empty_count: usize,
}

impl Refusals {
    /// Adds a mapper that failed with `unsupported` or `malformed`.
    pub fn add(&mut self, failure: MappingFailure) {
        self.failures.push(failure);
    }

    /// Adds a mapper whose reading has no incidents, skipped parts or problems.
    pub fn add_empty(&mut self, reading: Verdict) {
        self.empty_count += 1;
        self.empty.get_or_insert(reading);
    }

    /// Returns the verdict if no other mapper is left: `malformed` if a mapper found the payload broken, because that may
    /// be the mapper for the payload; else an empty reading; else `unsupported`. Returns `None` if no
    /// mapper was called.
    pub fn verdict(mut self) -> Option<Verdict> {
        let malformed = |failure: &MappingFailure| failure.code == FailureCode::Malformed;
        self.failures.sort_by_key(|failure| !malformed(failure));
        let first = self.failures.first();
        if let Some(reading) = self.empty.take_if(|_| !first.is_some_and(malformed)) {
            return Some(reading);
        }
        let first = first?;
        let asked = self.failures.len() + self.empty_count;
        if asked == 1 {
            return Some(Verdict::Failed(first.clone()));
        }
        // The sender gets the first line only, which does not list the plugins.
        let only_malformed = self.failures.iter().filter(|failure| malformed(failure)).count() == 1;
        let reason = if only_malformed { format!(": {}", first.message) } else { String::new() };
        let named = self.failures.iter().take(NAMED_MAX).map(|failure| cut(&failure.message));
        let named = named.collect::<Vec<_>>().join("; ");
        let more = match asked - self.failures.len().min(NAMED_MAX) {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        let message = format!("none of the {asked} mappers called can read the payload{reason}\n{named}{more}");
        Some(Verdict::Failed(MappingFailure { code: first.code, message }))
    }
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(REFUSAL_BYTES_MAX)]
}

#[cfg(test)]
mod tests {
    use super::Refusals;
    use hookmill_incident::FailureCode::{Malformed, Unsupported};
    use hookmill_incident::{FailureCode, MappingFailure, PluginVersion, Reading, Verdict};

    fn verdict(failures: &[(FailureCode, &str)], has_empty: bool) -> Option<Verdict> {
        let mut refusals = Refusals::default();
        for (code, message) in failures {
            refusals.add(MappingFailure { code: *code, message: (*message).to_owned() });
        }
        if has_empty {
            let plugin = PluginVersion { name: "a".into(), version: "1".into(), sha256: String::new() };
            let reading = Reading { observations: Vec::new(), skipped: Vec::new(), problems: Vec::new() };
            refusals.add_empty(Verdict::Read { plugin, reading });
        }
        refusals.verdict()
    }

    #[test]
    fn a_few_refusals_are_named_and_all_are_counted() {
        let message = |failures: &[(FailureCode, &str)], has_empty| match verdict(failures, has_empty) {
            Some(Verdict::Failed(failure)) => (failure.code, failure.message),
            other => panic!("{other:?}"),
        };
        assert_eq!(message(&[(Unsupported, "a: x")], false), (Unsupported, "a: x".into()));
        let text = "none of the 2 mappers called can read the payload\na: x; b: y";
        assert_eq!(message(&[(Unsupported, "a: x"), (Unsupported, "b: y")], false), (Unsupported, text.into()));
        let many = [(Unsupported, "a: x"), (Unsupported, "b: x"), (Malformed, "c: no id"), (Unsupported, "d: x")];
        let text = "none of the 5 mappers called can read the payload: c: no id\nc: no id; a: x; b: x; and 2 more";
        assert_eq!(message(&many, true), (Malformed, text.into()));
        let text = "none of the 2 mappers called can read the payload\na: no id; b: no name";
        assert_eq!(message(&[(Malformed, "a: no id"), (Malformed, "b: no name")], false), (Malformed, text.into()));
    }

    #[test]
    fn an_empty_reading_counts_if_no_mapper_found_the_payload_broken() {
        assert!(verdict(&[], false).is_none());
        for failures in [&[][..], &[(Unsupported, "a: x")]] {
            assert!(matches!(verdict(failures, true), Some(Verdict::Read { .. })));
        }
        assert!(matches!(verdict(&[(Malformed, "a: x")], true), Some(Verdict::Failed(_))));
    }
}
