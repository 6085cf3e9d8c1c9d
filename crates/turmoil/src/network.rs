//! The state that all Linux hosts of one simulation share: addresses, the clock, and the number of
//! segments in flight.

use crate::clock::{Clock, lock};
use bytes::Bytes;
use fourtuple_kernel::nat::{Hop, Ways};
use fourtuple_kernel::{Machine, Seeded, Time};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
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
    /// Some namespace forwards the packets of others.
    has_routers: AtomicBool,
    /// Notified when the software of the last client has ended.
    clients_ended: Notify,
    /// The clock of all kernels.
    pub(crate) clock: Arc<Clock>,
    /// The payloads of the segments under way.
    pub(crate) payloads: Payloads,
    /// The most carrier ports of a host.
    pub(crate) ports: u16,
}

/// Two namespaces of one machine forward packets: those that arrive could be for either.
#[derive(Debug)]
pub(crate) struct TwoForwarders;

/// A frame on its way: the boot number of its sender, the turmoil address of its receiver, its
/// number.
pub(crate) type Frame = (u64, IpAddr, u64);

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

/// A network namespace: the turmoil address of its machine, and its index there.
pub(crate) type Place = (IpAddr, usize);

#[derive(Debug)]
struct Shared {
    /// The namespaces by their addresses, and their routers.
    ways: Arc<Ways<Place>>,
    /// The namespace of a machine that forwards the packets of others.
    forwarders: BTreeMap<IpAddr, Place>,
    /// The number of namespaces of each machine.
    namespaces: BTreeMap<IpAddr, usize>,
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
    pub(crate) fn new(ports: u16) -> Arc<Self> {
        Arc::new(Network {
            shared: Mutex::new(Shared {
                ways: Arc::default(),
                forwarders: BTreeMap::new(),
                namespaces: BTreeMap::new(),
                names: BTreeMap::new(),
                hosts: BTreeMap::new(),
                in_flight: 0,
                idle: Vec::new(),
                clients: 0,
            }),
            clients_ended: Notify::new(),
            boots: AtomicU64::new(0),
            has_routers: AtomicBool::new(false),
            clock: Arc::new(Clock::new()),
            payloads: Payloads::default(),
            ports,
        })
    }

    /// Adds a host with the addresses of its namespaces; `own` is its turmoil address.
    pub(crate) fn add_host(&self, name: &str, own: IpAddr, namespaces: &[Vec<IpAddr>]) {
        let mut s = lock(&self.shared);
        let ways = Arc::make_mut(&mut s.ways);
        for (n, addresses) in namespaces.iter().enumerate() {
            for ip in addresses {
                ways.add_address((own, n), ip.to_canonical());
            }
        }
        s.namespaces.insert(own, namespaces.len());
        let order = s.hosts.len();
        s.hosts
            .entry(own)
            .or_insert_with(|| (name.to_owned(), order));
        s.names.insert(name.to_owned(), namespaces.concat());
    }

    /// Adds addresses that are a namespace's by its rules of NAT, unless another has them.
    pub(crate) fn add_virtual(&self, at: Place, addresses: impl Iterator<Item = IpAddr>) {
        let mut s = lock(&self.shared);
        let ways = Arc::make_mut(&mut s.ways);
        addresses.for_each(|ip| ways.add_address(at, ip));
    }

    /// Sends all packets that leave a namespace through another.
    ///
    /// # Errors
    /// Another namespace of the router's machine forwards packets already.
    pub(crate) fn set_router(&self, at: Place, router: Place) -> Result<(), TwoForwarders> {
        let mut s = lock(&self.shared);
        self.has_routers.store(true, Ordering::Relaxed);
        Arc::make_mut(&mut s.ways).set_router(at, router);
        match *s.forwarders.entry(router.0).or_insert(router) == router {
            true => Ok(()),
            false => Err(TwoForwarders),
        }
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

    /// The turmoil addresses of all hosts.
    pub(crate) fn all_hosts(&self) -> Vec<IpAddr> {
        lock(&self.shared).hosts.keys().copied().collect()
    }

    /// The number of hosts.
    pub(crate) fn hosts(&self) -> usize {
        lock(&self.shared).hosts.len()
    }

    /// Returns `true` if some namespace forwards the packets of others.
    pub(crate) fn has_routers(&self) -> bool {
        self.has_routers.load(Ordering::Relaxed)
    }

    /// The way of packets between namespaces.
    pub(crate) fn ways(&self) -> Arc<Ways<Place>> {
        Arc::clone(&lock(&self.shared).ways)
    }

    /// The next namespace on the way from one to an address.
    pub(crate) fn hop(&self, at: Place, to: IpAddr) -> Hop<Place> {
        lock(&self.shared).ways.hop(at, to)
    }

    /// The namespace of a machine that has an address, if some namespace forwards packets.
    pub(crate) fn owner_of(&self, own: IpAddr, ip: IpAddr) -> Option<usize> {
        if !self.has_routers() {
            return None;
        }
        let s = lock(&self.shared);
        let namespaces = s.namespaces.get(&own).copied().unwrap_or(0);
        (0..namespaces).find(|n| s.ways.hop((own, *n), ip) == Hop::Here)
    }

    /// The namespace of a machine that a packet for an address comes to from another machine, if
    /// some namespace forwards packets.
    pub(crate) fn entry(&self, own: IpAddr, from: IpAddr, to: IpAddr) -> Option<Place> {
        if !self.has_routers() {
            return None;
        }
        let s = lock(&self.shared);
        let forwarder = s.forwarders.get(&own).copied()?;
        let namespaces = s.namespaces.get(&from).copied().unwrap_or(0);
        let mut sent_to = (0..namespaces).filter_map(|n| match s.ways.hop((from, n), to) {
            Hop::To(next) if next.0 == own => Some(next),
            _ => None,
        });
        sent_to.next().or(Some(forwarder))
    }

    /// The name of the host with a turmoil address.
    pub(crate) fn name(&self, host: IpAddr) -> Option<String> {
        let s = lock(&self.shared);
        s.hosts.get(&host).map(|(name, _)| name.clone())
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
