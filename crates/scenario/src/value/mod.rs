//! The scalar values of the format: one file for each kind of value, with its parser and formatter.
//!
//! Every kind defines the phrase for its expected form ([`Word::EXPECTED`]), which the decoder, the
//! messages and the schema use.

mod address;
mod answer;
mod choices;
mod duration;
mod name;
mod numbers;
mod op;
mod port;

pub use address::{Address, PortRef};
pub use answer::Answer;
pub(crate) use choices::Linger;
pub use choices::{
    Accepted, Close, Hold, Latency, Loss, NatPreset, NatRandom, Protocol, SocketType, Switch,
};
pub use duration::format_duration;
pub use fourtuple_syscall::{Family, Op, PortRange, Shutdown};

pub(crate) use address::{AnyAddress, Endpoint};
pub(crate) use name::Name;
pub(crate) use numbers::{Bytes, Count, Hz, Ordinary};
pub(crate) use port::OptionRange;

/// A value that is written as one scalar.
pub(crate) trait Word: Sized {
    /// The expected form, as it follows "expected" in messages.
    const EXPECTED: &'static str;

    /// Parses the scalar.
    fn parse(text: &str) -> Result<Self, Invalid>;
}

/// A parse error. Both parts are optional; without a message, the decoder names the value.
#[derive(Debug, Default)]
pub(crate) struct Invalid {
    pub(crate) message: Option<String>,
    pub(crate) help: Option<String>,
}

impl Invalid {
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
