//! Names chosen by the user: hosts, processes, sockets, ports and axes.

use super::{Invalid, Word};
use crate::limits::MAX_NAME_CHARS;

/// A name. It contains no dot, because `expect` splits `process.op` there.
pub(crate) struct Name(pub(crate) String);

impl Word for Name {
    const EXPECTED: &'static str = "a name of letters, digits, `_` and `-`, starting with a letter";

    fn parse(text: &str) -> Result<Self, Invalid> {
        if text.chars().count() > MAX_NAME_CHARS {
            return Err(Invalid::message(format!(
                "this name has {} characters",
                text.chars().count()
            ))
            .and_help(format!("the limit is {MAX_NAME_CHARS} characters")));
        }
        let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let rest = text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
        if starts && rest {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid::default())
        }
    }
}
