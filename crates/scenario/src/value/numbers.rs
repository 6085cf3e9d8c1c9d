//! Numbers with bounds.

use super::{Invalid, Word};
use crate::limits::{MAX_COUNT, MAX_HZ, MAX_TRANSFER_BYTES, MIN_HZ};

fn whole(text: &str) -> Option<u64> {
    let all = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    // A number too large for `u64` is reported as above the limit, not as invalid.
    all.then(|| text.parse().unwrap_or(u64::MAX))
}

fn bounded(text: &str, low: u32, high: u32) -> Result<u32, Invalid> {
    let number = whole(text).ok_or_else(Invalid::default)?;
    let shown: String = text.chars().take(24).collect();
    match u32::try_from(number) {
        Ok(number) if number < low => {
            Err(Invalid::message(format!("{shown} is below the minimum"))
                .and_help(format!("use a number from {low} to {high}")))
        }
        Ok(number) if number <= high => Ok(number),
        _ => Err(Invalid::message(format!("{shown} is over the limit"))
            .and_help(format!("the limit is {high}"))),
    }
}

/// The value of `count`, `connections` and `repeat`.
pub(crate) struct Count(pub(crate) u32);

impl Word for Count {
    const EXPECTED: &'static str = "a whole number from 1 to 100000";

    fn parse(text: &str) -> Result<Self, Invalid> {
        bounded(text, 1, MAX_COUNT).map(Self)
    }
}

/// Ticks per second (`CONFIG_HZ`).
pub(crate) struct Hz(pub(crate) u32);

impl Word for Hz {
    const EXPECTED: &'static str =
        "the kernel's CONFIG_HZ, a whole number from 24 to 1200 such as `250`";

    fn parse(text: &str) -> Result<Self, Invalid> {
        bounded(text, MIN_HZ, MAX_HZ).map(Self)
    }
}

/// Bytes of one transfer.
pub(crate) struct Bytes(pub(crate) u32);

impl Word for Bytes {
    const EXPECTED: &'static str = "a number of bytes from 1 to 1048576";

    fn parse(text: &str) -> Result<Self, Invalid> {
        bounded(text, 1, MAX_TRANSFER_BYTES).map(Self)
    }
}

/// A number without bounds of its own: uids, backlogs, marks.
pub(crate) struct Ordinary(pub(crate) u32);

impl Word for Ordinary {
    const EXPECTED: &'static str = "a whole number from 0 to 4294967295";

    fn parse(text: &str) -> Result<Self, Invalid> {
        bounded(text, 0, u32::MAX).map(Self)
    }
}

impl Word for u64 {
    const EXPECTED: &'static str = "a whole number from 0 to 18446744073709551615";

    fn parse(text: &str) -> Result<Self, Invalid> {
        text.parse().map_err(|_| Invalid::default())
    }
}

impl Word for bool {
    const EXPECTED: &'static str = "`true` or `false`";

    fn parse(text: &str) -> Result<Self, Invalid> {
        match text {
            "true" => Ok(true),
            "false" => Ok(false),
            "yes" | "on" | "1" => Err(Invalid::help("write `true`")),
            "no" | "off" | "0" => Err(Invalid::help("write `false`")),
            _ => Err(Invalid::default()),
        }
    }
}

impl Word for String {
    const EXPECTED: &'static str = "text";

    fn parse(text: &str) -> Result<Self, Invalid> {
        Ok(text.to_owned())
    }
}
