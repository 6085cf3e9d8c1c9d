//! The state that all Linux hosts of one simulation share: addresses, the clock, and the number of
//! segments in flight.

use crate::clock::{Clock, lock};
use bytes::Bytes;
use fourtuple_kernel::{Machine, Seeded, Time};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use tokio::sync::Notify;

/// A kernel's clock at the start of the simulation.
pub(crate) const START: Time = Machine::<Seeded>::START;

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Network {
    shared: Mutex<Shared>,
    boots: AtomicU64,
    /// Notified when the software of the last client has ended.
    clients_ended: Notify,
    /// The clock of all kernels.
    pub(crate) clock: Arc<Clock>,
    /// The payloads of the segments under way.
    pub(crate) payloads: Payloads,
}

/// A frame on its way: the boot number of its sender, the turmoil address of its receiver, its
/// number.
type Frame = (u64, IpAddr, u64);

/// The payload of frames. turmoil delays, loses and orders the frames; what they carry goes from
/// kernel to kernel without copies. A payload stays until its frame is delivered.
#[derive(Debug, Default)]
pub(crate) struct Payloads(Mutex<BTreeMap<Frame, Bytes>>);

impl Payloads {
    pub(crate) fn put(&self, frame: Frame, bytes: Bytes) {
        if !bytes.is_empty() {
            lock(&self.0).insert(frame, bytes);
        }
    }

    /// The payload of a delivered frame, empty if it has none.
    pub(crate) fn take(&self, frame: Frame) -> Bytes {
        lock(&self.0).remove(&frame).unwrap_or_default()
    }
}

#[derive(Debug)]
struct Shared {
    /// The turmoil host of each address.
    routes: BTreeMap<IpAddr, IpAddr>,
    /// Addresses by host name, turmoil's own first.
    names: BTreeMap<String, Vec<IpAddr>>,
    /// Names by turmoil address, with the order of registration.
    hosts: BTreeMap<IpAddr, (String, usize)>,
    in_flight: u64,
    idle: Vec<Waker>,
    /// Clients whose software has not ended.
    clients: u64,
}

impl Network {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Network {
            shared: Mutex::new(Shared {
                routes: BTreeMap::new(),
                names: BTreeMap::new(),
                hosts: BTreeMap::new(),
                in_flight: 0,
                idle: Vec::new(),
                clients: 0,
            }),
            clients_ended: Notify::new(),
            boots: AtomicU64::new(0),
            clock: Arc::new(Clock::new()),
            payloads: Payloads::default(),
        })
    }

    /// Adds a host with its addresses; `own` is its turmoil address.
    pub(crate) fn add_host(&self, name: &str, own: IpAddr, addresses: &[IpAddr]) {
        let mut s = lock(&self.shared);
        for ip in addresses {
            s.routes.entry(ip.to_canonical()).or_insert(own);
        }
        let order = s.hosts.len();
        s.hosts
            .entry(own)
            .or_insert_with(|| (name.to_owned(), order));
        s.names.insert(name.to_owned(), addresses.to_vec());
    }

    /// Counts a client, until [`Network::client_ended`].
    pub(crate) fn add_client(&self) {
        lock(&self.shared).clients += 1;
    }

    /// Records that the software of a client has ended, and waits for that of all others.
    pub(crate) async fn client_ended(&self) {
        lock(&self.shared).clients -= 1;
        loop {
            let ended = self.clients_ended.notified();
            if lock(&self.shared).clients == 0 {
                break;
            }
            ended.await;
        }
        self.clients_ended.notify_waiters();
    }

    /// The number of hosts.
    pub(crate) fn hosts(&self) -> usize {
        lock(&self.shared).hosts.len()
    }

    /// The turmoil host that has an address.
    pub(crate) fn route(&self, ip: IpAddr) -> Option<IpAddr> {
        lock(&self.shared).routes.get(&ip).copied()
    }

    /// The addresses of a host name.
    pub(crate) fn resolve(&self, name: &str) -> Option<Vec<IpAddr>> {
        lock(&self.shared).names.get(name).cloned()
    }

    /// The index of a host in order of registration, by turmoil address.
    pub(crate) fn order(&self, host: IpAddr) -> usize {
        lock(&self.shared).hosts.get(&host).map_or(0, |h| h.1)
    }

    /// Allocates a boot number, greater than all before it.
    pub(crate) fn next_boot(&self) -> u64 {
        self.boots.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The current time on the clock of an active kernel. `None` outside a running host.
    pub(crate) fn now(&self) -> Option<Time> {
        self.clock.touch().map(|elapsed| START + elapsed)
    }

    /// Sleeps until the kernels' clocks show `at`. Never returns if the engine sets the clock, or
    /// if `at` is `None`.
    pub(crate) async fn sleep_until(&self, at: Option<Time>) {
        self.clock.sleep_until(at.map(|at| at - START)).await;
    }

    /// Counts segments that have left a kernel.
    pub(crate) fn sent(&self, count: u64) {
        lock(&self.shared).in_flight += count;
    }

    /// Counts segments that have arrived.
    pub(crate) fn arrived(&self, count: u64) {
        let woken = {
            let mut s = lock(&self.shared);
            s.in_flight = s.in_flight.saturating_sub(count);
            if s.in_flight == 0 {
                std::mem::take(&mut s.idle)
            } else {
                Vec::new()
            }
        };
        woken.into_iter().for_each(Waker::wake);
    }

    /// Waits until no segment is in flight.
    pub(crate) async fn idle(&self) {
        std::future::poll_fn(|cx| {
            let mut s = lock(&self.shared);
            if s.in_flight == 0 {
                return Poll::Ready(());
            }
            if !s.idle.iter().any(|w| w.will_wake(cx.waker())) {
                s.idle.push(cx.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }
}
