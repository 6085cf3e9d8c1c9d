//! Values of socket options, and their encoding for `setsockopt(2)`.

use core::fmt;

/// A range of ports, both ends included; `low <= high`.
///
/// In `IP_LOCAL_PORT_RANGE` an end of 0 sets no bound there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortRange {
    /// The lowest port.
    pub low: u16,
    /// The highest port.
    pub high: u16,
}

impl PortRange {
    /// The range from `low` to `high`, both included.
    #[must_use]
    pub const fn new(low: u16, high: u16) -> Self {
        Self { low, high }
    }

    /// `true` if the range holds the port.
    #[must_use]
    pub fn contains(self, port: u16) -> bool {
        (self.low..=self.high).contains(&port)
    }

    /// The part of this range that a socket with a range of its own searches: an end outside of
    /// this range, or 0, sets no bound.
    #[must_use]
    pub fn narrowed_to(self, own: Self) -> Self {
        let end = |own: u16, end: u16| if self.contains(own) { own } else { end };
        Self::new(end(own.low, self.low), end(own.high, self.high))
    }

    /// The number of ports.
    #[must_use]
    pub fn size(self) -> u32 {
        u32::from(self.high).saturating_sub(u32::from(self.low)) + 1
    }

    /// Reads `40000-40003` or `40000 40003`.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let (low, high) = text.split_once(['-', ' '])?;
        Some(Self::new(
            low.trim().parse().ok()?,
            high.trim().parse().ok()?,
        ))
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.low, self.high)
    }
}

/// A name of at most 15 bytes, as interfaces and congestion controls have.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShortName {
    bytes: [u8; ShortName::MAX],
    len: u8,
}

impl ShortName {
    /// The most bytes: `IFNAMSIZ` without the NUL.
    pub const MAX: usize = 15;

    /// The name, unless it is too long.
    #[must_use]
    pub const fn new(name: &str) -> Option<Self> {
        let from = name.as_bytes();
        if from.len() > Self::MAX {
            return None;
        }
        let mut bytes = [0; Self::MAX];
        let mut at = 0;
        while at < from.len() {
            bytes[at] = from[at];
            at += 1;
        }
        Some(Self {
            bytes,
            len: from.len() as u8,
        })
    }

    /// The loopback interface.
    pub const LO: ShortName = match ShortName::new("lo") {
        Some(name) => name,
        None => panic!(),
    };

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// The bytes of the name.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl fmt::Display for ShortName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ShortName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// The value of a socket option, without the option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptValue {
    /// On or off.
    Flag(bool),
    /// A number.
    Int(i64),
    /// A range of ports.
    Range(PortRange),
    /// `struct linger`: seconds, `None` for off.
    Linger(Option<u32>),
    /// A name.
    Name(ShortName),
}

/// The form of an option's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `true` or `false`.
    Flag,
    /// A number from `min` to `max`.
    Int {
        /// The lowest value.
        min: i64,
        /// The highest value.
        max: i64,
    },
    /// A range of ports.
    Range,
    /// A number of seconds, `reset` or `off`.
    Linger,
    /// A name.
    Name,
}

impl Shape {
    /// The expected form, as it follows "expected" in a message.
    #[must_use]
    pub const fn expected(self) -> &'static str {
        match self {
            Shape::Flag => "`true` or `false`",
            Shape::Int { .. } => "a number",
            Shape::Range => "a range of ports such as `40000-40003`",
            Shape::Linger => "a number of seconds, `reset` (the same as 0) or `off`",
            Shape::Name => "a name of at most 15 bytes such as `lo`",
        }
    }

    /// Reads a value of this form. Flags may be written 1 and 0.
    #[must_use]
    pub fn parse(self, text: &str) -> Option<OptValue> {
        let text = text.trim();
        Some(match self {
            Shape::Flag => OptValue::Flag(match text {
                "true" | "1" => true,
                "false" | "0" => false,
                _ => return None,
            }),
            Shape::Int { min, max } => {
                let number: i64 = text.parse().ok()?;
                return (min..=max)
                    .contains(&number)
                    .then_some(OptValue::Int(number));
            }
            Shape::Range if text == "0" => OptValue::Range(PortRange::new(0, 0)),
            Shape::Range => OptValue::Range(PortRange::from_text(text)?),
            Shape::Linger => OptValue::Linger(match text {
                "off" | "false" => None,
                "reset" => Some(0),
                _ => Some(text.parse().ok()?),
            }),
            Shape::Name => OptValue::Name(ShortName::new(text)?),
        })
    }
}

impl fmt::Display for OptValue {
    /// The value as scenarios write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OptValue::Flag(on) => on.fmt(f),
            OptValue::Int(number) => number.fmt(f),
            OptValue::Range(range) => range.fmt(f),
            OptValue::Linger(None) => f.write_str("off"),
            OptValue::Linger(Some(0)) => f.write_str("reset"),
            OptValue::Linger(Some(seconds)) => seconds.fmt(f),
            OptValue::Name(name) => name.fmt(f),
        }
    }
}

/// The arguments of `setsockopt(2)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The level.
    pub level: i32,
    /// The number of the option.
    pub option: i32,
    bytes: [u8; 16],
    len: u8,
}

impl Encoded {
    pub(crate) fn new(level: i32, option: i32, value: &[u8]) -> Self {
        let mut bytes = [0; 16];
        bytes[..value.len()].copy_from_slice(value);
        Encoded {
            level,
            option,
            bytes,
            len: value.len() as u8,
        }
    }

    /// The bytes of the value. Those of `SO_ATTACH_REUSEPORT_CBPF` are the instructions of its
    /// program; the caller puts a `struct sock_fprog` around them.
    #[must_use]
    pub fn value(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl OptValue {
    pub(crate) fn encode(self, level: i32, option: i32) -> Encoded {
        let make = |value: &[u8]| Encoded::new(level, option, value);
        match self {
            OptValue::Flag(on) => make(&i32::from(on).to_ne_bytes()),
            // In range: the type of the option's payload has at most 32 bits.
            OptValue::Int(number) => make(&(number as i32).to_ne_bytes()),
            OptValue::Range(range) => {
                let word = u32::from(range.low) | u32::from(range.high) << 16;
                make(&word.to_ne_bytes())
            }
            OptValue::Linger(linger) => {
                let mut value = [0; 8];
                if let Some(seconds) = linger {
                    value[..4].copy_from_slice(&1i32.to_ne_bytes());
                    value[4..].copy_from_slice(&seconds.to_ne_bytes());
                }
                make(&value)
            }
            OptValue::Name(name) => make(name.as_bytes()),
        }
    }
}
