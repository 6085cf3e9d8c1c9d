//! An exact model of how Linux kernels hand out TCP local ports.
//!
//! The model answers socket calls (`bind`, `listen`, `connect`, `close`, ...) as a given kernel
//! does: which local port, or which errno, and why. It performs no I/O, has no clock of its own
//! and no global randomness: time is set by the caller and every random decision of the kernel is
//! put to a [`Chooser`].
//!
//! A map of the code, in the order in which a call meets it:
//!
//! * [`Machine`] is one running kernel with its network namespaces and sockets;
//! * `bind` and `conflict`: who may share a port; `autoport`: the search for a free one;
//! * `connect`: the search of an unbound connect(), where the rule "skip every bucket that bind()
//!   has touched" lives (`usable`, and `scan_runs` for a word of ports at a time); `established`: 4-tuples and the reuse
//!   of TIME-WAIT, in the table `tuples`;
//! * `tcp`, `close`, `timewait`, `wheel`: how connections open and end, and what they leave behind;
//! * [`profile`] is the table of behaviours in which kernels differ, and their names;
//! * [`World`] joins several machines by an ideal network.

pub mod addr;
mod agenda;
mod autoport;
mod bind;
mod bucket;
pub mod chooser;
mod close;
mod conflict;
mod connect;
mod destinations;
mod established;
mod explain;
pub mod follow;
mod handshake;
mod held;
pub mod journal;
mod machine;
mod ns;
mod portset;
pub mod profile;
pub mod reason;
mod requests;
mod segment;
mod slab;
mod socket;
mod sysctl;
mod tcp;
pub mod time;
mod timers;
mod timewait;
mod timing;
mod tuples;
mod view;
mod wheel;
mod world;

pub use addr::{Endpoint, Ip};
pub use agenda::Agenda;
pub use chooser::{Chooser, Seeded};
pub use explain::call_path;
pub use fourtuple_syscall::{Errno, Family, PortRange, ShortName, Shutdown, SockOpt};
pub use machine::{Call, Machine, NsId, SockId};
pub use profile::{Asked, Behaviours, Profile};
pub use reason::{PortVerdict, Refusal, Rule};
pub use segment::{SegKind, Segment};
pub use socket::State;
pub use sysctl::{sysctl_is_default, sysctl_names, sysctl_scope};
pub use time::Time;
pub use view::{BucketView, SocketView};
pub use world::{MachineId, World, WorldNs, WorldSock};
