//! The words of the format: one file per kind of value, each with its way from text and back.
//!
//! Every kind says once what it expects ([`Word::EXPECTED`]); the decoder, the messages and the schema use that.

mod address;
mod answer;
mod duration;
mod name;
mod numbers;
mod op;
mod port;
mod words;

pub use address::{Address, PortRef};
pub use answer::{Answer, ERRNO_NAMES};
pub use duration::format_duration;
pub use fourtuple_syscall::{Family, Op, PortRange, Shutdown as How};
pub(crate) use words::Linger;
pub use words::{Close, Hold, Latency, Loss, Switch};

pub(crate) use address::{AnyAddress, Endpoint};
pub(crate) use name::Name;
pub(crate) use numbers::{Bytes, Count, Hz, Ordinary};
pub(crate) use port::OptionRange;

/// A value that is written as one word.
pub(crate) trait Word: Sized {
    /// What may stand here, as it follows "expected".
    const EXPECTED: &'static str;

    /// Reads the word.
    fn parse(text: &str) -> Result<Self, Bad>;
}

/// Why a word is no value of its kind. Both parts may be left out; the message then names the word.
#[derive(Debug, Default)]
pub(crate) struct Bad {
    pub(crate) message: Option<String>,
    pub(crate) help: Option<String>,
}

impl Bad {
    pub(crate) fn message(message: impl Into<String>) -> Self {
        Self {
            message: Some(message.into()),
            help: None,
        }
    }

    pub(crate) fn help(help: impl Into<String>) -> Self {
        Self {
            message: None,
            help: Some(help.into()),
        }
    }

    pub(crate) fn and_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}
