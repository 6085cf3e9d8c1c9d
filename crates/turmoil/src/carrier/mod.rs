//! Transport of segments between kernels over turmoil, in two ways.
//!
//! *Handshake segments* (SYN, SYN-ACK, the refusal of a SYN) are turmoil datagrams. They are lost
//! in a partition, kept back by a hold and delayed by latency like any packet. Only the kernel's
//! own SYN timer retransmits them, so SYN_SENT lasts as long as on Linux.
//!
//! *All other segments* use one turmoil TCP stream per pair of hosts, the pipe, opened together
//! with the first SYN. Payload therefore keeps turmoil's TCP latency, order and faults. One pipe
//! per connection would cost as much as a connect of stock turmoil, a walk over all ports of the
//! host, and would be limited to turmoil's port range; with one pipe per pair, idle connections
//! cost nothing. turmoil's TCP loses segments in a partition, so a [`channel`](channel::Channel)
//! above the pipe numbers its frames and repeats them on a new pipe, with Linux's timeouts: first
//! the measured round trip, then twice as long each time.

pub(crate) mod channel;
mod datagram;
mod peers;
mod pipe;
pub(crate) mod wire;

pub(crate) use datagram::{Outgoing, Ports};
pub(crate) use peers::Peers;

/// First of the turmoil ports that carriers listen on, on every Linux host, for UDP and TCP. A host
/// sends to the port at its own index, counted in order of registration.
pub(crate) const FIRST_PORT: u16 = 48_000;

/// Most carrier ports of a host. turmoil drops datagrams, and panics on connections, that overflow
/// the queue of a port, so hosts are distributed over several ports unless the queues are large.
pub(crate) const PORTS: u16 = 16;
