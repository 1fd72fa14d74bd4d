//! Comparison of texts, eight bytes at a time. In Wasm, the standard library compares byte by byte.

/// Returns whether two texts are the same.
pub(crate) fn is_equal(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len() != other.len() {
        return false;
    }
    let ((ones, one), (others, other)) = (one.as_chunks::<8>(), other.as_chunks::<8>());
    let is_equal = |(one, other): (&[u8; 8], &[u8; 8])| u64::from_le_bytes(*one) == u64::from_le_bytes(*other);
    ones.iter().zip(others).all(is_equal) && one.iter().zip(other).all(|(one, other)| one == other)
}

#[cfg(test)]
mod tests {
    use super::is_equal;

    #[test]
    fn texts_are_equal_if_all_of_their_bytes_are() {
        let text = "0123456789abcdefghij";
        for length in 0..=text.len() {
            let (text, copy) = (&text[..length], String::from(&text[..length]));
            assert!(is_equal(text, &copy) && !is_equal(text, &(copy + "x")));
            for at in 0..length {
                let mut other = text.to_owned();
                other.replace_range(at..=at, "x");
                assert!(!is_equal(text, &other), "{other}");
            }
        }
    }
}
