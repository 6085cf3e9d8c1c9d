//! An exact model of how Linux kernels hand out local ports of TCP and UDP.
//!
//! The model answers socket calls (`bind`, `listen`, `connect`, `close`, ...) as a given kernel
//! does: the local port or the errno, and the reason. It performs no I/O, has no clock of its own
//! and no global randomness: time is set by the caller, and every random decision of the kernel is
//! made by a [`Chooser`].
//!
#![doc = include_str!("../bind-buckets.md")]
//!
//! # Map of the code
//!
//! Each rule is stated once, in a function that names the kernel's. The rule of the case above is
//! [`connect_may_use`].
//!
//! | question | function | file in `src` |
//! |---|---|---|
//! | may `connect()` without `bind()` take a port? | [`connect_may_use`] | `port/select_connect.rs` |
//! | may `bind()` or `listen()` take a port? | [`bind_may_use`] | `conn/bind.rs` |
//! | may `bind()` to port 0 take a port? | [`bind_may_select`] | `port/select_bind.rs` |
//! | do two owners of a port conflict? | [`conflict`] | `bucket/conflict.rs` |
//! | is a 4-tuple free? | [`check_established`] | `conn/established.rs` |
//! | may a TIME-WAIT socket be replaced? | [`may_replace`] | `time_wait/reuse.rs` |
//! | how do `fastreuse` and `fastreuseport` change? | [`update_fastreuse`] | `bucket/touch.rs` |
//! | when does a TIME-WAIT socket end? | [`schedule_tw`] | `time_wait/mod.rs` |
//! | UDP: do two owners of a port conflict? | [`udp_conflict`] | `udp/conflict.rs` |
//! | UDP: may a port be selected? | [`udp_may_select`] | `udp/select.rs` |
//! | how do kernels differ, and since when? | [`Behaviours`] and the dates in [`profile`] | `profile/` |
//!
//! [`connect_may_use`]: ../src/fourtuple_kernel/port/select_connect.rs.html
//! [`bind_may_use`]: ../src/fourtuple_kernel/conn/bind.rs.html
//! [`bind_may_select`]: ../src/fourtuple_kernel/port/select_bind.rs.html
//! [`conflict`]: ../src/fourtuple_kernel/bucket/conflict.rs.html
//! [`check_established`]: ../src/fourtuple_kernel/conn/established.rs.html
//! [`may_replace`]: ../src/fourtuple_kernel/time_wait/reuse.rs.html
//! [`update_fastreuse`]: ../src/fourtuple_kernel/bucket/touch.rs.html
//! [`schedule_tw`]: ../src/fourtuple_kernel/time_wait/mod.rs.html
//! [`udp_conflict`]: ../src/fourtuple_kernel/udp/conflict.rs.html
//! [`udp_may_select`]: ../src/fourtuple_kernel/udp/select.rs.html
//!
//! A behaviour that a new kernel changes is added in [`profile`], whose documentation has the
//! steps.
//!
//! Hosts that forward and translate packets are in [`nat`], with a page on their rules.
//!
//! [`source_map`] lists every modelled kernel function with its place. [`Machine`] is one running
//! kernel, and [`World`] joins several machines by an ideal network. [`profile`] names the kernels;
//! no algorithm asks for a version number. [`conformance`] judges the answers of real kernels.

mod addr;
mod bucket;
pub mod chooser;
mod clock;
pub mod conformance;
mod conn;
mod explain;
pub mod journal;
mod machine;
mod namespace;
pub mod nat;
mod port;
pub mod profile;
mod restore;
mod slab;
mod sysctl;
mod tables;
pub mod time;
mod time_wait;
mod timers;
mod timing;
mod udp;
mod unmodelled;
mod world;

pub use chooser::{Chooser, Seeded};
pub use conn::segment::{SegKind, Segment};
pub use conn::socket::State;
pub use explain::reason::{PortRefusal, PortVerdict, Refusal, Rule};
pub use explain::view::{BucketView, SocketView};
pub use explain::{call_path, reason, source_map};
pub use fourtuple_syscall::{Errno, Family, Kind, PortRange, ShortName, Shutdown, SockOpt};
pub use machine::{DatagramEvent, Machine, NsId, SockId};
pub use profile::{Behaviours, FlagSet, Profile};
pub use restore::{PortOrigin, PortsLeft, Restored};
pub use sysctl::{sysctl_has_no_effect, sysctl_is_default, sysctl_names, sysctl_scope};
pub use time::Time;
pub use udp::explain::datagram_call_path;
pub use world::{MachineId, World, WorldNs, WorldSock};
