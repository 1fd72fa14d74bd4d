//! Ids for payloads that carry none.

use crate::Event;
use sha2::{Digest, Sha256};
use std::fmt::Write;

impl Event {
    /// The SHA-256 of the body, in 64 hexadecimal digits: the last resort for a `source-ref`.
    pub fn digest(&self) -> String {
        hex(&Sha256::digest(&self.body))
    }
}

/// 32 hexadecimal digits that stand for these parts in this order: a `source-ref` for payloads that have no id of
/// their own but several fields that together identify them.
pub fn fingerprint<'p>(parts: impl IntoIterator<Item = &'p str>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        // The length first, so that `ab`, `c` and `a`, `bc` differ.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hex(&hash.finalize()[..16])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_sha256_and_parts_do_not_run_together() {
        let digest = Event::new("abc").digest();
        assert_eq!(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(fingerprint(["ab", "c"]).len(), 32);
        assert_ne!(fingerprint(["ab", "c"]), fingerprint(["a", "bc"]));
    }
}
