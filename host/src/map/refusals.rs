//! What mappers answered that did not read an event.

use hookmill_incident::{Failure, FailureCode, Verdict};

/// The number of refusals that a message names. All are counted.
const NAMED_MAX: usize = 3;
/// The length to which a named refusal is cut, in bytes.
const REFUSAL_BYTES_MAX: usize = 200;

/// The answers of the mappers that did not read an event.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    failures: Vec<Failure>,
    /// The first reading without incidents, skipped parts and problems, and the number of such readings.
    says_nothing: Option<Verdict>,
    silent: usize,
}

impl Refusals {
    /// Adds a mapper that failed with `unsupported` or `malformed`.
    pub fn add(&mut self, failure: Failure) {
        self.failures.push(failure);
    }

    /// Adds a mapper whose reading says nothing.
    pub fn add_silent(&mut self, reading: Verdict) {
        self.silent += 1;
        self.says_nothing.get_or_insert(reading);
    }

    /// Returns the verdict if no other mapper is left: `malformed` if a mapper found the payload broken, because that may
    /// be the mapper whose payload it is; else a reading that says nothing; else `unsupported`. Returns `None` if no
    /// mapper was asked.
    pub fn verdict(mut self) -> Option<Verdict> {
        let malformed = |failure: &Failure| failure.code == FailureCode::Malformed;
        self.failures.sort_by_key(|failure| !malformed(failure));
        let first = self.failures.first();
        if let Some(reading) = self.says_nothing.take_if(|_| !first.is_some_and(malformed)) {
            return Some(reading);
        }
        let first = first?;
        let asked = self.failures.len() + self.silent;
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
        let message = format!("none of the {asked} mappers asked can read it{reason}\n{named}{more}");
        Some(Verdict::Failed(Failure { code: first.code, message }))
    }
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(REFUSAL_BYTES_MAX)]
}

#[cfg(test)]
mod tests {
    use super::Refusals;
    use hookmill_incident::FailureCode::{Malformed, Unsupported};
    use hookmill_incident::{Failure, FailureCode, PluginVersion, Reading, Verdict};

    fn verdict(failures: &[(FailureCode, &str)], silent: bool) -> Option<Verdict> {
        let mut refusals = Refusals::default();
        for (code, message) in failures {
            refusals.add(Failure { code: *code, message: (*message).to_owned() });
        }
        if silent {
            let plugin = PluginVersion { name: "a".into(), version: "1".into(), sha256: String::new() };
            let reading = Reading { observations: Vec::new(), skipped: Vec::new(), problems: Vec::new() };
            refusals.add_silent(Verdict::Read { plugin, reading });
        }
        refusals.verdict()
    }

    #[test]
    fn a_few_refusals_are_named_and_all_are_counted() {
        let message = |failures: &[(FailureCode, &str)], silent| match verdict(failures, silent) {
            Some(Verdict::Failed(failure)) => (failure.code, failure.message),
            other => panic!("{other:?}"),
        };
        assert_eq!(message(&[(Unsupported, "a: x")], false), (Unsupported, "a: x".into()));
        let text = "none of the 2 mappers asked can read it\na: x; b: y";
        assert_eq!(message(&[(Unsupported, "a: x"), (Unsupported, "b: y")], false), (Unsupported, text.into()));
        let many = [(Unsupported, "a: x"), (Unsupported, "b: x"), (Malformed, "c: no id"), (Unsupported, "d: x")];
        let text = "none of the 5 mappers asked can read it: c: no id\nc: no id; a: x; b: x; and 2 more";
        assert_eq!(message(&many, true), (Malformed, text.into()));
        let text = "none of the 2 mappers asked can read it\na: no id; b: no name";
        assert_eq!(message(&[(Malformed, "a: no id"), (Malformed, "b: no name")], false), (Malformed, text.into()));
    }

    #[test]
    fn a_reading_that_says_nothing_counts_if_no_mapper_found_the_payload_broken() {
        assert!(verdict(&[], false).is_none());
        for failures in [&[][..], &[(Unsupported, "a: x")]] {
            assert!(matches!(verdict(failures, true), Some(Verdict::Read { .. })));
        }
        assert!(matches!(verdict(&[(Malformed, "a: x")], true), Some(Verdict::Failed(_))));
    }
}
