//! The findings of a playbook about one incident, and the resulting actions.

use super::{Action, Observable, Severity, Status, StoredIncident};

/// The host's limit, see `wit/plugin.wit`.
const NOTE_BYTES_MAX: usize = 16 * 1024;
/// The number of values listed in one line of a note; the incident's observables are complete.
const LISTED_MAX: usize = 8;
const LISTED_CHARS_MAX: usize = 120;

/// A collection of reasons for a severity, first steps, tags and observables.
///
/// The resulting actions never lower a severity and never change the status of an incident that is already being worked
/// on. A note explains all reasons.
#[derive(Debug)]
pub struct Findings<'a> {
    incident: &'a StoredIncident,
    severity: Severity,
    reasons: Vec<String>,
    steps: Vec<String>,
    additions: Vec<Action>,
}

impl<'a> Findings<'a> {
    /// Returns empty findings for an incident.
    pub fn new(incident: &'a StoredIncident) -> Self {
        let severity = incident.severity;
        Self { incident, severity, reasons: Vec::new(), steps: Vec::new(), additions: Vec::new() }
    }

    /// Adds a reason for at least this severity.
    pub fn at_least(&mut self, severity: Severity, reason: impl Into<String>) {
        self.severity = self.severity.max(severity);
        self.reason(reason);
    }

    /// Adds a reason that does not raise the severity.
    pub fn reason(&mut self, reason: impl Into<String>) {
        self.reasons.push(reason.into());
    }

    /// Adds a step to take next. The note lists steps in the order of these calls.
    pub fn step(&mut self, step: impl Into<String>) {
        self.steps.push(step.into());
    }

    /// Adds a tag unless the incident has it.
    pub fn tag(&mut self, tag: &str) {
        if !self.incident.tags.iter().any(|known| known == tag) {
            self.additions.push(Action::AddTag(tag.to_owned()));
        }
    }

    /// Adds an observable derived from others unless the incident has it. Compares values ignoring case.
    pub fn observe(&mut self, data_type: &str, value: &str, message: &str) {
        let known = self.incident.values(data_type).any(|known| known.eq_ignore_ascii_case(value));
        let observable = Observable {
            data_type: data_type.to_owned(),
            value: value.to_owned(),
            message: Some(message.to_owned()),
            tags: Vec::new(),
            ioc: false,
        };
        let is_added = |action: &Action| matches!(action, Action::AddObservable(added) if added.is_same(&observable));
        if !known && !self.additions.iter().any(is_added) {
            self.additions.push(Action::AddObservable(observable));
        }
    }

    /// Returns the actions: the severity if it rises, the category, the status `triaged` for new incidents, tags,
    /// observables, and one note that begins with `headline` and the severity.
    pub fn into_actions(self, category: &str, headline: &str) -> Vec<Action> {
        let note = self.note(headline);
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
        actions.push(Action::AddNote(note));
        actions
    }

    fn note(&self, headline: &str) -> String {
        let (severity, stored) = (self.severity, self.incident.severity);
        let raised = if severity > stored { format!(", raised from {}", stored.name()) } else { String::new() };
        let mut note = format!("{headline}: severity {}{raised}.\n\nWhy:\n", severity.name());
        self.reasons.iter().for_each(|reason| note += &format!("- {reason}\n"));
        note += "\nFirst steps:\n";
        (1..).zip(&self.steps).for_each(|(number, step)| note += &format!("{number}. {step}\n"));
        note.truncate(note.trim_end().floor_char_boundary(NOTE_BYTES_MAX));
        note
    }
}

/// Returns values as a list for a line of a note: at most 8 values of at most 120 characters, and the number of the
/// values left out. Control characters become spaces.
pub fn listed<'a>(values: impl IntoIterator<Item = &'a str>) -> String {
    let mut values = values.into_iter();
    let printable = |letter: char| if letter.is_control() { ' ' } else { letter };
    let shorten = |value: &str| value.chars().take(LISTED_CHARS_MAX).map(printable).collect::<String>();
    let first: Vec<String> = values.by_ref().take(LISTED_MAX).map(shorten).collect();
    match values.count() {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// Defangs a URL, domain or address, so that it cannot be opened by mistake: `hxxp://evil[.]example/a.b`.
pub fn defang(value: &str) -> String {
    let (scheme, rest) = value.split_once("://").unwrap_or(("", value));
    let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let host = host.replace('.', "[.]");
    match scheme {
        "" => format!("{host}{path}"),
        scheme => format!("{}://{host}{path}", scheme.replace("http", "hxxp")),
    }
}

/// The words of an incident in lower case: title, description, category, tags and details.
///
/// Details named as recommendations are left out: a vendor's advice lists possible causes, not findings.
#[derive(Debug)]
pub struct Words(String);

impl Words {
    /// Returns the words of an incident.
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

    /// Returns the words of one text.
    pub fn of_text(text: &str) -> Self {
        let mut words = Self(" ".to_owned());
        words.add(text);
        words
    }

    /// Adds the words of a text. `PhishingEmail` and `process_killed` are two words each.
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

    /// Returns the first of these phrases that occurs. A phrase is lower-case words separated by single spaces; a `*`
    /// at the end stands for any ending.
    pub fn first<'p>(&self, phrases: &[&'p str]) -> Option<&'p str> {
        phrases.iter().copied().find(|phrase| match phrase.strip_suffix('*') {
            Some(prefix) => self.0.contains(&format!(" {prefix}")),
            None => self.0.contains(&format!(" {phrase} ")),
        })
    }

    /// Returns whether one of these phrases occurs.
    pub fn any(&self, phrases: &[&str]) -> bool {
        self.first(phrases).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::{Words, defang, listed};

    #[test]
    fn words_are_found_with_any_separator() {
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
    fn values_in_notes_are_bounded_and_defanged() {
        assert_eq!(defang("https://a.example/b.c?d=e.f"), "hxxps://a[.]example/b.c?d=e.f");
        assert_eq!(defang("a.example"), "a[.]example");
        assert_eq!(listed(["a\nb"]), "a b");
        assert_eq!(listed(["x"; 10]), "x, x, x, x, x, x, x, x and 2 more");
    }
}
