//! Names of sources, plugins and destinations.

/// Checks the name of a source, a plugin or a destination.
///
/// # Errors
/// Returns a sentence that says which names are valid.
pub fn check_name(name: &str) -> Result<(), String> {
    if is_name(name) {
        return Ok(());
    }
    Err(format!("`{name}` is not a valid name: use 1 to 64 of A-Z a-z 0-9 . _ -, beginning with a letter or digit"))
}

/// Returns whether `text` can name a source, a plugin or a destination: `[A-Za-z0-9][A-Za-z0-9._-]{0,63}`.
pub fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    matches!(bytes.len(), 1..=64)
        && bytes[0].is_ascii_alphanumeric()
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::{check_name, is_name};

    #[test]
    fn names_are_short_and_begin_with_a_letter_or_digit() {
        let longest = "a".repeat(64);
        assert!(["edr", "7", "a.b_C-1", &longest].into_iter().all(is_name));
        let too_long = "a".repeat(65);
        for text in ["", ".hidden", "-x", "a/b", "a b", "ä", &too_long] {
            assert!(check_name(text).is_err(), "{text}");
        }
    }
}
