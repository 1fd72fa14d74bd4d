//! The indivisible units of a chat's text, and the places where the text can be cut.

/// The format of a chat's text.
#[derive(Clone, Copy, Debug)]
pub(super) enum Markup {
    /// Slack's `mrkdwn`, with entities such as `&amp;` and links such as `<https://soc.example|text>`.
    Slack,
    /// Markdown, with escapes such as `\*` and links such as `[text](https://soc.example)`.
    Markdown,
}

/// The longest entity, `&#x1F600;`, in bytes.
const ENTITY_BYTES_MAX: usize = 10;
/// The longest link or label of a link, in bytes, which bounds the search for its end.
const LINK_BYTES_MAX: usize = 16 * 1024;

impl Markup {
    /// Cuts a text to a number of characters, between units; the last character of a text that was cut is `…`.
    pub fn truncate(self, text: &str, characters: usize) -> String {
        if text.char_indices().nth(characters).is_none() {
            return text.to_owned();
        }
        let Some(mut left) = characters.checked_sub(1) else { return String::new() };
        let mut kept = String::new();
        for unit in self.units(text) {
            let Some(rest) = left.checked_sub(unit.chars().count()) else { break };
            left = rest;
            kept.push_str(unit);
        }
        kept.push('…');
        kept
    }

    /// Splits a text into sections of at most this many characters: between lines or words where possible, and never
    /// within a unit. A unit that is too long for a section is left out, and `…` takes its place.
    pub fn sections(self, text: &str, characters_max: usize) -> Vec<String> {
        let mut sections = Vec::new();
        let mut units: Vec<&str> = self
            .units(text.trim())
            .map(|unit| if unit.chars().count() > characters_max { "…" } else { unit })
            .collect();
        while !units.is_empty() {
            let count = fitting(&units, characters_max);
            let is_last = count == units.len();
            let last = |wanted: &str| units[..count].iter().rposition(|unit| *unit == wanted).filter(|at| *at > 0);
            let cut = if is_last { count } else { last("\n").or_else(|| last(" ")).unwrap_or(count) };
            sections.push(units.drain(..cut).collect::<String>());
            let spaces = units.iter().take_while(|unit| unit.trim().is_empty()).count();
            units.drain(..spaces);
        }
        sections
    }

    /// Returns the units of a text, which together are the whole text.
    fn units(self, text: &str) -> impl Iterator<Item = &str> {
        let mut rest = text;
        std::iter::from_fn(move || {
            let first = rest.chars().next()?;
            let (unit, after) = rest.split_at(self.unit(rest).unwrap_or(first.len_utf8()));
            rest = after;
            Some(unit)
        })
    }

    /// Returns the bytes of the unit at the start of a text, if it has more than one character.
    fn unit(self, text: &str) -> Option<usize> {
        match (self, text.as_bytes().first()?) {
            (Self::Slack, b'<') => {
                let end = text.bytes().take(LINK_BYTES_MAX).position(|byte| matches!(byte, b'>' | b'\n'))?;
                (text.as_bytes()[end] == b'>').then_some(end + 1)
            }
            (_, b'&') => {
                let end = text.bytes().take(ENTITY_BYTES_MAX).position(|byte| byte == b';')?;
                let is_name = text[1..end].bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'#');
                (is_name && end > 1).then_some(end + 1)
            }
            (Self::Markdown, b'\\') => Some(1 + text[1..].chars().next()?.len_utf8()),
            (Self::Markdown, b'[') => {
                let label = closing(text, b'[', b']')?;
                let target = &text[label..];
                target.starts_with('(').then(|| closing(target, b'(', b')'))?.map(|length| label + length)
            }
            // The separator that keeps a mention from having an effect.
            (Self::Markdown, b'@') => text[1..].starts_with('\u{200b}').then_some(1 + '\u{200b}'.len_utf8()),
            _ => None,
        }
    }
}

/// Returns how many of the units have together at most this many characters; at least one.
fn fitting(units: &[&str], characters_max: usize) -> usize {
    let mut characters = 0;
    let count = units.iter().take_while(|unit| {
        characters += unit.chars().count();
        characters <= characters_max
    });
    count.count().max(1)
}

/// Returns the bytes from a bracket at the start of a text to the bracket that closes it on the same line, escaped ones
/// apart.
fn closing(text: &str, open: u8, close: u8) -> Option<usize> {
    let (mut depth, mut is_escaped) = (0_usize, false);
    for (index, byte) in text.bytes().take(LINK_BYTES_MAX).enumerate() {
        match byte {
            b'\n' => return None,
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            byte if byte == open => depth += 1,
            byte if byte == close => {
                depth -= 1;
                if depth == 0 {
                    return Some(index + 1);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::Markup::{self, Markdown, Slack};

    #[test]
    fn units_stay_whole() {
        let cases: [(Markup, &str, &[&str]); 10] = [
            (Slack, "a&amp;b", &["a", "&amp;", "b"]),
            (Slack, "<https://a|a b>c", &["<https://a|a b>", "c"]),
            (Slack, "1 & 2; <\n>", &["1", " ", "&", " ", "2", ";", " ", "<", "\n", ">"]),
            (Slack, "[a](b)", &["[", "a", "]", "(", "b", ")"]),
            (Markdown, "\\*ä\\", &["\\*", "ä", "\\"]),
            (Markdown, "[a \\] [b]](c\\)d(e))f", &["[a \\] [b]](c\\)d(e))", "f"]),
            (Markdown, "[a] (b)", &["[", "a", "]", " ", "(", "b", ")"]),
            (Markdown, "[a](b", &["[", "a", "]", "(", "b"]),
            (Markdown, "@\u{200b}all", &["@\u{200b}", "a", "l", "l"]),
            (Markdown, "&lt;&x", &["&lt;", "&", "x"]),
        ];
        for (markup, text, expected) in cases {
            assert_eq!(markup.units(text).collect::<Vec<_>>(), expected, "{text}");
        }
    }

    #[test]
    fn texts_are_cut_between_units() {
        let cases = [
            (Slack, "ab&amp;", 7, "ab&amp;"),
            (Slack, "ab&amp;c", 7, "ab…"),
            (Slack, "<https://a|b>", 5, "…"),
            (Markdown, "a\\*b", 3, "a…"),
            (Markdown, "see [it](https://a) now", 10, "see …"),
            (Markdown, "abc", 0, ""),
        ];
        for (markup, text, characters, expected) in cases {
            assert_eq!(markup.truncate(text, characters), expected, "{text} to {characters}");
        }
        let cases: [(&str, &[&str]); 5] = [
            ("one two three", &["one two", "three"]),
            ("one\ntwo three", &["one", "two three"]),
            ("abcdefgh&amp;i", &["abcdefgh", "&amp;i"]),
            ("a <https://a|b>", &["a …"]),
            ("abcdefghi jk", &["abcdefghi", "jk"]),
        ];
        for (text, expected) in cases {
            assert_eq!(Slack.sections(text, 9), expected, "{text}");
        }
    }
}
