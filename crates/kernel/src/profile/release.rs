//! Releases of Linux by number: the ones that exist, and their names.

use std::fmt;

/// A kernel release: major, minor, and the stable release (for 2.6.x kernels `(2, 6, x, y)` is
/// written as major 2, minor 600 + x).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release {
    /// Major version.
    pub major: u16,
    /// Minor version; 632 is 2.6.32.
    pub minor: u16,
    /// Stable release; `u16::MAX` for the newest of a branch.
    pub patch: u16,
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.major {
            2 => write!(f, "2.6.{}", self.minor.saturating_sub(600))?,
            major => write!(f, "{major}.{}", self.minor)?,
        }
        match self.patch {
            0 => Ok(()),
            u16::MAX => f.write_str(".x"),
            patch => write!(f, ".{patch}"),
        }
    }
}

/// Makes a [`Release`].
pub(super) const fn release(major: u16, minor: u16, patch: u16) -> Release {
    Release {
        major,
        minor,
        patch,
    }
}

/// Branches whose plain name `linux-A.B` stands for the newest stable release that was read,
/// because that is what people run. All other names stand for the first release.
const LONGTERM: &[(u16, u16)] = &[
    (2, 632),
    (3, 2),
    (3, 10),
    (3, 18),
    (4, 1),
    (4, 4),
    (4, 9),
    (4, 14),
    (4, 19),
    (5, 4),
    (5, 10),
    (5, 15),
    (6, 1),
    (6, 6),
    (6, 12),
    (6, 18),
];

/// Last release of every minor that exists, for names and for `all`.
pub(super) const MINORS: &[(u16, u16, u16)] = &[
    // (major, first minor, last minor)
    (2, 632, 639),
    (3, 0, 19),
    (4, 0, 20),
    (5, 0, 19),
    (6, 0, 19),
    (7, 0, 3),
];

/// `linux-A.B[.C]` as a release, if that release exists (as far as this table knows).
pub(super) fn parse_linux(name: &str) -> Option<Release> {
    let mut parts = name.strip_prefix("linux-")?.split('.');
    let mut number = || -> Option<Option<u16>> {
        match parts.next() {
            None => Some(None),
            Some(p) if !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()) => {
                p.parse().ok().map(Some)
            }
            Some(_) => None,
        }
    };
    let (major, minor) = (number()??, number()??);
    let (mut patch, extra) = (number()?, number()?);
    let mut r = release(major, minor, 0);
    if major == 2 {
        if minor != 6 {
            return None;
        }
        r.minor = 600 + patch?;
        patch = extra;
    } else if extra.is_some() {
        return None;
    }
    if parts.next().is_some() {
        return None;
    }
    let exists = MINORS
        .iter()
        .any(|m| m.0 == r.major && (m.1..=m.2).contains(&r.minor));
    let newest = LONGTERM.contains(&(r.major, r.minor));
    r.patch = patch.unwrap_or(if newest { u16::MAX } else { 0 });
    exists.then_some(r)
}
