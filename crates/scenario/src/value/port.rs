//! Port ranges: `40000-40003`, both ends included.

use std::fmt;

use super::{Bad, Word};

/// A range of ports, both ends included; `low <= high`.
///
/// In the `local_port_range` option an end of 0 means that the socket sets no bound there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortRange {
    /// The lowest port.
    pub low: u16,
    /// The highest port.
    pub high: u16,
}

impl PortRange {
    /// A range from `low` to `high`, both included.
    pub fn new(low: u16, high: u16) -> Self {
        Self { low, high }
    }

    /// Whether the range holds a port.
    pub fn contains(self, port: u16) -> bool {
        (self.low..=self.high).contains(&port)
    }

    /// The part of this range that a socket with a range of its own searches: an end outside of this range, or 0, sets
    /// no bound.
    #[must_use]
    pub fn narrowed_to(self, own: Self) -> Self {
        let end = |own: u16, end: u16| if self.contains(own) { own } else { end };
        Self::new(end(own.low, self.low), end(own.high, self.high))
    }

    /// How many ports there are.
    pub fn size(self) -> u32 {
        u32::from(self.high).saturating_sub(u32::from(self.low)) + 1
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.low, self.high)
    }
}

/// One port, with the message for a number that is none.
pub(crate) fn port(text: &str) -> Result<u16, Bad> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits {
        return Err(Bad::default());
    }
    text.parse().map_err(|_| {
        Bad::message(format!(
            "port {} is out of range",
            text.get(..12).unwrap_or(text)
        ))
        .and_help("ports go from 0 to 65535")
    })
}

fn ends(text: &str) -> Result<PortRange, Bad> {
    let (low, high) = text
        .split_once('-')
        .or_else(|| text.split_once(char::is_whitespace))
        .unwrap_or((text, text));
    Ok(PortRange {
        low: port(low.trim())?,
        high: port(high.trim())?,
    })
}

fn reversed(range: PortRange) -> Bad {
    Bad::message(format!("the range {range} is reversed"))
        .and_help(format!("write `{}-{}`", range.high, range.low))
}

impl Word for PortRange {
    const EXPECTED: &'static str = "a range of ports such as `40000-40003`";

    fn parse(text: &str) -> Result<Self, Bad> {
        let range = ends(text)?;
        if range.low > range.high {
            return Err(reversed(range));
        }
        if range.low == 0 {
            return Err(Bad::message("a range of ports starts at 1 or above")
                .and_help("port 0 stands for \"any port\" and is never in a range"));
        }
        Ok(range)
    }
}

/// The range of the `local_port_range` option, where 0 leaves an end open.
pub(crate) struct OptionRange(pub(crate) PortRange);

impl Word for OptionRange {
    const EXPECTED: &'static str =
        "a range of ports such as `40000-40003`, 0 for an end without a bound";

    fn parse(text: &str) -> Result<Self, Bad> {
        let range = ends(text)?;
        if range.low > range.high && range.high != 0 {
            return Err(reversed(range));
        }
        Ok(Self(range))
    }
}
