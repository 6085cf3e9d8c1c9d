//! How segments travel between kernels: over turmoil, in two ways.
//!
//! *Handshake segments* (SYN, SYN-ACK, the refusal of a SYN) are turmoil datagrams. They are lost
//! in a partition, kept back by a hold and delayed by latency like any packet, and nobody but the
//! kernel's own SYN timer repeats them, so SYN_SENT lasts as long as on Linux.
//!
//! *Everything else* goes over one turmoil TCP stream per pair of hosts, the pipe, opened together
//! with the first SYN. Payload therefore keeps turmoil's TCP latency, order and faults. One pipe
//! per connection would cost what stock turmoil costs for each connect, a walk over all ports of
//! the host, and would end at turmoil's port range; one pipe per pair costs nothing while
//! connections are merely held. Since turmoil's TCP loses what a partition swallows, a
//! [`channel`](channel::Channel) above the pipe numbers its frames and repeats them on a new pipe,
//! with Linux's timeouts: first the measured round trip, then twice as long each time.

pub(crate) mod channel;
mod datagram;
mod peers;
mod pipe;
pub(crate) mod wire;

pub(crate) use datagram::{Ports, flush};
pub(crate) use peers::Peers;

/// First of the turmoil ports that carriers listen on, on every Linux host, for UDP and TCP. A host
/// sends to the port that has its number, counted in the order in which hosts were registered.
pub(crate) const FIRST_PORT: u16 = 48_000;

/// How many ports there are at most. turmoil drops datagrams, and panics on connections, that come faster
/// than a queue of one port takes them, so that hosts are spread over several.
pub(crate) const PORTS: u16 = 16;
