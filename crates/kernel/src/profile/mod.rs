//! The kernels by name, each a table of [`Behaviours`].
//!
//! `linux-A.B` and `linux-A.B.C` are made from Linux 2.6.32 (`base.rs`) by the dated changes up to
//! that release (`changes.rs`); distribution kernels add their own (`distro.rs`). Names with equal
//! behaviours are one [`Profile`].
//!
//! # How to add a behaviour that a new kernel changes
//!
//! For a rule that Linux 7.5 changes:
//!
//! 1. `behaviour.rs`: a row of the table `behaviours!`, with the kernel function that it stands
//!    for. If it has more than two values, a type in `values.rs`.
//! 2. `base.rs`: its value in Linux 2.6.32. `changes.rs`: its date, `release(7, 5, 0)`, with the
//!    stable branches that took the change. `distro.rs`: the distributions that differ from their
//!    base version. `release.rs`: the new minor, in `MINORS`, so that `linux-7.5` is a name.
//! 3. The rule that reads it: the *Map of the code* on the crate's first page names the function.
//! 4. `tests/support/pins`: a program whose answer the behaviour decides. `tests/flags.rs` fails
//!    until there is one.
//! 5. `explain/source_map.rs`: the kernel function, if it is new. Then `docs/kernel-map.md` and
//!    `docs/flags.md` are written anew, by the commands that their tests print.

mod base;
pub mod behaviour;
mod change;
mod changes;
mod changes_udp;
mod distro;
mod flags;
mod parse;
mod regressions;
mod release;
mod values;

pub use behaviour::{Behaviours, Row};
pub use change::Change;
pub use changes::CHANGES;
pub use changes_udp::UDP_CHANGES;
pub use flags::FlagSet;
pub use parse::UnknownProfile;
pub use regressions::Regression;
pub use release::Release;

use std::ops::RangeInclusive;
use std::sync::LazyLock;

use base::BASE;
use release::{MINORS, parse_linux, release};

/// The behaviours of a machine, with a record of those that have been read.
pub(crate) type TrackedBehaviours = flags::Tracked<Behaviours>;

/// The values of `CONFIG_HZ`, in ticks per second, that kernels are built with.
pub const HZ: RangeInclusive<u32> = 24..=1200;

/// One kernel's behaviour under all names that it has. Parsed from a name.
///
/// ```
/// use fourtuple_kernel::Profile;
///
/// let kernel: Profile = "rhel-6.6".parse()?;
/// assert_eq!(kernel.names, ["rhel-6.6", "rhel-6.5", "rhel-6.7"]);
/// # Ok::<(), fourtuple_kernel::profile::UnknownProfile>(())
/// ```
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
///
/// ```
/// let names = fourtuple_kernel::profile::names();
/// assert_eq!(names[0], "linux-2.6.32");
/// assert_eq!(names[1], "rhel-6.5");
/// ```
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

/// Finds a kernel by name: any of [`names`], or `linux-A.B.C`. The profile has this name, and lists
/// all names with the same behaviours. [`Profile`]'s `FromStr` also suggests the nearest names.
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

/// The behaviours of a mainline or stable release.
fn behaviours_of(r: Release) -> Behaviours {
    let mut b = BASE;
    for change in CHANGES.iter().chain(UDP_CHANGES) {
        let backported = change
            .backports
            .iter()
            .any(|p| (p.major, p.minor) == (r.major, r.minor) && p.patch <= r.patch);
        let mainline = (change.since.major, change.since.minor) <= (r.major, r.minor);
        if mainline || backported {
            (change.apply)(&mut b);
        }
    }
    b
}

/// All names with their behaviours, in the order of history.
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

/// The distribution releases and kernel packages behind a name, in words; `None` for mainline.
#[must_use]
pub fn distribution(name: &str) -> Option<&'static str> {
    distro::DISTROS
        .iter()
        .find(|d| d.names.contains(&name))
        .map(|d| d.about)
}

#[cfg(test)]
mod tests;
