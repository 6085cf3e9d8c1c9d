//! Numbers, each kind with its bounds.

use super::{Bad, Word};
use crate::limits::{MAX_COUNT, MAX_HZ, MAX_TRANSFER_BYTES, MIN_HZ};

fn whole(text: &str) -> Option<u64> {
    let all = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    // A number too large for the type is still a number, and its limit is what the message is about.
    all.then(|| text.parse().unwrap_or(u64::MAX))
}

fn bounded(text: &str, low: u32, high: u32) -> Result<u32, Bad> {
    let number = whole(text).ok_or_else(Bad::default)?;
    let shown: String = text.chars().take(24).collect();
    match u32::try_from(number) {
        Ok(number) if number < low => Err(Bad::message(format!("{shown} is too few"))
            .and_help(format!("use a number from {low} to {high}"))),
        Ok(number) if number <= high => Ok(number),
        _ => Err(Bad::message(format!("{shown} is over the limit"))
            .and_help(format!("the limit is {high}"))),
    }
}

/// `count`, `connections`, `repeat`.
pub(crate) struct Count(pub(crate) u32);

impl Word for Count {
    const EXPECTED: &'static str = "a whole number from 1 to 100000";

    fn parse(text: &str) -> Result<Self, Bad> {
        bounded(text, 1, MAX_COUNT).map(Self)
    }
}

/// Ticks per second.
pub(crate) struct Hz(pub(crate) u32);

impl Word for Hz {
    const EXPECTED: &'static str =
        "the kernel's CONFIG_HZ, a whole number from 24 to 1200 such as `250`";

    fn parse(text: &str) -> Result<Self, Bad> {
        bounded(text, MIN_HZ, MAX_HZ).map(Self)
    }
}

/// Bytes of one transfer.
pub(crate) struct Bytes(pub(crate) u32);

impl Word for Bytes {
    const EXPECTED: &'static str = "a number of bytes from 1 to 1048576";

    fn parse(text: &str) -> Result<Self, Bad> {
        bounded(text, 1, MAX_TRANSFER_BYTES).map(Self)
    }
}

/// A number without further meaning to the format: uids, backlogs, marks.
pub(crate) struct Ordinary(pub(crate) u32);

impl Word for Ordinary {
    const EXPECTED: &'static str = "a whole number from 0 to 4294967295";

    fn parse(text: &str) -> Result<Self, Bad> {
        bounded(text, 0, u32::MAX).map(Self)
    }
}

impl Word for u64 {
    const EXPECTED: &'static str = "a whole number from 0 to 18446744073709551615";

    fn parse(text: &str) -> Result<Self, Bad> {
        text.parse().map_err(|_| Bad::default())
    }
}

impl Word for bool {
    const EXPECTED: &'static str = "`true` or `false`";

    fn parse(text: &str) -> Result<Self, Bad> {
        match text {
            "true" => Ok(true),
            "false" => Ok(false),
            "yes" | "on" | "1" => Err(Bad::help("write `true`")),
            "no" | "off" | "0" => Err(Bad::help("write `false`")),
            _ => Err(Bad::default()),
        }
    }
}

impl Word for String {
    const EXPECTED: &'static str = "text";

    fn parse(text: &str) -> Result<Self, Bad> {
        Ok(text.to_owned())
    }
}
