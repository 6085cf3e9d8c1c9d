//! A short digest of a scenario's text.

use std::hash::Hasher as _;

use siphasher::sip128::{Hasher128 as _, SipHasher13};

/// Returns 32 hexadecimal digits that identify a scenario's text, the same on every machine. Stored
/// results about a scenario include it, so that a later change of the scenario is detected. It is
/// not cryptographic.
#[must_use]
pub fn digest(text: &str) -> String {
    let mut hasher = SipHasher13::new();
    hasher.write(text.as_bytes());
    format!("{:032x}", hasher.finish128().as_u128())
}

#[cfg(test)]
mod tests {
    use super::digest;

    #[test]
    fn is_the_same_everywhere_and_changes_with_the_text() {
        assert_eq!(digest("about: x\n"), digest("about: x\n"));
        assert_ne!(digest("about: x\n"), digest("about: y\n"));
        assert_eq!(digest("").len(), 32);
        // A reference value of SipHash-1-3-128 with a key of zeros: stored digests must not change
        // with a new version of the crate.
        assert_eq!(digest("about: x\n"), "3382a07b9a55fc86ab9b51e50f329f46");
    }
}
