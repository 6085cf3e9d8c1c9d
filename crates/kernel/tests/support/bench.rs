//! A bench: one kernel with a namespace, a host with servers, and sockets.
//!
//! Two set-ups exist, one for each page of worked examples. [`Bench::far`] has the servers on
//! another host, so that only the sockets of the test count on this one; [`Bench::local`] has
//! them on 127.0.0.1 in the same namespace.

use super::{Answer, FixedChooser, kernel};
use fourtuple_kernel::profile::Behaviours;
use fourtuple_kernel::reason::Refusal;
use fourtuple_kernel::{
    BucketView, Errno, Family, Kind, MachineId, Shutdown, SockOpt, State, Time, World, WorldNs,
    WorldSock,
};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::task::Poll;

/// A socket on the bench.
pub type S = WorldSock;

/// Success with this port.
pub const fn ok(port: u16) -> Answer {
    Ok(port)
}

#[derive(Clone)]
pub struct Bench {
    pub w: World<FixedChooser>,
    pub m: MachineId,
    pub ns: WorldNs,
    /// The namespace of the servers.
    pub server_ns: WorldNs,
    /// Local addresses.
    pub a1: &'static str,
    pub a2: &'static str,
    /// Servers that listen and accept.
    pub s1: &'static str,
    pub s2: &'static str,
    pub s3: &'static str,
    listeners: BTreeMap<String, S>,
    children: BTreeMap<S, S>,
}

impl Bench {
    /// Servers on another host: local addresses 10.0.0.1 and 10.0.0.2, range 40000-40003.
    pub fn far(name: &str) -> Self {
        Self::far_with(kernel(name))
    }

    pub fn far_with(b: Behaviours) -> Self {
        let mut k = Self::empty(b);
        let other = k.w.add_machine(b, FixedChooser::default());
        k.server_ns = k.w.add_namespace(other);
        for (ns, ip) in [
            (k.ns, "10.0.0.1"),
            (k.ns, "10.0.0.2"),
            (k.server_ns, "10.0.9.1"),
            (k.server_ns, "10.0.9.2"),
            (k.server_ns, "10.0.9.3"),
        ] {
            k.w.add_address(ns, ip.parse().unwrap());
        }
        (k.a1, k.a2) = ("10.0.0.1", "10.0.0.2");
        (k.s1, k.s2, k.s3) = ("10.0.9.1:80", "10.0.9.2:80", "10.0.9.3:80");
        k.start_servers();
        k.range("40000 40003");
        k
    }

    /// Servers on 127.0.0.1 in the same namespace: local addresses 127.0.0.1 and 127.0.0.2,
    /// servers at ports 5001 to 5003, range 40000-40003.
    pub fn local(name: &str) -> Self {
        Self::local_with(kernel(name))
    }

    pub fn local_with(b: Behaviours) -> Self {
        let mut k = Self::empty(b);
        k.start_servers();
        k.range("40000 40003");
        k
    }

    /// The same without servers and with the kernel's own port range.
    pub fn empty(b: Behaviours) -> Self {
        let mut w = World::new();
        let m = w.add_machine(b, FixedChooser::default());
        let ns = w.add_namespace(m);
        w.set_explain(true);
        Bench {
            w,
            m,
            ns,
            server_ns: ns,
            a1: "127.0.0.1",
            a2: "127.0.0.2",
            s1: "127.0.0.1:5001",
            s2: "127.0.0.1:5002",
            s3: "127.0.0.1:5003",
            listeners: BTreeMap::new(),
            children: BTreeMap::new(),
        }
    }

    fn start_servers(&mut self) {
        for at in [self.s1, self.s2, self.s3] {
            self.serve(at);
        }
    }

    /// A server with `SO_REUSEADDR` that listens there; connections to it are accepted at once.
    pub fn serve(&mut self, at: &str) -> S {
        let l = self.w.socket(self.server_ns, Family::Inet, 0);
        self.w.set_option(l, SockOpt::ReuseAddr(true)).unwrap();
        self.w.bind(l, end(at)).unwrap();
        self.w.listen(l, 128).unwrap();
        self.listeners.insert(at.to_owned(), l);
        l
    }

    // ---- the machine ------------------------------------------------------------------------

    pub fn sysctl(&mut self, key: &str, value: &str) -> Result<(), Errno> {
        let key = if key.contains('.') {
            key.to_owned()
        } else {
            format!("net.ipv4.{key}")
        };
        let r = self.w.sysctl(self.ns, &key, value);
        self.check();
        r
    }

    /// Sets a sysctl that this kernel has.
    pub fn with(&mut self, key: &str, value: &str) -> &mut Self {
        self.sysctl(key, value)
            .unwrap_or_else(|e| panic!("sysctl {key}={value}: {e}"));
        self
    }

    pub fn range(&mut self, text: &str) -> &mut Self {
        self.with("ip_local_port_range", text)
    }

