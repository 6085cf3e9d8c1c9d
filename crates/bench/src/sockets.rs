//! The same sequence of socket calls on the model, on turmoil and on fourtuple's sockets for
//! turmoil: connections from one host to one listener until the range is full, then some that find
//! no port.

use crate::clock::best;
use crate::machine::RANGE;
use fourtuple_analysis::capacity::recording::{RecordingChooser, Walk, looked_at};
use fourtuple_kernel::profile::Profile;
use fourtuple_kernel::{Chooser, Errno, Family, Machine, NsId, Seeded, SockId};
use fourtuple_scenario::PortRange;
use fourtuple_turmoil::{BuildLinux, Linux};
use std::net::{Ipv4Addr, SocketAddr};
use std::task::Poll;
use std::time::{Duration, SystemTime};

/// Number of connects on a full range.
pub(crate) const REFUSED: usize = 1000;

/// Nanoseconds per connection while the range fills, and per connect on a full range.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    pub(crate) fill: f64,
    pub(crate) refused: f64,
}

/// Client and server on one host of the model, as on the loopback interface.
struct Loopback<C: Chooser> {
    machine: Machine<C>,
    ns: NsId,
    to: SocketAddr,
}

impl<C: Chooser> Loopback<C> {
    fn new(profile: &Profile, chooser: C) -> Self {
        let mut machine = Machine::new(profile.behaviours, chooser);
        let ns = machine.add_namespace();
        let to = SocketAddr::from((Ipv4Addr::LOCALHOST, 80));
        let listener = machine.socket(ns, Family::Inet, 0);
        machine.bind(listener, to).expect("the port is free");
        machine
            .sysctl(ns, "net.core.somaxconn", "65535")
            .expect("every kernel has it");
        machine.listen(listener, 65_535).expect("it is bound");
        Loopback { machine, ns, to }
    }

    fn connect(&mut self) -> Result<SockId, Errno> {
        let sock = self.machine.socket(self.ns, Family::Inet, 0);
        match self.machine.connect(sock, self.to) {
            Poll::Ready(Ok(())) => Ok(sock),
            Poll::Ready(Err(errno)) => {
                self.machine.close(sock);
                Err(errno)
            }
            Poll::Pending => unreachable!("the loopback interface answers at once"),
        }
    }
}

/// The model.
pub(crate) fn model(profile: &Profile) -> Cost {
    let fill = |host: &mut Loopback<Seeded>| {
        for _ in 0..RANGE {
            host.connect().expect("there is a port");
        }
    };
    let mut full = Loopback::new(profile, Seeded::new(1, "bench"));
    fill(&mut full);
    let refused = best(15, || {
        for _ in 0..REFUSED {
            assert_eq!(full.connect(), Err(Errno::EADDRNOTAVAIL));
        }
    });
    drop(full);
    let filled = best(15, || {
        let mut host = Loopback::new(profile, Seeded::new(1, "bench"));
        fill(&mut host);
        host
    });
    Cost {
        fill: filled / RANGE as f64,
        refused: refused / REFUSED as f64,
    }
}

/// The number of ports that each connect of a fill examines on this kernel, predicted by the model.
pub(crate) fn examined_by_each(profile: &Profile) -> Vec<u32> {
    let mut host = Loopback::new(profile, RecordingChooser::new(1, "bench"));
    let walk = Walk {
        scan: profile.behaviours.connect_scan,
        by_one: false,
    };
    (0..RANGE)
        .map(|_| {
            let sock = host.connect().expect("there is a port");
            let start = host.machine.chooser_mut().start.expect("a search was made");
            let port = host.machine.local_addr(sock).port();
            looked_at(walk, PortRange::new(32_768, 60_999), start, Some(port))
        })
        .collect()
}

fn builder() -> turmoil::Builder {
    let mut builder = turmoil::Builder::new();
    builder
        .epoch(SystemTime::UNIX_EPOCH)
        .rng_seed(1)
        .simulation_duration(Duration::from_secs(3600))
        .min_message_latency(Duration::ZERO)
        .max_message_latency(Duration::ZERO)
        .ephemeral_ports(32_768..=60_999);
    builder
}

/// A program of a turmoil test, with either kind of sockets.
macro_rules! hold {
    ($sim:expr, $net:path) => {{
        use $net::{TcpListener, TcpStream};
        let mut sim = $sim;
        sim.host("server", || async {
            let listener = TcpListener::bind("0.0.0.0:80").await?;
            let mut accepted = Vec::new();
            loop {
                accepted.push(listener.accept().await?);
            }
        });
        sim.client("client", async {
            let mut held = Vec::new();
            for _ in 0..HELD {
                held.push(TcpStream::connect("server:80").await?);
            }
            Ok(())
        });
        sim.run().expect("every connect finds a port");
    }};
}

/// Turmoil's own sockets assign one port less than the range has.
const HELD: usize = 28_000;

/// Nanoseconds per held connection on turmoil's own sockets and on those with Linux's ports.
pub(crate) fn turmoil_sockets() -> (f64, f64) {
    let stock = best(5, || hold!(builder().build(), turmoil::net));
    let linux = best(5, || {
        hold!(
            builder().build_linux(Linux::default()),
            fourtuple_turmoil::net
        )
    });
    (stock / HELD as f64, linux / HELD as f64)
}
