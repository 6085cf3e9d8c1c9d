//! Runs scenarios on engines, compares them, and writes what people read.
//!
//! A map of the crate:
//!
//! - [`engine`]: the [`Engine`] trait, which other crates implement
//! - [`model`]: the reference engine, on the kernel model
//! - [`attempt`], [`attempts`], [`why`], [`recorder`], [`report`]: the outcome of a run,
//!   and its collection by an engine
//! - [`compile`]: cases as plans of `fourtuple-program`; [`recording`]: their calls as attempts
//! - [`call`]: what engines share when they make a scenario's calls
//! - [`expect`]: the scenario's expectations
//! - [`agreement`]: engines compared
//! - [`runner`]: a scenario on all its kernels and engines; [`equivalence`]: runs shared by
//!   several kernels; [`group`]: cases with equal outcomes; [`changes`]: the release of a change
//! - [`verdict`]: the result of a scenario in one word; [`findings`]: remarks on an outcome
//!   besides refusals, with the check to run
//! - [`lint`]: settings of a scenario that have no effect
//! - [`budget`]: what a run will need, before it starts
//! - [`port_timeline`]: the uses of a host's ports over time
//! - [`fuzz`]: random scenarios on several engines; [`rng`]: random numbers for generated
//!   programs and scenarios
//! - [`suite`]: the engines of a snapshot suite
//! - [`threads`]: work on several threads
//! - [`text`], [`json`], [`html`]: what people and programs read

pub mod agreement;
pub mod attempt;
pub mod attempts;
pub mod budget;
pub mod call;
pub mod capacity;
mod case_label;
pub mod changes;
pub mod compile;
pub mod conformance;
pub mod engine;
pub mod equivalence;
pub mod expect;
pub mod explore;
pub mod findings;
pub mod fuzz;
pub mod group;
pub mod html;
pub mod json;
pub mod kernels;
pub mod lint;
pub mod model;
mod phase;
pub mod port_timeline;
pub mod recorder;
pub mod recording;
pub mod remedies;
pub mod report;
pub mod rng;
pub mod runner;
pub mod suite;
pub mod tally;
pub mod text;
pub mod threads;
pub mod verdict;
pub mod why;

pub use agreement::Agreement;
pub use attempt::{Answer, Args, Attempt, Name, SocketName};
pub use attempts::Attempts;
pub use budget::Need;
pub use conformance::{Conformance, Disallowed};
pub use engine::{Engine, EngineError, External, Standing};
pub use expect::Unmet;
pub use model::Model;
pub use recorder::{Caller, RecordedProcess, Recorder, Seen, Slot, SocketId};
pub use report::RunReport;
pub use runner::{CaseReport, EngineRun, ScenarioReport};
pub use verdict::{Assessment, ScenarioVerdict};
pub use why::{Ports, Why};