    pub fn chooser(&mut self) -> &mut FixedChooser {
        self.w.machine_mut(self.m).chooser_mut()
    }

    /// The next searches of bind() start here; after these, at 0.
    pub fn draws(&mut self, draws: &[u32]) -> &mut Self {
        self.chooser().draws.extend(draws);
        self
    }

    /// All searches of bind() start here.
    pub fn always(&mut self, draw: u32) -> &mut Self {
        self.chooser().draw = draw;
        self
    }

    /// Time passes.
    pub fn wait_ms(&mut self, ms: u64) -> &mut Self {
        let to = Time(self.w.now().nanos() + ms * 1_000_000);
        self.w.advance(to);
        self.check();
        self
    }

    pub fn wait(&mut self, seconds: u64) -> &mut Self {
        self.wait_ms(seconds * 1000)
    }

    /// Time passes until this many milliseconds after the bench was made.
    pub fn at_ms(&mut self, ms: u64) -> &mut Self {
        self.w
            .advance(Time(World::<FixedChooser>::START.nanos() + ms * 1_000_000));
        self.check();
        self
    }

    fn check(&self) {
        self.w.machine(self.m).assert_invariants();
    }

    // ---- sockets ----------------------------------------------------------------------------

    /// A plain socket of uid 0.
    pub fn tcp(&mut self) -> S {
        self.tcp_as(0)
    }

    pub fn tcp_as(&mut self, uid: u32) -> S {
        self.w.socket(self.ns, Family::Inet, uid)
    }

    pub fn tcp6(&mut self) -> S {
        self.w.socket(self.ns, Family::Inet6, 0)
    }

    /// A plain datagram socket of uid 0.
    pub fn udp(&mut self) -> S {
        self.udp_with(&[])
    }

    pub fn udp_as(&mut self, uid: u32) -> S {
        self.w.socket_of(self.ns, Family::Inet, Kind::Datagram, uid)
    }

    pub fn udp6(&mut self) -> S {
        self.w.socket_of(self.ns, Family::Inet6, Kind::Datagram, 0)
    }

    /// A datagram socket with these options.
    pub fn udp_with(&mut self, options: &[SockOpt]) -> S {
        let s = self.udp_as(0);
        for &option in options {
            self.set(s, option);
        }
        s
    }

    /// sendto() of a byte.
    pub fn sendto(&mut self, s: S, to: &str) -> Answer {
        let r = match self.w.send_to(s, end(to), 1) {
            Poll::Ready(r) => r.map(drop),
            Poll::Pending => Err(Errno::EINPROGRESS),
        };
        self.named(s, r)
    }

    /// recvfrom(): the sender.
    pub fn recvfrom(&mut self, s: S) -> Result<Option<SocketAddr>, Errno> {
        match self.w.recv_from(s, 1) {
            Poll::Ready(r) => r.map(|(_, from)| from),
            Poll::Pending => Ok(None),
        }
    }

    pub fn try_set(&mut self, s: S, opt: SockOpt) -> Result<(), Errno> {
        self.w.set_option(s, opt)
    }

    pub fn set(&mut self, s: S, opt: SockOpt) -> S {
        self.w
            .set_option(s, opt)
            .unwrap_or_else(|e| panic!("{opt:?}: {e}"));
        s
    }

    /// A socket with `SO_REUSEADDR`.
    pub fn ra(&mut self) -> S {
        let s = self.tcp();
        self.set(s, SockOpt::ReuseAddr(true))
    }

    /// A socket with `SO_REUSEPORT`.
    pub fn rp(&mut self) -> S {
        self.rp_as(0)
    }

    pub fn rp_as(&mut self, uid: u32) -> S {
        let s = self.tcp_as(uid);
        self.set(s, SockOpt::ReusePort(true))
    }

    /// A socket with both options.
    pub fn rarp(&mut self) -> S {
        let s = self.ra();
        self.set(s, SockOpt::ReusePort(true))
    }

    // ---- calls ------------------------------------------------------------------------------

    fn named(&mut self, s: S, r: Result<(), Errno>) -> Answer {
        self.check();
        r.map(|()| self.w.local_addr(s).port())
    }

    /// bind() to `address:port`, `[v6]:port`.
    pub fn bind_at(&mut self, s: S, at: &str) -> Answer {
        let r = self.w.bind(s, end(at));
        self.named(s, r)
    }

    /// bind() to an address without brackets, and a port.
    pub fn bind(&mut self, s: S, ip: &str, port: u16) -> Answer {
        let ip: std::net::IpAddr = ip.parse().unwrap();
        let r = self.w.bind(s, SocketAddr::new(ip, port));
        self.named(s, r)
    }

    pub fn listen(&mut self, s: S) -> Answer {
        let r = self.w.listen(s, 128);
        self.named(s, r)
    }

