//! The socket calls of the format.

use std::fmt;

use super::{Bad, Word};
use crate::suggest::{all_of, nearest};

macro_rules! ops {
    ($($variant:ident $word:literal $doc:literal,)*) => {
        /// A socket call, by the word of its step.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Op {
            $(#[doc = $doc] $variant,)*
        }

        impl Op {
            /// Every call, in the order of a socket's life.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word of the call, as in steps and in outcomes.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }
    };
}

ops! {
    Socket "socket" "`socket(2)`.",
    Set "set" "`setsockopt(2)`, once for each option.",
    Bind "bind" "`bind(2)`.",
    Listen "listen" "`listen(2)`.",
    Connect "connect" "`connect(2)`.",
    Accept "accept" "`accept(2)`.",
    Send "send" "`send(2)`.",
    Recv "recv" "`recv(2)`.",
    Shutdown "shutdown" "`shutdown(2)`.",
    Disconnect "disconnect" "`connect(2)` to an address of family `AF_UNSPEC`.",
    Close "close" "`close(2)`.",
    Getsockname "getsockname" "`getsockname(2)`.",
    Getpeername "getpeername" "`getpeername(2)`.",
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Word for Op {
    const EXPECTED: &'static str = "a socket call such as `bind` or `connect`";

    fn parse(text: &str) -> Result<Self, Bad> {
        let names = || Self::ALL.iter().map(|op| op.as_str());
        Self::ALL
            .iter()
            .copied()
            .find(|op| op.as_str() == text)
            .ok_or_else(|| match nearest(text, names()) {
                Some(name) => Bad::help(format!("did you mean `{name}`?")),
                None => Bad::help(format!("the calls are {}", all_of(names()))),
            })
    }
}
