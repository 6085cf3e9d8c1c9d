//! Files of certificates: the real kernels and recordings that each profile was checked against.
//! Only `certify` and `fuzz` write them.

use std::collections::BTreeMap;
use std::path::Path;

use fourtuple_render::text::checked::{ByProfile, Certificate};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::files::{self, Existing};
use crate::output::Failure;
use crate::shard::{Parts, Seal};

/// Certificates by profile and kernel.
pub(crate) type Rows = BTreeMap<(String, String), Certificate>;

/// All certificates by profile.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Certificates {
    /// The parts of a sweep that are summed up here, as long as some are missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parts: Option<Parts>,
    #[serde(flatten)]
    by_profile: ByProfile,
}

impl Certificates {
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
