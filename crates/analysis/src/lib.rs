//! Answers about a scenario beside its outcome: each is an experiment on the model that can be
//! repeated.
//!
//! - [`remedies`]: the fixes for a shortage or a conflict of ports, each one tried
//! - [`explore`]: every order of the calls and every port choice
//! - [`capacity`]: the connections that a host can make, and the range that a load needs
//! - [`lint()`]: settings without effect
//! - [`histories`]: the release in which answers change, and the behaviours that change them
//! - [`findings()`]: remarks on an outcome besides refusals, with the check to run
//! - [`PortTimeline`]: the uses of a host's ports over time
//! - [`port_states`]: the bind buckets of every host after each call
//! - [`Answers`]: what a report shows of one scenario
//! - [`import_table`], [`import_log`]: captures as scenarios whose answers the model reproduces
//! - [`fuzz`]: random scenarios on several engines

mod answers;
pub mod capacity;
mod changes;
mod chooser;
mod edit;
mod exists;
pub mod explore;
mod findings;
pub mod fuzz;
mod imported;
mod lint;
mod mix;
mod phase;
mod port_states;
mod port_timeline;
pub mod remedies;

pub use answers::Answers;
pub use changes::{Change, Difference, History, Stretch, histories};
pub use findings::{Finding, findings};
pub use imported::{have_no_port, import_log, import_table, import_tables, unmet};
pub use lint::{LintFinding, LintRule, lint};
pub use port_states::{
    PortChange, PortState, PortStates, PortTable, PortView, TableKind, port_states,
};
pub use port_timeline::{PORTS_SHOWN, PortTimeline, SAMPLES, Sample, Use, port_timelines};

/// The example of the README, compiled and run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
