//! Linux's local ports for tests on the crate [`turmoil-net`](::turmoil_net), whose simulated
//! kernels have ports of their own. A feature, `turmoil-net`.
//!
//! turmoil-net moves the bytes. A port model beside it decides what Linux would: every call asks
//! the model first, and addresses are the model's, at both ends.
//!
//! ```
//! use fourtuple_turmoil::Linux;
//! use fourtuple_turmoil::turmoil_net::{LinuxHosts, TcpListener, TcpStream};
//! use turmoil_net::fixture::ClientServer;
//!
//! let hosts = LinuxHosts::new(Linux::kernel("rhel-6.5")?
//!     .sysctl("net.ipv4.ip_local_port_range", "40000 40003")?);
//! let server = hosts.on("server", async {
//!     let listener = TcpListener::bind("0.0.0.0:80").await.unwrap();
//!     let mut held = Vec::new();
//!     loop { held.push(listener.accept().await.unwrap()); }
//! });
//! let client = hosts.on("client", async {
//!     let mut held = Vec::new();
//!     for _ in 0..4 { held.push(TcpStream::connect("server:80").await.unwrap()); }
//!     TcpStream::connect("server:80").await.unwrap_err().raw_os_error()
//! });
//! let refused = ClientServer::new().server("server", server).run("client", client);
//! assert_eq!(refused, Some(99)); // EADDRNOTAVAIL
//! # Ok::<(), fourtuple_turmoil::ConfigError>(())
//! ```
//!
//! The public interface of turmoil-net leaves this open:
//!
//! - Rules and `netstat` show turmoil-net's own ports; the sockets here show Linux's.
//! - The model's packets take no time. With latency a FIN frees a port, and begins TIME-WAIT, up to
//!   a round trip early; a connect over a partition fails when turmoil-net gives up.
//! - UDP and `into_split` are missing, and so are listeners that share a port (`SO_REUSEPORT`) or
//!   that take one whose connections still close: turmoil-net refuses them itself.
//! - Tasks that a host spawns cannot make sockets: turmoil-net would take them for tasks of the
//!   host that ran last.

mod tcp;

pub use tcp::{TcpListener, TcpSocket, TcpStream};

use crate::clock::lock;
use crate::config::Linux;
use crate::host::nanos;
use crate::socket::io_error;
use fourtuple_kernel::{Errno, Seeded, Time, World, WorldNs, WorldSock};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;
use tokio::time::Instant;

/// The Linux hosts of one turmoil-net simulation.
#[derive(Clone)]
pub struct LinuxHosts {
    linux: Linux,
    shared: Arc<Shared>,
}

impl fmt::Debug for LinuxHosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinuxHosts")
            .field("linux", &self.linux)
            .finish_non_exhaustive()
    }
}

impl LinuxHosts {
    /// Hosts with this kernel and these sysctls, unless [`LinuxHosts::linux`] gives one of them
    /// others. Addresses are turmoil-net's.
    #[must_use]
    pub fn new(linux: Linux) -> Self {
        LinuxHosts {
            linux,
            shared: Arc::default(),
        }
    }

    /// The same simulation with another Linux: that of the hosts which are made from the result.
    #[must_use]
    pub fn linux(&self, linux: Linux) -> Self {
        LinuxHosts {
            linux,
            shared: Arc::clone(&self.shared),
        }
    }

    /// Makes a future the software of a host, for turmoil-net's fixtures. `name` is the host's name
    /// or address there.
    pub fn on<F: Future>(
        &self,
        name: &str,
        software: F,
    ) -> impl Future<Output = F::Output> + use<F> {
        let (linux, shared) = (self.linux.clone(), Arc::clone(&self.shared));
        let name = name.to_owned();
        async move {
            // turmoil-net knows the addresses once it runs.
            let host = shared.boot(&name, &linux);
            HOST.scope(host, software).await
        }
    }
}

tokio::task_local! {
    /// The host of the running task.
    static HOST: Host;
}

/// The port model of all hosts.
#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Notified when a connect has ended.
    connected: Notify,
}

#[derive(Default)]
struct State {
    world: World<Seeded>,
    hosts: BTreeMap<String, WorldNs>,
    start: Option<Instant>,
    /// Connects of which turmoil-net has not reported the end.
    connecting: usize,
    /// The model's address of a client, by the connection in turmoil-net.
    clients: BTreeMap<Pair, SocketAddr>,
    /// Connections that the model has accepted for a listener, before their turn.
    early: BTreeSet<(WorldSock, SocketAddr, WorldSock)>,
}

/// A connection in turmoil-net: the address of the client, and the port of the server. The host is
/// that of both if they connect over loopback.
type Pair = (Option<WorldNs>, SocketAddr, u16);

impl Shared {
    fn boot(self: &Arc<Self>, name: &str, linux: &Linux) -> Host {
        let state = &mut *lock(&self.state);
        state.sync();
        let ns = match state.hosts.get(name) {
            Some(ns) => *ns,
            None => state.add(name, linux),
        };
        Host {
            shared: Arc::clone(self),
            ns,
        }
    }
}

impl State {
    /// Sets the model's clock to tokio's.
    fn sync(&mut self) {
        let now = Instant::now();
        let elapsed = now - *self.start.get_or_insert(now);
        let now: Time = World::<Seeded>::START + elapsed;
        if now > self.world.now() {
            self.world.advance(now);
        }
    }

    fn add(&mut self, name: &str, linux: &Linux) -> WorldNs {
        let chooser = Seeded::new(linux.seed, name);
        let machine = self.world.add_machine(linux.behaviours, chooser);
        let ns = self.world.add_namespace(machine);
        let parsed: Option<IpAddr> = name.parse().ok();
        if let Some(ip) = parsed.or_else(|| ::turmoil_net::lookup_host(name)) {
            self.world.add_address(ns, ip);
        }
        for ip in &linux.addresses {
            self.world.add_address(ns, *ip);
        }
        for (key, value) in &linux.sysctls {
            // `Linux::sysctl` has tried it on this kernel.
            let _ = self.world.sysctl(ns, key, value);
        }
        if let Some(length) = linux.time_wait {
            self.world.set_time_wait(ns, nanos(length));
        }
        self.hosts.insert(name.to_owned(), ns);
        ns
    }
}

/// One host.
#[derive(Clone)]
struct Host {
    shared: Arc<Shared>,
    ns: WorldNs,
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Host").field(&self.ns).finish()
    }
}

impl Host {
    /// The host of the running task.
    fn current() -> io::Result<Host> {
        HOST.try_with(Host::clone).map_err(|_| {
            io::Error::other(
                "this task runs on no host with Linux ports: make the host's future with \
                 `LinuxHosts::on`; tasks that it spawns cannot make sockets",
            )
        })
    }

    /// Makes calls on the model.
    fn enter<R>(&self, call: impl FnOnce(&mut State) -> R) -> R {
        let state = &mut *lock(&self.shared.state);
        state.sync();
        call(state)
    }

    /// Makes a call on a socket of the model.
    fn call<T>(&self, call: impl FnOnce(&mut State) -> Result<T, Errno>) -> io::Result<T> {
        self.enter(call).map_err(io_error)
    }
}
