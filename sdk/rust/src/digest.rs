//! Ids for payloads without an id of their own.

use crate::Event;
use sha2::{Digest, Sha256};
use std::fmt::Write;

impl Event {
    /// Returns the SHA-256 of the body as 64 hexadecimal digits: the last resort for a `source-ref`.
    pub fn digest(&self) -> String {
        hex(&Sha256::digest(&self.body))
    }
}

/// Returns a digest of these parts, in this order, as 32 hexadecimal digits: a `source-ref` for payloads that have no
/// id but several fields that together identify them.
pub fn fingerprint(parts: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        let part = part.as_ref();
        // The length comes first, so that `ab`, `c` and `a`, `bc` differ.
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
