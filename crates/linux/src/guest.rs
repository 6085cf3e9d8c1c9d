//! The guest program that this library contains.

/// The executable; empty where it could not be built.
static BINARY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guest.bin"));
/// The reason why it could not be built.
static REASON: &str = include_str!(concat!(env!("OUT_DIR"), "/guest.reason"));

/// Returns the guest program, or one line with the reason why there is none.
pub(crate) fn binary() -> Result<&'static [u8], String> {
    if BINARY.is_empty() {
        Err(REASON.to_owned())
    } else {
        Ok(BINARY)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn tables_take_no_space_in_the_executable() {
        // A single byte that is not zero puts all of the guest's memory, many megabytes, into the
        // file that each start copies.
        assert!(
            super::BINARY.len() < 1 << 20,
            "{} bytes",
            super::BINARY.len()
        );
    }
}
