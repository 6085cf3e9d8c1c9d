//! Conformance: whether a profile allows the answers of a real kernel.
//!
//! A real kernel's port numbers depend on a secret, its TIME-WAIT sockets on the phase of a tick,
//! and some of its answers on uninitialised memory. A [`Checker`] therefore keeps every state of
//! the model that explains the answers so far, its *beliefs*. It tries each call on each of them
//! with every possible choice, and drops the states that do not give the observed answer. An answer
//! that no state gives is not allowed.
//!
//! Timers that may or may not have fired would multiply the states: where it makes no difference to
//! a call, they count as not fired yet. The number of states and the work are limited; beyond the
//! limits, a missing explanation proves nothing, and the checker gives up ([`GaveUp`]).
//!
//! | file | job |
//! |---|---|
//! | `checker.rs` | the states of one boot, and the limits |
//! | `call.rs` | operations, and the part of their outcomes that is compared |
//! | `belief.rs` | one state: a machine and the names of its sockets |
//! | `search.rs` | one call on all states |
//! | `enumerate.rs` | the chooser that walks through the choices of a call |
//! | `starts.rs` | the starts of connect() searches, which are kept apart from the states |
//! | `mentions.rs` | the ports that a program names: all others are interchangeable |
//! | `fingerprint.rs` | equality of states |
//! | `simulated.rs` | a profile in the place of a kernel |

mod belief;
mod call;
mod checker;
mod enumerate;
mod fingerprint;
mod mentions;
mod search;
mod simulated;
mod starts;

use belief::Belief;
pub use call::Op;
pub use checker::{Checker, Disallowed, GaveUp, MAX_STATES, MAX_WORK};
use enumerate::EnumeratingChooser;
pub use fingerprint::PortClass;
pub use mentions::Mentions;
pub use search::{MAX_SOCKETS_KEPT, SOCKETS_PER_UNIT};
pub use simulated::SimulatedKernel;
