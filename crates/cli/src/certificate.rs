//! Which real kernels or recordings each profile was checked against. The file is written by `certify` only.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::files::{self, Existing};
use crate::output::Failure;

/// What this program was built with.
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
    /// Cases of scenarios that ran, where it was scenarios.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) scenarios: u64,
    /// Calls that were judged.
    pub(crate) calls: u64,
    /// Answers that the profile does not allow.
    pub(crate) disallowed: u64,
}

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
}

impl Certificate {
    /// What was asked, in which way, and whether by scenarios or by programs.
    fn key(&self) -> (&str, &str, bool) {
        (&self.how, &self.kernel, self.scenarios > 0)
    }

    /// What ran, in words.
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
#[serde(transparent)]
pub(crate) struct Certificates(BTreeMap<String, Vec<Certificate>>);

impl Certificates {
    /// Those that this program was built with.
    pub(crate) fn built_in() -> Self {
        serde_json::from_str(BUILT_IN).unwrap_or_default()
    }

    /// Of a profile under any of its names.
    pub(crate) fn of<'a>(&'a self, names: &'a [String]) -> impl Iterator<Item = &'a Certificate> {
        names.iter().filter_map(|n| self.0.get(n)).flatten()
    }

    /// Those of a file; none if it does not exist.
    pub(crate) fn read(file: &Path) -> Result<Self, Failure> {
        let told =
            |e: &dyn std::fmt::Display| Failure::Told(format!("error: {}: {e}", file.display()));
        match std::fs::read_to_string(file) {
            Ok(text) => serde_json::from_str(&text).map_err(|e| told(&e)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(e) => Err(told(&e)),
        }
    }

    /// Replaces what is known from the same kernel by the same way.
    pub(crate) fn put(&mut self, profile: &str, certificate: Certificate) {
        let list = self.0.entry(profile.to_owned()).or_default();
        list.retain(|c| c.key() != certificate.key());
        list.push(certificate);
        list.sort_by(|a, b| a.key().cmp(&b.key()));
    }

    /// Writes the whole file at once.
    pub(crate) fn write(&self, file: &Path) -> Result<(), Failure> {
        let told =
            |e: &dyn std::fmt::Display| Failure::Told(format!("error: {}: {e}", file.display()));
        let mut text = serde_json::to_string_pretty(self).map_err(|e| told(&e))?;
        text.push('\n');
        files::write(file, text, Existing::Replace)
    }
}
