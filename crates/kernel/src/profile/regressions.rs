//! Behaviours that upstream fixed as bugs: a scenario that only works with one of them works by
//! accident.

use super::behaviour::{Behaviours, Bhash2, BindFamily, Touch};

/// One regression: the behaviour that shows it, and the behaviour after the fix.
///
/// ```
/// use fourtuple_kernel::Profile;
///
/// let kernel: Profile = "linux-6.17".parse()?;
/// assert_eq!(kernel.behaviours.regressions().count(), 0);
/// let kernel: Profile = "linux-6.8".parse()?;
/// let bug = kernel.behaviours.regressions().next().ok_or("no regression")?;
/// assert_eq!((bug.behaviour, bug.fixed_in), ("bhash2", "linux-6.12"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
pub struct Regression {
    /// The behaviour's name in the table.
    pub behaviour: &'static str,
    /// The symptom, as a clause that follows "the kernel".
    pub symptom: &'static str,
    /// First mainline release with the fix.
    pub fixed_in: &'static str,
    /// Returns `true` if a kernel has it.
    pub present: fn(&Behaviours) -> bool,
    /// Gives the behaviour its fixed value.
    pub fix: fn(&mut Behaviours),
}

/// The regressions that decide whether a call succeeds.
const REGRESSIONS: &[Regression] = &[
    Regression {
        behaviour: "bhash2",
        symptom: "does not look at TIME-WAIT sockets when a specific address is bound",
        fixed_in: "linux-6.2",
        present: |b| b.bhash2 == Bhash2::SameFamilyNoTw,
        fix: |b| b.bhash2 = Bhash2::UnifiedV6Only,
    },
    Regression {
        behaviour: "bhash2",
        symptom: "misses wildcard owners of the other family when a specific address is bound",
        fixed_in: "linux-6.8",
        present: |b| {
            matches!(
                b.bhash2,
                Bhash2::SameFamily
                    | Bhash2::InetSeesAny6
                    | Bhash2::InetSeesMapped
                    | Bhash2::CreatorFamily
            )
        },
        fix: |b| b.bhash2 = Bhash2::UnifiedV6Only,
    },
    Regression {
        behaviour: "bhash2",
        symptom: "compares a mapped address with IPV6_V6ONLY owners",
        fixed_in: "linux-6.12",
        present: |b| b.bhash2 == Bhash2::Unified,
        fix: |b| b.bhash2 = Bhash2::UnifiedV6Only,
    },
    Regression {
        behaviour: "touch",
        symptom: "resets the bucket's fastreuse with the emptiness test the wrong way round",
        fixed_in: "linux-4.14",
        present: |b| b.touch == Touch::Inverted,
        fix: |b| b.touch = Touch::Every,
    },
    Regression {
        behaviour: "close_conflicts",
        symptom: "refuses an address whose former listener had SO_REUSEADDR",
        fixed_in: "linux-2.6.39",
        present: |b| b.close_conflicts,
        fix: |b| b.close_conflicts = false,
    },
    Regression {
        behaviour: "tw_copies_reuseport",
        symptom: "forgets SO_REUSEPORT in TIME-WAIT",
        fixed_in: "linux-4.18",
        present: |b| b.reuseport && !b.tw_copies_reuseport,
        fix: |b| b.tw_copies_reuseport = true,
    },
    Regression {
        behaviour: "bind_family",
        symptom: "takes an address of the wrong family",
        fixed_in: "linux-2.6.39",
        present: |b| b.bind_family == BindFamily::Ignored,
        fix: |b| b.bind_family = BindFamily::NoSupport,
    },
];

impl Behaviours {
    /// The regressions that a kernel has, in the order of the table.
    pub fn regressions(&self) -> impl Iterator<Item = &'static Regression> {
        let here = *self;
        REGRESSIONS
            .iter()
            .filter(move |regression| (regression.present)(&here))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile;

    #[test]
    fn every_regression_is_in_some_kernel_and_its_fix_removes_it() {
        for regression in REGRESSIONS {
            let with: Vec<_> = profile::all()
                .into_iter()
                .filter(|one| (regression.present)(&one.behaviours))
                .collect();
            assert!(!with.is_empty(), "{}", regression.symptom);
            for mut one in with {
                (regression.fix)(&mut one.behaviours);
                assert!(!(regression.present)(&one.behaviours), "{}", one.name);
            }
            assert!(Behaviours::NAMES.contains(&regression.behaviour));
            assert!(profile::find(regression.fixed_in).is_some());
        }
    }
}
