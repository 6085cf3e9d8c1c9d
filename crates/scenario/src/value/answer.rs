//! Results of socket calls: `ok` or the name of an errno.

use std::fmt;

use super::{Invalid, Word};
use crate::suggest::nearest;

/// Every errno name that a scenario may expect, in alphabetical order.
pub const ERRNO_NAMES: &[&str] = &[
    "E2BIG",
    "EACCES",
    "EADDRINUSE",
    "EADDRNOTAVAIL",
    "EAFNOSUPPORT",
    "EAGAIN",
    "EALREADY",
    "EBADF",
    "EBUSY",
    "ECONNABORTED",
    "ECONNREFUSED",
    "ECONNRESET",
    "EDESTADDRREQ",
    "EDOM",
    "EEXIST",
    "EFAULT",
    "EHOSTDOWN",
    "EHOSTUNREACH",
    "EINPROGRESS",
    "EINTR",
    "EINVAL",
    "EIO",
    "EISCONN",
    "EMFILE",
    "EMSGSIZE",
    "ENETDOWN",
    "ENETRESET",
    "ENETUNREACH",
    "ENFILE",
    "ENOBUFS",
    "ENODEV",
    "ENOENT",
    "ENOMEM",
    "ENOPROTOOPT",
    "ENOSYS",
    "ENOTCONN",
    "ENOTSOCK",
    "ENXIO",
    "EOPNOTSUPP",
    "EPERM",
    "EPFNOSUPPORT",
    "EPIPE",
    "EPROTO",
    "EPROTONOSUPPORT",
    "EPROTOTYPE",
    "ERANGE",
    "ESHUTDOWN",
    "ESOCKTNOSUPPORT",
    "ETIMEDOUT",
    "ETOOMANYREFS",
];

/// The result of a socket call: `ok`, or an errno name of [`ERRNO_NAMES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Answer(&'static str);

impl Answer {
    /// The call succeeded.
    pub const OK: Self = Self("ok");

    /// The result with this name: `ok` or an errno name.
    pub fn from_name(name: &str) -> Option<Self> {
        if name == "ok" {
            return Some(Self::OK);
        }
        let at = ERRNO_NAMES.iter().position(|known| *known == name)?;
        Some(Self(ERRNO_NAMES[at]))
    }

    /// `ok` or the errno's name.
    pub fn as_str(self) -> &'static str {
        self.0
    }

    /// Returns `true` if the call succeeded.
    pub fn is_ok(self) -> bool {
        self == Self::OK
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Word for Answer {
    const EXPECTED: &'static str = "`ok` or an errno name such as `EADDRNOTAVAIL`";

    fn parse(text: &str) -> Result<Self, Invalid> {
        Self::from_name(text).ok_or_else(|| {
            if text.eq_ignore_ascii_case("EWOULDBLOCK") {
                return Invalid::help("Linux names it `EAGAIN`");
            }
            let names = ERRNO_NAMES.iter().copied().chain(["ok"]);
            nearest(text, names).map_or_else(Invalid::default, |name| {
                Invalid::help(format!("did you mean `{name}`?"))
            })
        })
    }
}
