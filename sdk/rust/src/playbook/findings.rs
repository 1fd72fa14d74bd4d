//! What a playbook found out about an incident, and the actions that follow.

use super::{Action, Observable, Severity, Status, StoredIncident};

/// The host's limit, `wit/plugin.wit`.
const NOTE_BYTES_MAX: usize = 16 * 1024;
/// Values that one line of a note names: who wants all looks at the observables.
const NAMED_MAX: usize = 8;
const NAMED_CHARS_MAX: usize = 120;

/// Reasons for a severity, first steps, tags and observables, collected one by one.
///
/// It never lowers a severity, never takes an incident back that somebody works on, and says in a note why it did what
/// it did.
#[derive(Debug)]
pub struct Findings<'a> {
    incident: &'a StoredIncident,
    severity: Severity,
    reasons: Vec<String>,
    steps: Vec<String>,
    additions: Vec<Action>,
}

impl<'a> Findings<'a> {
    /// Nothing yet.
    pub fn new(incident: &'a StoredIncident) -> Self {
        let severity = incident.severity;
        Self { incident, severity, reasons: Vec::new(), steps: Vec::new(), additions: Vec::new() }
    }

    /// A reason for which the incident is at least this bad.
    pub fn at_least(&mut self, severity: Severity, reason: impl Into<String>) {
        self.severity = self.severity.max(severity);
        self.reason(reason);
    }

    /// Something to know that makes it no worse.
    pub fn reason(&mut self, reason: impl Into<String>) {
        self.reasons.push(reason.into());
    }

    /// What to do next, in the order of the calls.
    pub fn step(&mut self, step: impl Into<String>) {
        self.steps.push(step.into());
    }

    /// A label, unless it is there.
    pub fn tag(&mut self, tag: &str) {
        if !self.incident.tags.iter().any(|known| known == tag) {
            self.additions.push(Action::AddTag(tag.to_owned()));
        }
    }

    /// An observable that follows from others, unless it is there.
    pub fn observe(&mut self, data_type: &str, value: &str, message: &str) {
        let known = self.incident.values(data_type).any(|known| known.eq_ignore_ascii_case(value));
        let added = |action: &Action| matches!(action, Action::AddObservable(added) if added.data_type == data_type && added.value == value);
        if !known && !self.additions.iter().any(added) {
            self.additions.push(Action::AddObservable(Observable {
                data_type: data_type.to_owned(),
                value: value.to_owned(),
                message: Some(message.to_owned()),
                tags: Vec::new(),
                ioc: false,
            }));
        }
    }

    /// The actions: severity where it rises, category, status `triaged` where nobody has looked at it, tags, observables
    /// and one note, whose first line is `headline` and the severity.
    pub fn into_actions(self, category: &str, headline: &str) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.severity > self.incident.severity {
            actions.push(Action::SetSeverity(self.severity));
        }
        if self.incident.category.as_deref() != Some(category) {
            actions.push(Action::SetCategory(category.to_owned()));
        }
        if self.incident.status == Status::New {
            actions.push(Action::SetStatus(Status::Triaged));
        }
        actions.extend(self.additions);
        let was = if self.severity > self.incident.severity {
            format!(", raised from {}", word(self.incident.severity))
        } else {
            String::new()
        };
        let mut note = format!("{headline}: severity {}{was}.\n\nWhy:\n", word(self.severity));
        self.reasons.iter().for_each(|reason| note += &format!("- {reason}\n"));
        note += "\nFirst steps:\n";
        (1..).zip(&self.steps).for_each(|(number, step)| note += &format!("{number}. {step}\n"));
        note.truncate(note.trim_end().floor_char_boundary(NOTE_BYTES_MAX));
        actions.push(Action::AddNote(note));
        actions
    }
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Informational => "informational",
        Severity::Low => "low",
        Severity::Medium => "medium",
        Severity::High => "high",
        Severity::Critical => "critical",
    }
}

