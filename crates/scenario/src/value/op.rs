//! The socket calls of the format.

use fourtuple_syscall::Op;

use super::{Invalid, Word};
use crate::suggest::{all_of, nearest};

impl Word for Op {
    const EXPECTED: &'static str = "a socket call such as `bind` or `connect`";

    fn parse(text: &str) -> Result<Self, Invalid> {
        let names = || Self::ALL.iter().map(|op| op.as_str());
        Self::ALL
            .iter()
            .copied()
            .find(|op| op.as_str() == text)
            .ok_or_else(|| match nearest(text, names()) {
                Some(name) => Invalid::help(format!("did you mean `{name}`?")),
                None => Invalid::help(format!("the calls are {}", all_of(names()))),
            })
    }
}
