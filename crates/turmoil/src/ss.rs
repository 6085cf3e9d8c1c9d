//! The sockets and ports of a host, for assertions and for the messages of failed ones.

use crate::host::{Kernel, current};
use crate::sim::LinuxSim;
use fourtuple_kernel::{BucketView, NsId, SocketView, State, Time};
use std::fmt;
use std::io;
use std::sync::Arc;

/// A snapshot of the sockets and bind buckets of a host. `Display` formats the sockets like `ss
/// -tan`, followed by the buckets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ss {
    /// The name of the host.
    pub host: String,
    /// The kernel's clock at that time.
    pub now: Time,
    /// Sockets, including TIME-WAIT sockets, ordered by local and remote address.
    pub sockets: Vec<SocketView>,
    /// Ports in use, with `fastreuse`, `fastreuseport` and their owners.
    pub buckets: Vec<BucketView>,
}

impl Ss {
    fn of(kernel: &Arc<Kernel>) -> Self {
        kernel.enter(|s| {
            let spaces: Vec<NsId> = s.namespaces.iter().map(|(ns, _)| *ns).collect();
            Ss {
                host: kernel.name.clone(),
                now: s.machine.now(),
                sockets: spaces
                    .iter()
                    .flat_map(|&ns| s.machine.sockets(ns))
                    .collect(),
                buckets: spaces
                    .iter()
                    .flat_map(|&ns| s.machine.buckets(ns))
                    .collect(),
            }
        })
    }

    /// The number of sockets in a state.
    #[must_use]
    pub fn count(&self, state: State) -> usize {
        self.sockets.iter().filter(|s| s.state == state).count()
    }

    /// The bucket of a port, if it is in use.
    #[must_use]
    pub fn port(&self, port: u16) -> Option<&BucketView> {
        self.buckets.iter().find(|b| b.port == port)
    }
}

impl fmt::Display for Ss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: {} sockets, {} ports in use",
            self.host,
            self.sockets.len(),
            self.buckets.len()
        )?;
        for socket in &self.sockets {
            write!(f, "  {socket}")?;
            if let Some(expires) = socket.expires {
                let left = expires - self.now;
                write!(
                    f,
                    "  (ends in {}.{:03} s)",
                    left.as_secs(),
                    left.subsec_millis()
                )?;
            }
            writeln!(f)?;
        }
        for bucket in &self.buckets {
            let skipped = if bucket.blocks_connect() {
                ", skipped by connect()"
            } else {
                ""
            };
            writeln!(
                f,
                "  port {}: fastreuse {}, fastreuseport {}{skipped}, held by {}",
                bucket.port,
                bucket.fastreuse,
                bucket.fastreuseport,
                bucket.owners.join("; ")
            )?;
        }
        Ok(())
    }
}

/// Returns the sockets and ports of a host of the running simulation, by its name. Callable from a
/// task of any Linux host; [`LinuxSim::ss`] works outside of them.
///
/// # Errors
///
///
/// If the calling task does not run on a Linux host, or no Linux host of that name has booted.
///
/// ```
/// # use fourtuple_turmoil::{BuildLinux, Linux, State, net::TcpListener, ss};
/// # fn main() -> turmoil::Result {
/// let mut sim = turmoil::Builder::new().build_linux(Linux::default());
/// sim.client("app", async {
///     let _listener = TcpListener::bind("0.0.0.0:80").await?;
///     let ss = ss("app")?;
///     assert_eq!(ss.count(State::Listen), 1, "{ss}");
///     Ok(())
/// });
/// sim.run()
/// # }
/// ```
pub fn ss(host: impl AsRef<str>) -> io::Result<Ss> {
    find(current()?.kernels.get(host.as_ref()), host.as_ref())
}

fn find(kernel: Option<Arc<Kernel>>, host: &str) -> io::Result<Ss> {
    let kernel = kernel.ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::NotFound,
            format!("no Linux host named {host} has booted"),
        )
    })?;
    Ok(Ss::of(&kernel))
}

impl LinuxSim<'_> {
    /// Returns the sockets and ports of a host, between two steps of the simulation.
    ///
    /// # Errors
    ///
    /// If no Linux host of that name has booted.
    pub fn ss(&self, host: impl AsRef<str>) -> io::Result<Ss> {
        find(self.kernels().get(host.as_ref()), host.as_ref())
    }
}
