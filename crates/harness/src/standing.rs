//! The relation of engines to each other.

/// The relation of an engine's results to those of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The others are compared with it: the model, or the engine with a network where the scenario
    /// has latency, loss or faults.
    Reference,
    /// Every attempt must be the same as the reference's; a difference fails the run.
    MustAgree,
    /// Every answer must conform: be one that the profile allows. So it is for real kernels, whose
    /// port numbers depend on a secret of each boot.
    MustBeAllowed,
    /// Differences are informational, never a failure. The scenario's expectations do not apply.
    Contrast,
}
