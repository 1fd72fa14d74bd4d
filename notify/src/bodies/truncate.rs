//! The shortening of texts.

/// Cuts a text to a number of characters; the last one of a text that was cut is `…`.
pub(super) fn truncate(text: &str, characters: usize) -> String {
    if text.char_indices().nth(characters).is_none() {
        return text.to_owned();
    }
    let Some(kept) = characters.checked_sub(1) else { return String::new() };
    text.chars().take(kept).chain(['…']).collect()
}
