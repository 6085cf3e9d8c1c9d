//! The real kernels and recordings that each profile was checked against.

use std::collections::BTreeMap;

use fourtuple_kernel::profile::{self, Profile};
use fourtuple_scenario::Case;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The certificates that this crate was built with.
const BUILT_IN: &str = include_str!("../../data/certificates.json");

/// Certificates by profile.
pub type ByProfile = BTreeMap<String, Vec<Certificate>>;

/// The outcome of checking one profile against one kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Certificate {
    /// The kernel that answered.
    pub kernel: String,
    /// `recording`, `host` or `vm`.
    pub how: String,
    /// Programs that ran.
    pub programs: u64,
    /// Cases of scenarios that ran, if the check used scenarios.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub scenarios: u64,
    /// Calls that were checked.
    pub calls: u64,
    /// Answers that the profile does not allow.
    pub disallowed: u64,
}

impl Certificate {
    /// A certificate without checks. `how` is `recording`, `host` or `vm`.
    #[must_use]
    pub fn new(kernel: &str, how: &str) -> Self {
        Certificate {
            kernel: kernel.to_owned(),
            how: how.to_owned(),
            programs: 0,
            scenarios: 0,
            calls: 0,
            disallowed: 0,
        }
    }

    /// Adds the result of another part of the same sweep about this kernel.
    pub fn add(&mut self, other: &Certificate) {
        self.programs += other.programs;
        self.scenarios += other.scenarios;
        self.calls += other.calls;
        self.disallowed += other.disallowed;
    }

    /// Identifies a check: the kernel, the way it ran, and scenarios or programs.
    #[must_use]
    pub fn key(&self) -> (&str, &str, bool) {
        (&self.how, &self.kernel, self.scenarios > 0)
    }

    /// Describes what ran.
    #[must_use]
    pub fn ran(&self) -> String {
        match self.scenarios {
            0 => format!("{} programs", self.programs),
            n => format!("{n} cases of scenarios"),
        }
    }
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// Number of profiles up to which the line on certificates lists them one by one.
const ONE_BY_ONE: usize = 2;
/// Maximum number of unchecked profiles in that line.
const NAMES: usize = 4;

/// One line on the real kernels that the profiles of some cases, those of single hosts included,
/// were checked against, and with how many calls.
#[must_use]
pub fn line_of<'a>(cases: impl IntoIterator<Item = &'a Case>) -> String {
    let mut kernels: Vec<&str> = Vec::new();
    for case in cases {
        let hosts = case.hosts.keys().map(|host| case.kernel_of(host));
        for kernel in std::iter::once(&*case.kernel).chain(hosts) {
            if !kernels.contains(&kernel) {
                kernels.push(kernel);
            }
        }
    }
    line(kernels)
}

fn line<'a>(kernels: impl IntoIterator<Item = &'a str>) -> String {
    let mut profiles: Vec<Profile> = Vec::new();
    for profile in kernels.into_iter().filter_map(profile::find) {
        if profiles
            .iter()
            .all(|known| known.behaviours != profile.behaviours)
        {
            profiles.push(profile);
        }
    }
    let all = built_in();
    let checks: Vec<_> = profiles
        .iter()
        .map(|profile| Check::of(profile, &all))
        .collect();
    let words = match checks.len() {
        0..=ONE_BY_ONE => {
            let each: Vec<String> = checks.iter().map(Check::words).collect();
            each.join("; ")
        }
        total => {
            let unchecked: Vec<&str> = checks
                .iter()
                .filter(|one| one.kernels.is_empty())
                .map(|one| one.profile)
                .collect();
            let calls = checks.iter().map(|one| one.calls).sum();
            let mut words = format!(
                "{} of {total} profiles against real kernels, {} calls",
                total - unchecked.len(),
                grouped(calls)
            );
            if !unchecked.is_empty() {
                let shown = &unchecked[..unchecked.len().min(NAMES)];
                words.push_str(&format!("; from source only: {}", shown.join(", ")));
                if let Some(more @ 1..) = unchecked.len().checked_sub(NAMES) {
                    words.push_str(&format!(" and {more} more"));
                }
            }
            words
        }
    };
    format!("checked: {words}")
}

/// The calls and the real kernels that a profile was checked with, in a few words.
#[must_use]
pub fn summary(profile: &Profile, all: &ByProfile) -> String {
    let check = Check::of(profile, all);
    match check.kernels.len() {
        0 => "from source only".to_owned(),
        1 => format!("{} calls on 1 kernel", grouped(check.calls)),
        n => format!("{} calls on {n} kernels", grouped(check.calls)),
    }
}

/// The checks of one profile against real kernels.
struct Check<'a> {
    profile: &'a str,
    kernels: Vec<&'a str>,
    calls: u64,
    disallowed: u64,
}

impl<'a> Check<'a> {
    fn of(profile: &'a Profile, all: &'a ByProfile) -> Self {
        let mut check = Check {
            profile: &profile.name,
            kernels: Vec::new(),
            calls: 0,
            disallowed: 0,
        };
        for one in of(all, &profile.names) {
            // Recordings and virtual machines name the same release differently.
            let kernel = one.kernel.trim_start_matches("Linux ");
            if !check.kernels.contains(&kernel) {
                check.kernels.push(kernel);
            }
            check.calls += one.calls;
            check.disallowed += one.disallowed;
        }
        check
    }

    fn words(&self) -> String {
        if self.kernels.is_empty() {
            return format!("{} is {UNCHECKED}", self.profile);
        }
        let answers = match self.disallowed {
            0 => "each answered as the profile allows".to_owned(),
            n => format!("{n} answered otherwise"),
        };
        format!(
            "{} against {}: {} calls, {answers}",
            self.profile,
            self.kernels.join(", "),
            grouped(self.calls)
        )
    }
}

/// Description of a profile without a certificate.
pub const UNCHECKED: &str = "from source only, never checked against a real kernel";

/// Formats a number with thousands separators.
#[must_use]
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// The certificates that this crate was built with.
#[must_use]
pub fn built_in() -> ByProfile {
    serde_json::from_str(BUILT_IN).unwrap_or_default()
}

/// The certificates of a profile under any of its names.
pub fn of<'a>(all: &'a ByProfile, names: &'a [String]) -> impl Iterator<Item = &'a Certificate> {
    names.iter().filter_map(|name| all.get(name)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_names_checked_and_unchecked_profiles() {
        let one = line(["rhel-6.5"]);
        assert!(
            one.starts_with("checked: rhel-6.5 against ") && one.contains(" calls, "),
            "{one}"
        );
        // A name of the same profile does not count twice.
        assert_eq!(line(["rhel-6.5", "rhel-6.5"]), one);
        assert_eq!(
            line(["linux-4.0"]),
            format!("checked: linux-4.0 is {UNCHECKED}")
        );
        let names = profile::names();
        let all = line(names.iter().map(String::as_str));
        assert!(
            all.contains(" profiles against real kernels, ")
                && all.contains("; from source only: "),
            "{all}"
        );
    }

    #[test]
    fn thousands_are_apart() {
        assert_eq!(
            [0, 999, 1_000, 1_234_567].map(grouped),
            ["0", "999", "1,000", "1,234,567"]
        );
    }
}
