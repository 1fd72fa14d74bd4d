//! The part of a failure's message that failures with the same cause have in common.

/// The number of characters of a pattern, which is enough to tell causes apart.
const PATTERN_CHARS_MAX: usize = 512;
/// The character that stands for a word with a digit.
const ANY: &str = "#";

/// Returns the first line of a message with `#` in the place of each word that has a digit: a number, a position, an id, a
/// time or a digest differs from payload to payload.
pub fn failure_pattern(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    let mut pattern = String::new();
    let mut rest = line;
    while !rest.is_empty() {
        let end = rest.find(|letter| !is_in_word(letter)).unwrap_or(rest.len());
        if end == 0 {
            let next = rest.chars().next().map_or(rest.len(), char::len_utf8);
            pattern.push_str(&rest[..next]);
            rest = &rest[next..];
            continue;
        }
        // A point or a colon at the end belongs to the sentence.
        let word = rest[..end].trim_end_matches(['.', ':', '-']);
        pattern.push_str(if word.contains(char::is_numeric) { ANY } else { word });
        pattern.push_str(&rest[word.len()..end]);
        rest = &rest[end..];
    }
    match pattern.char_indices().nth(PATTERN_CHARS_MAX) {
        Some((end, _)) => pattern[..end].to_owned(),
        None => pattern,
    }
}

fn is_in_word(letter: char) -> bool {
    letter.is_alphanumeric() || matches!(letter, '-' | '_' | '.' | ':' | '+')
}

#[cfg(test)]
mod tests {
    use super::failure_pattern;

    #[test]
    fn words_with_digits_do_not_tell_failures_apart() {
        for (message, pattern) in [
            ("", ""),
            ("no `alert_id`", "no `alert_id`"),
            ("line 12, column 3: expected `}`", "line #, column #: expected `}`"),
            ("incidents[0].severity is \"7\".", "incidents[#].severity is \"#\"."),
            ("alert 019c1f3e-5c00-7000-8000-000000000001: no title", "alert #: no title"),
            ("at 2026-01-15T12:00:00+02:00", "at #"),
            ("trapped: unreachable\nlog 1", "trapped: unreachable"),
            ("Zeile ٣ fehlt – ünïcode", "Zeile # fehlt – ünïcode"),
        ] {
            assert_eq!(failure_pattern(message), pattern, "{message}");
        }
        assert_eq!(failure_pattern(&"ä".repeat(2000)).chars().count(), 512);
    }
}
