//! The patterns of `_like`.

/// A text in which `*` stands for any number of characters. All other characters are literal.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    start: String,
    /// The texts between start and end, in this order.
    middle: Vec<String>,
    /// `None` without a `*`; the start is then the whole pattern.
    end: Option<String>,
}

impl Pattern {
    pub fn new(text: &str) -> Self {
        let mut parts: Vec<String> = text.split('*').map(str::to_owned).collect();
        let end = if parts.len() > 1 { parts.pop() } else { None };
        let start = parts.remove(0);
        Self { start, middle: parts.into_iter().filter(|part| !part.is_empty()).collect(), end }
    }

    /// Returns whether the pattern fits the whole text. Taking the first match of each part is enough, which keeps the
    /// time linear in the length of the text.
    pub fn matches(&self, text: &str) -> bool {
        let Some(end) = &self.end else { return text == self.start };
        let Some(rest) = text.strip_prefix(self.start.as_str()) else { return false };
        let Some(mut rest) = rest.strip_suffix(end.as_str()) else { return false };
        for part in &self.middle {
            let Some((_, after)) = rest.split_once(part.as_str()) else { return false };
            rest = after;
        }
        true
    }
}
