//! The conformance of a real kernel's answers: the model adopts every answer that it allows, and
//! stops at the first that it does not.

use schemars::JsonSchema;
use serde::Serialize;

/// The conformance of a run on a real kernel to the profile of the run.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Conformance {
    /// The kernel that answered, as text.
    pub running: String,
    /// The profile that it was checked against: its own.
    pub profile: String,
    /// Calls that were checked: those of the scenario, and those that engines make besides, such
    /// as accepting.
    pub calls: u64,
    /// The first answer that the profile does not allow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disallowed: Option<Disallowed>,
}

/// An answer that the profile does not allow.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Disallowed {
    /// The attempt that it belongs to, counted from 1; 0 if it is none of the scenario's own calls.
    pub n: u32,
    /// The call, for example `plain.1 connect 192.168.0.5:3000`.
    pub call: String,
    /// The kernel's answer, as text.
    pub seen: String,
    /// The answers that the profile allows, as text.
    pub allowed: Vec<String>,
    /// The smallest scenario of the step form that shows it.
    pub scenario: String,
}

impl Conformance {
    /// Returns whether every answer is allowed.
    #[must_use]
    pub fn allowed(&self) -> bool {
        self.disallowed.is_none()
    }
}

impl Disallowed {
    /// Joins the allowed answers.
    #[must_use]
    pub fn allowed(&self) -> String {
        self.allowed.join(", or ")
    }
}
