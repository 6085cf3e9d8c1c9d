//! The real kernels and recordings that each profile was checked against. Only `certify` writes the
//! file.

use std::collections::BTreeMap;
use std::path::Path;

use fourtuple_kernel::profile::{self, Profile};
use serde::{Deserialize, Serialize};

use crate::files::{self, Existing};
use crate::output::Failure;
use crate::shard::{Parts, Seal};

/// The certificates that this program was built with.
const BUILT_IN: &str = include_str!("../data/certificates.json");

/// The outcome of checking one profile against one kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Certificate {
    /// The kernel that answered.
    pub(crate) kernel: String,
    /// `recording`, `host` or `vm`.
    pub(crate) how: String,
    /// Programs that ran.
    pub(crate) programs: u64,
    /// Cases of scenarios that ran, if the check used scenarios.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) scenarios: u64,
    /// Calls that were checked.
    pub(crate) calls: u64,
    /// Answers that the profile does not allow.
    pub(crate) disallowed: u64,
}

/// Certificates by profile and kernel.
pub(crate) type Rows = BTreeMap<(String, String), Certificate>;

impl Certificate {
    pub(crate) fn new(kernel: &str, how: &str) -> Self {
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
    fn add(&mut self, other: &Certificate) {
        self.programs += other.programs;
        self.scenarios += other.scenarios;
        self.calls += other.calls;
        self.disallowed += other.disallowed;
    }
}

/// Number of profiles up to which the line on certificates lists them one by one.
const ONE_BY_ONE: usize = 2;
/// Maximum number of unchecked profiles in that line.
const NAMES: usize = 4;

/// One line on the real kernels that the profiles of some kernels were checked against, and with
/// how many calls.
pub(crate) fn line<'a>(kernels: impl IntoIterator<Item = &'a str>) -> String {
    let mut profiles: Vec<Profile> = Vec::new();
    for profile in kernels.into_iter().filter_map(profile::find) {
        if profiles
            .iter()
            .all(|known| known.behaviours != profile.behaviours)
        {
            profiles.push(profile);
        }
    }
    let all = Certificates::built_in();
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
pub(crate) fn summary(profile: &Profile, all: &Certificates) -> String {
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
    fn of(profile: &'a Profile, all: &'a Certificates) -> Self {
        let mut check = Check {
            profile: &profile.name,
            kernels: Vec::new(),
            calls: 0,
            disallowed: 0,
        };
        for one in all.of(&profile.names) {
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
pub(crate) const UNCHECKED: &str = "from source only, never checked against a real kernel";

/// Formats a number with thousands separators.
pub(crate) fn grouped(n: u64) -> String {
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

impl Certificate {
    /// Identifies a check: the kernel, the way it ran, and scenarios or programs.
    fn key(&self) -> (&str, &str, bool) {
        (&self.how, &self.kernel, self.scenarios > 0)
    }

    /// Describes what ran.
    pub(crate) fn ran(&self) -> String {
        match self.scenarios {
            0 => format!("{} programs", self.programs),
            n => format!("{n} cases of scenarios"),
        }
    }
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// All certificates by profile.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Certificates {
    /// The parts of a sweep that are summed up here, as long as some are missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parts: Option<Parts>,
    #[serde(flatten)]
    by_profile: BTreeMap<String, Vec<Certificate>>,
}

impl Certificates {
    /// The certificates that this program was built with.
    pub(crate) fn built_in() -> Self {
        serde_json::from_str(BUILT_IN).unwrap_or_default()
    }

    /// The certificates of a profile under any of its names.
    pub(crate) fn of<'a>(&'a self, names: &'a [String]) -> impl Iterator<Item = &'a Certificate> {
        names
            .iter()
            .filter_map(|n| self.by_profile.get(n))
            .flatten()
    }

    /// Reads a file; a missing file has no certificates.
    pub(crate) fn read(file: &Path) -> Result<Self, Failure> {
        let failed =
            |e: &dyn std::fmt::Display| Failure::Message(format!("error: {}: {e}", file.display()));
        match std::fs::read_to_string(file) {
            Ok(text) => serde_json::from_str(&text).map_err(|e| failed(&e)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(e) => Err(failed(&e)),
        }
    }

    /// Those of a file, which must exist.
    pub(crate) fn existing(file: &Path) -> Result<Self, Failure> {
        match file.metadata() {
            Ok(_) => Self::read(file),
            Err(error) => Err(Failure::Message(format!(
                "error: {}: {}",
                file.display(),
                error.kind()
            ))),
        }
    }

    /// The certificates that a verb adds to: those of a file, or none for a part of a sweep, whose
    /// file is its own.
    pub(crate) fn to_extend(file: &Path, seal: Option<&Seal>) -> Result<Self, Failure> {
        match seal {
            None => Self::read(file),
            Some(seal) => Ok(Certificates {
                parts: Some(Parts::one(seal)),
                ..Self::default()
            }),
        }
    }

    /// Adds the certificates of other parts of the same sweep.
    pub(crate) fn join(&mut self, other: Certificates) -> Result<(), String> {
        match (&mut self.parts, &other.parts) {
            (Some(parts), Some(others)) => parts.join(others)?,
            _ => return Err("it is of a whole sweep, not of a part".to_owned()),
        }
        for (profile, list) in other.by_profile {
            let known = self.by_profile.entry(profile).or_default();
            for one in list {
                let same = |known: &&mut Certificate| {
                    (&known.how, &known.kernel) == (&one.how, &one.kernel)
                };
                match known.iter_mut().find(same) {
                    Some(known) => known.add(&one),
                    None => known.push(one),
                }
            }
            known.sort_by(|a, b| a.key().cmp(&b.key()));
        }
        Ok(())
    }

    /// A list of the missing parts. If none is missing, the certificates are those of a whole sweep
    /// from here on.
    pub(crate) fn missing(&mut self) -> Option<String> {
        let missing = self.parts.as_ref().and_then(Parts::missing);
        self.parts.take_if(|_| missing.is_none());
        missing
    }

    /// Replaces the certificate of the same kernel and way.
    pub(crate) fn put(&mut self, profile: &str, certificate: Certificate) {
        let list = self.by_profile.entry(profile.to_owned()).or_default();
        list.retain(|c| c.key() != certificate.key());
        list.push(certificate);
        list.sort_by(|a, b| a.key().cmp(&b.key()));
    }

    /// The text of a file with them.
    pub(crate) fn to_text(&self) -> Result<String, Failure> {
        let text = serde_json::to_string_pretty(self);
        let mut text = text.map_err(|e| Failure::Message(format!("error: certificates: {e}")))?;
        text.push('\n');
        Ok(text)
    }

    /// Writes the file.
    pub(crate) fn write(&self, file: &Path) -> Result<(), Failure> {
        files::write(file, self.to_text()?, Existing::Replace)
    }
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
