//! Results of socket calls: `ok` or the name of an errno.

use std::fmt;

use super::{Invalid, Word};
use crate::suggest::nearest;
use fourtuple_syscall::Errno;

/// The result of a socket call: `ok`, or the name of an errno.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Answer(Option<Errno>);

impl Answer {
    /// The call succeeded.
    pub const OK: Self = Self(None);

    /// The names of all results.
    pub fn names() -> impl Iterator<Item = &'static str> {
        let errnos = Errno::ALL.iter().map(|errno| errno.name());
        std::iter::once("ok").chain(errnos)
    }

    /// The result with this name: `ok` or an errno name.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "ok" => Some(Self::OK),
            name => Errno::from_name(name).map(|errno| Self(Some(errno))),
        }
    }

    /// `ok` or the errno's name.
    pub fn as_str(self) -> &'static str {
        self.0.map_or("ok", Errno::name)
    }

    /// Returns `true` if the call succeeded.
    pub fn is_ok(self) -> bool {
        self == Self::OK
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Word for Answer {
    const EXPECTED: &'static str = "`ok` or an errno name such as `EADDRNOTAVAIL`";

    fn parse(text: &str) -> Result<Self, Invalid> {
        Self::from_name(text).ok_or_else(|| {
            if text.eq_ignore_ascii_case("EWOULDBLOCK") {
                return Invalid::help("Linux names it `EAGAIN`");
            }
            nearest(text, Self::names()).map_or_else(Invalid::default, |name| {
                Invalid::help(format!("did you mean `{name}`?"))
            })
        })
    }
}
