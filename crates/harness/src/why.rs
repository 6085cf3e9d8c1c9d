//! Why a call failed, as outcomes carry it.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

use fourtuple_kernel::reason::PortRefusal;
use fourtuple_kernel::{Refusal, Rule};
use schemars::JsonSchema;
use serde::{Serialize, Serializer, ser::SerializeMap};

/// The reason of a refused call. The outcome format shows the path, the counts and the rule; the
/// single ports are kept for `explain`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Why {
    /// Kernel functions from the system call to the place of the decision.
    pub path: Vec<&'static str>,
    /// The ports that were looked at (`tried`), and the refused ones by reason.
    #[serde(skip_serializing_if = "Ports::is_empty")]
    #[schemars(with = "BTreeMap<String, u32>")]
    pub ports: Ports,
    /// The rule that decided.
    #[serde(serialize_with = "rule_name")]
    #[schemars(with = "String")]
    pub rule: Rule,
    /// The first ports of the search, with the state of their buckets.
    #[serde(skip)]
    pub refused: Vec<PortRefusal>,
}

impl Hash for Why {
    /// Without the path, which mostly follows from the rule.
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.rule.hash(state);
        self.ports.hash(state);
        for one in &self.refused {
            (one.port, one.verdict, one.bucket, &one.owners).hash(state);
        }
    }
}

fn rule_name<S: Serializer>(rule: &Rule, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(rule.name())
}

/// The result of a search over the port range.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ports {
    /// Ports looked at; 0 when the call did not search.
    pub tried: u32,
    /// Reason and number of ports refused for it.
    pub counts: Vec<(&'static str, u32)>,
}

impl Ports {
    /// Returns whether the call did not search at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tried == 0 && self.counts.is_empty()
    }

    /// In words: `4 of 4 ports refused because of fastreuse`.
    #[must_use]
    pub fn words(&self) -> String {
        let ports = if self.tried == 1 { "port" } else { "ports" };
        let mut words = String::new();
        for (reason, count) in &self.counts {
            if words.is_empty() {
                words = format!(
                    "{count} of {} {ports} refused because of {reason}",
                    self.tried
                );
            } else {
                words.push_str(&format!(", {count} because of {reason}"));
            }
        }
        if words.is_empty() {
            format!("{} {ports} tried", self.tried)
        } else {
            words
        }
    }
}

impl Serialize for Ports {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(self.counts.len() + 1))?;
        map.serialize_entry("tried", &self.tried)?;
        for (reason, count) in &self.counts {
            map.serialize_entry(reason, count)?;
        }
        map.end()
    }
}

impl From<Refusal> for Why {
    fn from(refusal: Refusal) -> Self {
        Why {
            path: refusal.path,
            ports: Ports {
                tried: refusal.tried,
                counts: refusal
                    .counts
                    .iter()
                    .map(|(verdict, count)| (verdict.name(), *count))
                    .collect(),
            },
            rule: refusal.rule,
            refused: refusal.ports,
        }
    }
}
