//! Profiles: which behaviours a named kernel has.
//!
//! `linux-A.B` and `linux-A.B.C` come from the dated table in [`changes`]; distributions are in
//! `distro`. Names with equal behaviours are one profile.

mod asked;
pub mod behaviour;
pub mod changes;
mod distro;
mod parse;
mod regressions;

pub use asked::Asked;
pub(crate) use asked::Watched;
pub use behaviour::{Behaviours, Row};
pub use parse::UnknownProfile;
pub use regressions::{REGRESSIONS, Regression};

use std::ops::RangeInclusive;
use std::sync::LazyLock;

use changes::{LONGTERM, MINORS, Release, behaviours_of, release};

/// The values of `CONFIG_HZ`, in ticks per second, that kernels are built with.
pub const HZ: RangeInclusive<u32> = 24..=1200;

/// One kernel's behaviour under all names that it has.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// The name that stands for the group, for example `rhel-6.5`.
    pub name: String,
    /// All names with the same behaviours, the representative first.
    pub names: Vec<String>,
    /// The behaviours.
    pub behaviours: Behaviours,
}

/// All names in the order of history: distributions follow the mainline release they are based on.
#[must_use]
pub fn names() -> Vec<String> {
    NAMED.iter().map(|(name, _)| name.clone()).collect()
}

/// Distinct behaviours in the order of history.
#[must_use]
pub fn all() -> Vec<Profile> {
    let mut profiles: Vec<Profile> = Vec::new();
    for (name, behaviours) in NAMED.iter() {
        match profiles.iter_mut().find(|p| p.behaviours == *behaviours) {
            Some(p) => p.names.push(name.clone()),
            None => profiles.push(Profile {
                name: name.clone(),
                names: vec![name.clone()],
                behaviours: *behaviours,
            }),
        }
    }
    profiles
}

/// Finds a kernel by name: any of [`names`], or `linux-A.B.C`. The profile carries the name asked
/// for, and all names that behave alike.
#[must_use]
pub fn find(name: &str) -> Option<Profile> {
    let behaviours = NAMED
        .iter()
        .find(|(n, _)| n == name)
        .map(|(_, b)| *b)
        .or_else(|| {
            let r = parse_linux(name)?;
            Some(behaviours_of(r))
        })?;
    let mut names: Vec<String> = vec![name.to_owned()];
    names.extend(
        NAMED
            .iter()
            .filter(|(n, b)| n != name && *b == behaviours)
            .map(|(n, _)| n.clone()),
    );
    Some(Profile {
        name: name.to_owned(),
        names,
        behaviours,
    })
}

/// `linux-A.B[.C]` as a release, if that release exists (as far as this table knows).
fn parse_linux(name: &str) -> Option<Release> {
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

/// All names with their behaviours, worked out once.
static NAMED: LazyLock<Vec<(String, Behaviours)>> = LazyLock::new(named);

fn named() -> Vec<(String, Behaviours)> {
    let mut list = Vec::new();
    for &(major, first, last) in MINORS {
        for minor in first..=last {
            let name = if major == 2 {
                format!("linux-2.6.{}", minor - 600)
            } else {
                format!("linux-{major}.{minor}")
            };
            let r = parse_linux(&name).expect("names from the table parse");
            list.push((name, behaviours_of(r)));
            for (stable, patch) in distro::STABLE {
                if *stable == (major, minor) {
                    list.push((
                        format!("linux-{major}.{minor}.{patch}"),
                        behaviours_of(release(major, minor, *patch)),
                    ));
                }
            }
            for d in distro::DISTROS
                .iter()
                .filter(|d| (d.base.major, d.base.minor) == (major, minor))
            {
                let mut b = behaviours_of(d.base);
                (d.patch)(&mut b);
                for name in d.names {
                    list.push(((*name).to_owned(), b));
                }
            }
        }
    }
    list
}

/// What is known about the distribution kernels behind a name, in words; `None` for mainline.
#[must_use]
pub fn distribution(name: &str) -> Option<&'static str> {
    distro::DISTROS
        .iter()
        .find(|d| d.names.contains(&name))
        .map(|d| d.about)
}

#[cfg(test)]
mod tests;
