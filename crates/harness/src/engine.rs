//! The engines that run scenarios.

use fourtuple_kernel::profile::Profile;
use fourtuple_scenario::Case;

use crate::error::EngineError;
use crate::report::RunReport;
use crate::standing::Standing;

/// A case on a kernel.
pub type OnKernel<'a> = (&'a Case, &'a Profile);

/// Refuses a case with NAT hosts, on behalf of an engine that has none.
///
/// # Errors
/// The case has a NAT host or a router.
pub fn refuse_nat(case: &Case) -> Result<(), EngineError> {
    let mut hosts = case.hosts.iter();
    match hosts.find(|(_, host)| host.nat.is_some() || host.via.is_some()) {
        Some((name, _)) => Err(EngineError::new(format!(
            "{name} has `nat` or `via`, and the engine has no NAT hosts"
        ))),
        None => Ok(()),
    }
}

/// A backend that executes one case of a scenario and records the outcome of every socket call.
///
/// An engine keeps nothing between runs: the same case, profile and seed give the same report,
/// whatever ran before. The [runner](crate::runner) decides which runs are made;
/// [budget](crate::runner::budget) has the costs of every engine.
pub trait Engine: Send + Sync {
    /// The name on the command line and in outcomes, for example `model`.
    fn name(&self) -> &'static str;

    /// One line about the engine.
    fn about(&self) -> &'static str;

    /// The relation of this engine's outcomes to those of others on this case.
    fn standing(&self, case: &Case) -> Standing;

    /// Runs a case on a kernel. The report's [`observed_flags`](RunReport::observed_flags) says
    /// which behaviours of the kernel the outcome depends on: the run stands for all kernels that
    /// are equal in these.
    ///
    /// # Errors
    /// When the engine is unable to run this case at all. Smaller omissions go to the report's
    /// notes.
    fn run(&self, case: &Case, profile: &Profile) -> Result<RunReport, EngineError>;
}

/// An engine outside of this process, such as a virtual machine: it may break off, and many cases
/// at once may be cheaper than one by one.
pub trait External: Engine {
    /// Gets ready for cases that will be run.
    fn prepare(&self, _cases: &[OnKernel<'_>]) {}

    /// The reason why it broke off, if it did: cases that it then did not run say nothing about the
    /// scenarios.
    fn broken(&self) -> Option<String>;
}
