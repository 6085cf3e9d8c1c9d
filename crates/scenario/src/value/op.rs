//! The socket calls of the format.

use fourtuple_syscall::Op;

use super::{Bad, Word};
use crate::suggest::{all_of, nearest};

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