/// Values for a line of a note: the first of them, each on one line and not too long.
pub fn named<'a>(values: impl IntoIterator<Item = &'a str>) -> String {
    let mut values = values.into_iter();
    let plain = |letter: char| if letter.is_control() { ' ' } else { letter };
    let cut = |value: &str| value.chars().take(NAMED_CHARS_MAX).map(plain).collect::<String>();
    let first: Vec<String> = values.by_ref().take(NAMED_MAX).map(cut).collect();
    match values.count() {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// A URL, domain or address that nobody opens by mistake: `hxxp://evil[.]example/a.b`.
pub fn defanged(value: &str) -> String {
    let (scheme, rest) = value.split_once("://").unwrap_or(("", value));
    let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let host = host.replace('.', "[.]");
    match scheme {
        "" => format!("{host}{path}"),
        scheme => format!("{}://{host}{path}", scheme.replace("http", "hxxp")),
    }
}

/// The words of an incident, in lower case: title, description, category, tags, and the fields that its mapper kept,
/// but for what a vendor advises to do, which speaks of everything that can be.
#[derive(Debug)]
pub struct Words(String);

impl Words {
    /// All of them.
    pub fn of(incident: &StoredIncident) -> Self {
        let mut words = Self(" ".to_owned());
        let texts = [Some(&incident.title), incident.description.as_ref(), incident.category.as_ref()];
        texts.into_iter().flatten().chain(&incident.tags).for_each(|text| words.add(text));
        for detail in incident.details.iter().filter(|detail| !detail.name.to_lowercase().contains("recommend")) {
            words.add(&detail.name);
            words.add(&detail.value);
        }
        words
    }

    /// Those of one text.
    pub fn of_text(text: &str) -> Self {
        let mut words = Self(" ".to_owned());
        words.add(text);
        words
    }

    /// `PhishingEmail` is two words, and `process_killed` too.
    fn add(&mut self, text: &str) {
        let mut after_lower = false;
        for letter in text.chars() {
            let starts_word = letter.is_uppercase() && after_lower;
            after_lower = letter.is_lowercase() || letter.is_numeric();
            if starts_word || !letter.is_alphanumeric() {
                self.space();
            }
            if letter.is_alphanumeric() {
                self.0.extend(letter.to_lowercase());
            }
        }
        self.space();
    }

    fn space(&mut self) {
        if !self.0.ends_with(' ') {
            self.0.push(' ');
        }
    }

    /// The first of these phrases that it has: lower-case words with one space between, the last with `*` for any
    /// ending.
    pub fn first<'p>(&self, phrases: &[&'p str]) -> Option<&'p str> {
        phrases.iter().copied().find(|phrase| match phrase.strip_suffix('*') {
            Some(beginning) => self.0.contains(&format!(" {beginning}")),
            None => self.0.contains(&format!(" {phrase} ")),
        })
    }

    /// Whether it has one of these phrases.
    pub fn any(&self, phrases: &[&str]) -> bool {
        self.first(phrases).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::{Words, defanged, named};

    #[test]
    fn words_are_found_whatever_is_between_them() {
        let words = Words::of_text("PhishingEmail, process_killed (URL-Click) v2Beta");
        for (phrase, found) in [
            ("phish*", true),
            ("phish", false),
            ("process killed", true),
            ("url click", true),
            ("killed url", true),
            ("mail", false),
            ("v2 beta", true),
        ] {
            assert_eq!(words.any(&[phrase]), found, "{phrase} in {words:?}");
        }
    }

    #[test]
    fn values_in_notes_are_bounded_and_open_nothing() {
        assert_eq!(defanged("https://a.example/b.c?d=e.f"), "hxxps://a[.]example/b.c?d=e.f");
        assert_eq!(defanged("a.example"), "a[.]example");
        assert_eq!(named(["a\nb"]), "a b");
        assert_eq!(named(["x"; 10]), "x, x, x, x, x, x, x, x and 2 more");
    }
}
