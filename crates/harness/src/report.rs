//! The report of one engine on one case: the outcome, with everything that names it.

use std::collections::BTreeMap;
use std::sync::Arc;

use fourtuple_kernel::FlagSet;
use fourtuple_kernel::profile::Profile;
use fourtuple_scenario::Case;
use schemars::JsonSchema;
use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::attempt::Name;
use crate::attempts::Attempts;
use crate::conformance::Conformance;
use crate::expect::{self, Unmet};

/// The outcome of one case on one kernel and one engine. Serialises to an entry of `runs` in the
/// outcome format.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct RunReport {
    /// The scenario's name: its path below `scenarios/`, without the ending.
    pub scenario: Name,
    /// The scenario's file: its path from the `scenarios` directory on, so that outcomes are the
    /// same wherever the command was called; as it was given if it is in no such directory.
    pub file: Name,
    /// The kernel.
    pub kernel: Name,
    /// Other kernels that were asked for and behave the same in everything, so that this outcome is
    /// theirs too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Name>,
    /// The engine.
    pub engine: &'static str,
    /// The seed.
    pub seed: u64,
    /// The point of the matrix.
    #[serde(serialize_with = "axes")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub axes: Vec<(Name, Name)>,
    /// Every socket call and its answer; kernels for which one run stands share them.
    #[serde(serialize_with = "listed")]
    #[schemars(with = "Attempts")]
    pub attempts: Arc<Attempts>,
    /// The expectations of the scenario that did not come true.
    pub expect_failed: Vec<Unmet>,
    /// Parts that the engine left out, and remarks, one line each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The conformance of a real kernel's answers with the model; absent for engines that
    /// are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conformance: Option<Box<Conformance>>,
    /// The observed behaviours, on which everything above depends: kernels that are equal in these
    /// have the same outcome.
    #[serde(skip)]
    pub observed_flags: FlagSet,
}

fn listed<S: Serializer>(attempts: &Arc<Attempts>, to: S) -> Result<S::Ok, S::Error> {
    attempts.serialize(to)
}

pub(crate) fn axes<S: Serializer>(axes: &[(Name, Name)], to: S) -> Result<S::Ok, S::Error> {
    let mut map = to.serialize_map(Some(axes.len()))?;
    for (name, value) in axes {
        map.serialize_entry(name, value)?;
    }
    map.end()
}

fn below_scenarios(file: &str) -> &str {
    match file.rfind("scenarios/") {
        Some(0) => file,
        Some(at) if file[..at].ends_with('/') => &file[at..],
        _ => file,
    }
}

impl RunReport {
    /// The same outcome as that of another kernel's case `other`, with this case's expectations
    /// checked against it.
    #[must_use]
    pub(crate) fn on(&self, case: &Case, profile: &Profile, other: &Case) -> Self {
        if case.program.steps().is_none() && case.expect == other.expect {
            // Nothing is expected that was not for the other.
            return RunReport {
                kernel: profile.name.as_str().into(),
                also: Vec::new(),
                ..self.clone()
            };
        }
        let (attempts, notes) = (Arc::clone(&self.attempts), self.notes.clone());
        let mut report = RunReport::sharing(case, profile, self.engine, attempts, notes);
        report.observed_flags = self.observed_flags;
        report
    }

    /// Returns whether a real kernel gave an answer that its profile does not allow.
    #[must_use]
    pub fn is_disallowed(&self) -> bool {
        self.conformance.as_ref().is_some_and(|one| !one.allowed())
    }

    /// The report of a run, with the scenario's expectations checked against it.
    #[must_use]
    pub fn new(
        case: &Case,
        profile: &Profile,
        engine: &'static str,
        attempts: Attempts,
        notes: Vec<String>,
    ) -> Self {
        Self::sharing(case, profile, engine, Arc::new(attempts), notes)
    }

    fn sharing(
        case: &Case,
        profile: &Profile,
        engine: &'static str,
        attempts: Arc<Attempts>,
        notes: Vec<String>,
    ) -> Self {
        let expect_failed = expect::check(case, &attempts);
        RunReport {
            scenario: case.scenario.as_str().into(),
            file: below_scenarios(&case.file).into(),
            kernel: profile.name.as_str().into(),
            also: Vec::new(),
            engine,
            seed: case.seed,
            axes: case
                .axes
                .iter()
                .map(|(name, value)| (name.as_str().into(), value.as_str().into()))
                .collect(),
            attempts,
            expect_failed,
            notes,
            conformance: None,
            observed_flags: FlagSet::ALL,
        }
    }
}
