//! Backends that execute test cases.

use fourtuple_kernel::profile::Profile;
use fourtuple_scenario::Case;

use crate::alike::{self, OnKernel};
use crate::budget::{Need, Rate};
use crate::report::RunReport;

/// Something that runs one case of a scenario and says what every socket call returned.
///
/// An engine keeps nothing between runs: the same case, profile and seed give the same report,
/// whatever ran before.
pub trait Engine: Send + Sync {
    /// The name on the command line and in outcomes, for example `model`.
    fn name(&self) -> &'static str;

    /// One line on what it runs.
    fn about(&self) -> &'static str;

    /// Returns the relation of this engine's results to those of others on this case.
    fn standing(&self, case: &Case) -> Standing;

    /// Returns whether many cases at once are cheaper than one by one; such an engine is to be told
    /// by [`Engine::prepare`].
    fn wants_many(&self) -> bool {
        false
    }

    /// Gets ready for cases that will be run.
    fn prepare(&self, _cases: &[(&Case, &Profile)]) {}

    /// Returns whether the outcome depends on the kernel. An engine that knows nothing of kernels
    /// runs once for all of them.
    fn asks_kernel(&self) -> bool {
        true
    }

    /// Bounds the cost of running this case by its counts. An engine that does not override this
    /// costs as much as the model.
    fn need(&self, case: &Case) -> Need {
        Need::of(case, Rate::MODEL)
    }

    /// Runs a case on a kernel.
    ///
    /// # Errors
    /// When the engine is unable to run this case at all. What it merely leaves out, it says in the
    /// report's notes.
    fn run(&self, case: &Case, profile: &Profile) -> Result<RunReport, Cannot>;

    /// Runs one case on several kernels: their answers, in their order.
    fn run_on(&self, cases: &[OnKernel<'_>]) -> Vec<Result<RunReport, Cannot>> {
        alike::share(cases, self.asks_kernel(), |n| {
            let (case, profile) = cases[n];
            self.run(case, profile)
        })
    }

    /// Why a run broke off, if one has: what its engine then did not run says nothing about the
    /// scenarios.
    fn broken(&self) -> Option<String> {
        None
    }
}

/// The relation of an engine's results to those of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is what others are compared with: the model, or where the network has latency, loss or
    /// faults, the engine that has such a network.
    Reference,
    /// Every attempt must be the same as the reference's; a difference fails the run.
    MustAgree,
    /// A real kernel answers, whose ports hang on a secret of its own: the model follows it, and
    /// every answer must be one that it allows.
    MustBeAllowed,
    /// A difference is what one wants to see, never a failure, and the scenario's expectations are
    /// not about it.
    Contrast,
}

/// Why an engine cannot run a case, in one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Cannot {
    /// One line without a full stop, such as `turmoil's sockets have no SO_REUSEPORT`.
    pub reason: String,
}

impl Cannot {
    /// From its one line.
    pub fn new(reason: impl Into<String>) -> Self {
        Cannot {
            reason: reason.into(),
        }
    }
}
