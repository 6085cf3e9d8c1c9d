//! A machine to measure: one namespace with the default range of Linux, and a network beyond it
//! that answers every SYN and every FIN at once and keeps nothing, so that only the measured
//! machine costs time.

pub(crate) mod rounds;

use fourtuple_kernel::{
    Behaviours, Errno, Family, Machine, NsId, Seeded, SegKind, SockId, SockOpt, profile,
};
use std::net::{Ipv4Addr, SocketAddr};
use std::task::Poll;

/// The default range, 32768-60999.
pub(crate) const RANGE: usize = 28_232;

/// The address that everything is bound to and connects from.
pub(crate) const SOURCE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

/// The n-th destination.
pub(crate) fn destination(n: usize) -> SocketAddr {
    let [.., high, low] = n.to_be_bytes();
    (Ipv4Addr::new(10, 1, high, low), 3000).into()
}

/// The number of ports in this percentage of the range.
pub(crate) fn share(percent: usize) -> usize {
    RANGE * percent / 100
}

/// The machine.
#[derive(Clone)]
pub(crate) struct Bench {
    /// The kernel that is measured.
    pub(crate) machine: Machine,
    /// Its namespace.
    pub(crate) ns: NsId,
}

impl Bench {
    /// A machine with nothing on it.
    pub(crate) fn new(kernel: &str) -> Self {
        let machine = Machine::new(Self::behaviours(kernel), Self::chance());
        Self::on(machine)
    }

    fn behaviours(kernel: &str) -> Behaviours {
        let profile = profile::find(kernel);
        profile.expect("a kernel that the model knows").behaviours
    }

    fn chance() -> Seeded {
        Seeded::new(1, "bench")
    }

    /// Sets up a machine that has just booted.
    fn on(mut machine: Machine) -> Self {
        let ns = machine.add_namespace();
        machine.add_address(ns, SOURCE.into());
        machine.set_routed(ns, true);
        machine
            .sysctl(ns, "net.ipv4.ip_local_port_range", "32768 60999")
            .expect("every kernel takes the default range");
        Bench { machine, ns }
    }

    /// A machine with this many connections, spread evenly over so many destinations.
    pub(crate) fn connected(kernel: &str, connections: usize, destinations: usize) -> Self {
        let mut bench = Self::new(kernel);
        bench.connect_all(connections, destinations);
        bench
    }

    /// Makes this many connections, spread evenly over so many destinations.
    pub(crate) fn connect_all(&mut self, connections: usize, destinations: usize) {
        for n in 0..connections {
            self.connect(destination(n % destinations))
                .expect("there is a port");
        }
    }

    /// A machine on which bind() to port 0 has taken this many ports, so that no connect() without
    /// bind() may use them.
    pub(crate) fn poisoned(kernel: &str, ports: usize) -> Self {
        let mut bench = Self::new(kernel);
        for _ in 0..ports {
            bench.bind().expect("there is a port");
        }
        bench
    }

    /// A new socket.
    pub(crate) fn socket(&mut self) -> SockId {
        self.machine.socket(self.ns, Family::Inet, 0)
    }

    /// socket() and bind() to port 0 of the machine's own address.
    pub(crate) fn bind(&mut self) -> Result<SockId, Errno> {
        let sock = self.socket();
        match self.machine.bind(sock, (SOURCE, 0).into()) {
            Ok(()) => Ok(sock),
            Err(errno) => {
                self.machine.close(sock);
                Err(errno)
            }
        }
    }

    /// socket() and connect(), up to the established connection.
    pub(crate) fn connect(&mut self, to: SocketAddr) -> Result<SockId, Errno> {
        let sock = self.socket();
        let mut answer = self.machine.connect(sock, to);
        if answer == Poll::Pending {
            self.answer();
            answer = self.machine.connect_result(sock);
        }
        match answer {
            Poll::Ready(Ok(())) => Ok(sock),
            Poll::Ready(Err(errno)) => {
                self.machine.close(sock);
                Err(errno)
            }
            Poll::Pending => unreachable!("the network answers every SYN"),
        }
    }

    /// close(), which leaves a TIME-WAIT.
    pub(crate) fn close(&mut self, sock: SockId) {
        self.machine.close(sock);
        self.answer();
    }

    /// close() with `SO_LINGER` and no time: a reset, and nothing is left.
    pub(crate) fn abort(&mut self, sock: SockId) {
        self.machine
            .set_option(sock, SockOpt::Linger(Some(0)))
            .expect("every kernel knows the option");
        self.machine.close(sock);
        self.answer();
    }

    /// Lets the network answer what the machine has sent.
    fn answer(&mut self) {
        while let Some((ns, segment)) = self.machine.segment() {
            match segment.kind() {
                SegKind::Syn => self.machine.deliver(ns, segment.reply(SegKind::SynAck)),
                SegKind::Fin => {
                    let fin = segment.reply(SegKind::Fin).with_saw_fin(true);
                    self.machine.deliver(ns, fin.with_kind(SegKind::Ack));
                    self.machine.deliver(ns, fin);
                }
                _ => {}
            }
        }
    }
}