    /// bind() and listen(), both of which must succeed.
    pub fn listener(&mut self, s: S, at: &str) -> S {
        self.bind_at(s, at).unwrap();
        self.listen(s).unwrap();
        s
    }

    /// connect(); if a server of the bench answers, it accepts.
    pub fn connect(&mut self, s: S, to: &str) -> Answer {
        let r = match self.w.connect(s, end(to)) {
            Poll::Ready(r) => r,
            Poll::Pending => Err(Errno::EINPROGRESS),
        };
        if r.is_ok() {
            self.accept_from(s, to);
        }
        self.named(s, r)
    }

    /// The result of a connect() that had to wait.
    pub fn connected(&mut self, s: S) -> Answer {
        let r = match self.w.connect_result(s) {
            Poll::Ready(r) => r,
            Poll::Pending => Err(Errno::EINPROGRESS),
        };
        self.named(s, r)
    }

    fn accept_from(&mut self, s: S, to: &str) {
        if let Some(l) = self.listeners.get(to).copied()
            && let Poll::Ready(Ok(child)) = self.w.accept(l, 0)
        {
            self.children.insert(s, child);
        }
    }

    pub fn accept(&mut self, l: S) -> S {
        match self.w.accept(l, 0) {
            Poll::Ready(Ok(child)) => child,
            other => panic!("accept: {other:?}"),
        }
    }

    /// bind() to port 0 of an address and connect(), both of which must succeed.
    pub fn bound_pair(&mut self, ip: &str, to: &str) -> S {
        let s = self.tcp();
        self.bind(s, ip, 0).unwrap();
        self.connect(s, to).unwrap();
        s
    }

    /// connect() without bind(), which must succeed.
    pub fn unbound_pair(&mut self, to: &str) -> S {
        let s = self.tcp();
        self.connect(s, to).unwrap();
        s
    }

    /// connect() of a new plain socket without bind().
    pub fn unbound(&mut self, to: &str) -> Answer {
        let s = self.tcp();
        self.connect(s, to)
    }

    /// The server's end of a connection.
    pub fn peer(&self, s: S) -> S {
        self.children[&s]
    }

    pub fn close(&mut self, s: S) {
        self.w.close(s);
        self.check();
    }

    /// Closes this end first, then the server's: this end's port goes into TIME-WAIT.
    pub fn close_first(&mut self, s: S) {
        let child = self.children.remove(&s);
        self.close(s);
        if let Some(c) = child {
            self.close(c);
        }
    }

    /// Closes the server's end first: no TIME-WAIT on this side.
    pub fn close_last(&mut self, s: S) {
        if let Some(c) = self.children.remove(&s) {
            self.close(c);
        }
        self.close(s);
    }

    /// Closes with a reset: no TIME-WAIT anywhere.
    pub fn reset(&mut self, s: S) {
        self.set(s, SockOpt::Linger(Some(0)));
        self.close(s);
        if let Some(c) = self.children.remove(&s) {
            self.close(c);
        }
    }

    pub fn shutdown(&mut self, s: S, how: Shutdown) {
        self.w.shutdown(s, how).unwrap();
        self.check();
    }

    pub fn disconnect(&mut self, s: S) {
        self.w.disconnect(s).unwrap();
        self.check();
    }

    // ---- looking ----------------------------------------------------------------------------

    /// The name that getsockname() prints.
    pub fn name(&self, s: S) -> String {
        self.w.local_addr(s).to_string()
    }

    pub fn state(&self, s: S) -> State {
        self.w.state(s)
    }

    pub fn holds_port(&self, s: S) -> bool {
        self.w.machine(s.machine).holds_port(s.sock)
    }

    /// `fastreuse` and `fastreuseport` of a port's bucket.
    pub fn values(&self, port: u16) -> Option<(i8, i8)> {
        self.bucket(port).map(|b| (b.fastreuse, b.fastreuseport))
    }

    pub fn bucket(&self, port: u16) -> Option<BucketView> {
        self.w.bucket(self.ns, port)
    }

    /// Ports above the servers' that are held by something.
    pub fn held(&self) -> Vec<u16> {
        self.w
            .buckets(self.ns)
            .iter()
            .map(|b| b.port)
            .filter(|p| *p > 6000)
            .collect()
    }

    pub fn refusal(&mut self) -> Option<Refusal> {
        self.w.take_refusal()
    }

    /// The milliseconds for which a port is still held, `None` if for more than `limit`.
    pub fn held_for(&mut self, port: u16, limit: u64) -> Option<u64> {
        for ms in 0..=limit {
            if self.bucket(port).is_none() {
                return Some(ms);
            }
            let to = Time(self.w.now().nanos() + 1_000_000);
            self.w.advance(to);
        }
        None
    }
}

/// Parses `address:port`.
pub fn end(at: &str) -> SocketAddr {
    at.parse()
        .unwrap_or_else(|_| panic!("`{at}` is not an address with a port"))
}
