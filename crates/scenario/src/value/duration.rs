//! Durations: `60s`, `250ms`, `2m`.

use std::time::Duration;

use super::{Invalid, Word};
use crate::limits::MAX_DURATION;

/// Units with their length in nanoseconds, largest first.
const UNITS: [(&str, u64); 6] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

impl Word for Duration {
    const EXPECTED: &'static str = "a duration such as `60s`, `250ms` or `2m`";

    fn parse(text: &str) -> Result<Self, Invalid> {
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        if number.is_empty() {
            return Err(Invalid::help(
                "write a whole number and a unit: h, m, s, ms, us or ns",
            ));
        }
        if unit.is_empty() {
            return Err(Invalid::message(format!("`{}` has no unit", short(text)))
                .and_help(format!("write `{}s` for seconds", short(text))));
        }
        let Some((_, unit)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(Invalid::help(
                "the units are h, m, s, ms, us and ns, without a space or a fraction",
            ));
        };
        number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(*unit))
            .map(Self::from_nanos)
            .filter(|made| *made <= MAX_DURATION)
            .ok_or_else(|| {
                Invalid::message(format!("`{}` is longer than a day", short(text)))
                    .and_help(format!("the limit is {}", format_duration(MAX_DURATION)))
            })
    }
}

fn short(text: &str) -> String {
    text.chars().take(24).collect()
}

/// Formats a duration as a scenario writes it: a whole number of the largest unit that divides it,
/// such as `60s` for a minute and `1500ms` for a second and a half.
pub fn format_duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    // A minute is written `60s`, as in the kernel's documentation; larger units are used from two
    // on.
    let fits = |unit: u64, name: &str| {
        let unit = u128::from(unit);
        nanos.is_multiple_of(unit) && (nanos / unit > 1 || !matches!(name, "h" | "m"))
    };
    UNITS
        .iter()
        .find(|(name, unit)| nanos > 0 && fits(*unit, name))
        .map_or_else(
            || "0s".to_owned(),
            |(name, unit)| format!("{}{name}", nanos / u128::from(*unit)),
        )
}
