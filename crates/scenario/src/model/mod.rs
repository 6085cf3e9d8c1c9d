//! The typed and resolved contents of a scenario.
//!
//! These types have three consumers: an interpreter that runs a [`Case`], a tool that changes one
//! and writes it back, and the JSON Schema, which is derived from them so that the documentation of
//! a field is written once. Where the written form is wider than the type (one value or a list, a
//! word for a struct), the field names its written form for the schema.

mod body;
mod case;
mod expect;
mod host;
mod nat;
mod network;
mod options;
mod process;
mod scenario;
mod selector;
mod step;

pub use body::{Body, Program};
pub use case::Case;
pub use expect::{Check, ExpectBlock, Expected};
pub use host::{Host, Sysctls};
pub(crate) use nat::IDLE;
pub use nat::{Nat, NatSource};
pub use network::{Fault, FaultKind, Network};
pub use options::Options;
pub use process::Process;
pub use scenario::{Matrix, Point, Scenario};
pub use selector::{KernelPattern, KernelSelector};
pub use step::{
    AcceptStep, BindStep, ConnectStep, ListenStep, NameStep, OnSocketStep, RecvfromStep,
    SendtoStep, SetStep, ShutdownStep, SleepStep, SocketStep, Step, SysctlStep, TransferStep,
};
