//! Port ranges: `40000-40003`, both ends included.

use fourtuple_syscall::PortRange;

use super::{Invalid, Word};

/// Parses one port.
pub(crate) fn port(text: &str) -> Result<u16, Invalid> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits {
        return Err(Invalid::default());
    }
    text.parse().map_err(|_| {
        Invalid::message(format!(
            "port {} is out of range",
            text.get(..12).unwrap_or(text)
        ))
        .and_help("ports go from 0 to 65535")
    })
}

fn ends(text: &str) -> Result<PortRange, Invalid> {
    let (low, high) = text
        .split_once('-')
        .or_else(|| text.split_once(char::is_whitespace))
        .unwrap_or((text, text));
    Ok(PortRange {
        low: port(low.trim())?,
        high: port(high.trim())?,
    })
}

fn reversed(range: PortRange) -> Invalid {
    Invalid::message(format!("the range {range} is reversed"))
        .and_help(format!("write `{}-{}`", range.high, range.low))
}

impl Word for PortRange {
    const EXPECTED: &'static str = "a range of ports such as `40000-40003`";

    fn parse(text: &str) -> Result<Self, Invalid> {
        let range = ends(text)?;
        if range.low > range.high {
            return Err(reversed(range));
        }
        if range.low == 0 {
            return Err(Invalid::message("a range of ports starts at 1 or above")
                .and_help("port 0 means \"any port\" and is never in a range"));
        }
        Ok(range)
    }
}

/// The value of the `local_port_range` option, in which 0 leaves an end unbounded.
pub(crate) struct OptionRange(pub(crate) PortRange);

impl Word for OptionRange {
    const EXPECTED: &'static str =
        "a range of ports such as `40000-40003`, 0 for an end without a bound";

    fn parse(text: &str) -> Result<Self, Invalid> {
        let range = ends(text)?;
        if range.low > range.high && range.high != 0 {
            return Err(reversed(range));
        }
        Ok(Self(range))
    }
}
