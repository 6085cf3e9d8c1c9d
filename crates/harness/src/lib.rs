//! Runs scenarios on engines and compares them.
//!
//! A case becomes a plan ([`compile`]), an [`Engine`] runs it and records every call
//! ([`Recording`], [`Recorder`]), and the outcome ([`RunReport`], [`Attempts`]) is compared with
//! those of other engines ([`Agreement`]) and other kernels ([`Group`]). [`Model`] is the reference
//! engine. [`runner`] does all of it for a scenario; [`runner::budget`] knows the costs beforehand.
//!
//! Answers about an outcome are in `fourtuple-analysis`, text and pages in `fourtuple-render`.

mod agreement;
mod attempt;
mod attempts;
pub mod compile;
mod conformance;
mod engine;
mod error;
mod events;
mod expect;
pub mod kernels;
mod model;
mod notes;
mod recorder;
mod recording;
mod report;
mod rng;
pub mod runner;
mod standing;
mod tally;
pub mod threads;
mod verdict;
mod why;

pub use agreement::{Agreement, FirstDifference, compare};
pub use attempt::{Answer, Args, Caller, Name, RecordedProcess, SocketId, SocketName};
pub use attempts::{Attempt, Attempts};
pub use conformance::{Conformance, Disallowed};
pub use engine::{Engine, External, OnKernel, refuse_nat};
pub use error::EngineError;
pub use events::{EventBlock, EventRow, EventTable, Group, seconds};
pub use expect::Unmet;
pub use model::{
    HostNs, Model, Moment, Net, left_out, refuse_datagrams_through_nat, sysctl_refusal,
};
pub use notes::{note_nat, note_unmodelled};
pub use recorder::{Recorder, Slot};
pub use recording::{Recording, answer};
pub use report::RunReport;
pub use rng::SeededRng;
pub use runner::budget::Need;
pub use runner::{CaseReport, EngineRun, ScenarioReport};
pub use standing::Standing;
pub use tally::{Tally, tally};
pub use verdict::{Assessment, LeftOut, ScenarioVerdict, counts};
pub use why::{Ports, Why};

/// The example of the README, compiled and run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
