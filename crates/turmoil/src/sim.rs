//! A turmoil simulation whose hosts run Linux.

use crate::carrier::PORTS;
use crate::config::Linux;
use crate::host::{Kernels, Namespace, Role, Spec, boot};
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::ops::{Deref, DerefMut, RangeInclusive};
use std::sync::Arc;
use turmoil::{Sim, ToIpAddr};

/// The sysctl of the ephemeral ports.
const RANGE: &str = "net.ipv4.ip_local_port_range";

/// turmoil's [`Sim`] with hosts that run Linux. Dereferences to `Sim` for all other methods.
pub struct LinuxSim<'a> {
    sim: Sim<'a>,
    linux: Linux,
    /// The configurations of single hosts, and whether the host has been registered.
    special: BTreeMap<String, (Linux, bool)>,
    /// The range of hosts that do not write the sysctl.
    ports: Option<RangeInclusive<u16>>,
    kernels: Arc<Kernels>,
}

impl fmt::Debug for LinuxSim<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinuxSim")
            .field("linux", &self.linux)
            .field("kernels", &self.kernels)
            .finish_non_exhaustive()
    }
}

impl<'a> Deref for LinuxSim<'a> {
    type Target = Sim<'a>;

    fn deref(&self) -> &Sim<'a> {
        &self.sim
    }
}

impl DerefMut for LinuxSim<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.sim
    }
}

impl Drop for LinuxSim<'_> {
    fn drop(&mut self) {
        // Before the tasks are dropped, so that closing thousands of sockets has no effects.
        self.kernels.end();
    }
}

impl<'a> LinuxSim<'a> {
    /// Gives the hosts that are registered from now on Linux ports. For simulations that were not
    /// built with [`BuildLinux::build_linux`](crate::BuildLinux::build_linux), for example with an
    /// RNG of the test's own: their `ephemeral_ports`, `tcp_capacity` and `udp_capacity` bound the
    /// carrier, and should be turmoil's defaults or larger.
    #[must_use]
    pub fn new(sim: Sim<'a>, linux: Linux) -> Self {
        Self::with_ports(sim, linux, None, PORTS)
    }

    /// With the ephemeral ports that the builder chose, and a number of carrier ports.
    pub(crate) fn with_ports(
        sim: Sim<'a>,
        linux: Linux,
        ports: Option<RangeInclusive<u16>>,
        carrier_ports: u16,
    ) -> Self {
        LinuxSim {
            sim,
            linux,
            special: BTreeMap::new(),
            ports,
            kernels: Kernels::new(carrier_ports),
        }
    }

    /// Configures the Linux of one host. Call it before [`LinuxSim::host`] or [`LinuxSim::client`]
    /// with that name.
    ///
    /// # Panics
    /// If the host has been registered: its kernel has booted.
    pub fn linux(&mut self, name: impl Into<String>, linux: Linux) -> &mut Self {
        let name = name.into();
        assert!(
            self.kernels.network.resolve(&name).is_none(),
            "host `{name}` is registered already: call `linux` before `host` or `client`"
        );
        self.special.insert(name, (linux, false));
        self
    }

    /// [`Sim::run`].
    ///
    /// # Errors
    /// As there, and if [`LinuxSim::linux`] has configured a host that was not registered.
    pub fn run(&mut self) -> turmoil::Result {
        let missing = self.special.iter().find(|(_, (_, known))| !known);
        if let Some((name, _)) = missing {
            return Err(format!(
                "`linux` configures the host `{name}`, and no host of that name is registered"
            )
            .into());
        }
        self.sim.run()
    }

    /// [`Sim::is_host_running`]: `false` once the software has ended, although the kernel goes on.
    pub fn is_host_running(&mut self, addr: impl ToIpAddr) -> bool {
        let own = self.sim.lookup(addr);
        self.sim.is_host_running(own) && !self.kernels.has_exited(&self.name(own))
    }

    /// [`Sim::client`] on a host with Linux ports.
    pub fn client<F>(&mut self, addr: impl ToIpAddr, client: F)
    where
        F: Future<Output = turmoil::Result> + 'static,
    {
        let board = self.register(addr);
        self.kernels.network.add_client();
        self.sim
            .client(board.spec.own, boot(board, Role::Client, client));
    }

    /// [`Sim::host`] with Linux ports. [`Sim::crash`] removes its sockets without a packet;
    /// [`Sim::bounce`] reboots it with an empty port table.
    pub fn host<F, Fut>(&mut self, addr: impl ToIpAddr, host: F)
    where
        F: Fn() -> Fut + 'a,
        Fut: Future<Output = turmoil::Result> + 'static,
    {
        let board = self.register(addr);
        self.sim.host(board.spec.own, move || {
            boot(Arc::clone(&board), Role::Host, host())
        });
    }

    fn register(&mut self, addr: impl ToIpAddr) -> Arc<crate::host::Board> {
        let own = self.sim.lookup(addr);
        let name = self.name(own);
        let linux = match self.special.get_mut(&name) {
            Some((linux, known)) => {
                *known = true;
                linux.clone()
            }
            None => self.linux.clone(),
        };
        let linux = self.with_range(linux);
        self.board(name, own, vec![linux])
    }

    /// The name of a host; its address if it has none.
    fn name(&self, own: IpAddr) -> String {
        self.sim
            .reverse_lookup(own)
            .unwrap_or_else(|| own.to_string())
    }

    /// Gives a configuration the builder's ephemeral ports, unless it writes the sysctl.
    fn with_range(&self, linux: Linux) -> Linux {
        let Some(ports) = &self.ports else {
            return linux;
        };
        if linux.sysctls.iter().any(|(key, _)| key == RANGE) {
            return linux;
        }
        let value = format!("{} {}", ports.start(), ports.end());
        let before = linux.clone();
        linux.sysctl(RANGE, &value).unwrap_or_else(|error| {
            tracing::warn!(%error, "the builder's ephemeral ports are left out");
            before
        })
    }

    /// Registers a host with several network namespaces, one for each configuration.
    pub(crate) fn board(
        &self,
        name: String,
        own: IpAddr,
        linuxes: Vec<Linux>,
    ) -> Arc<crate::host::Board> {
        let mut namespaces = Vec::new();
        for linux in linuxes {
            let own = linux.own_address.then_some(own);
            let addresses: Vec<IpAddr> = own
                .into_iter()
                .chain(linux.addresses.iter().copied())
                .collect();
            namespaces.push(Namespace { addresses, linux });
        }
        let addresses: Vec<Vec<IpAddr>> =
            namespaces.iter().map(|one| one.addresses.clone()).collect();
        self.kernels.network.add_host(&name, own, &addresses);
        self.kernels.host_added();
        crate::host::Board::new(
            Spec {
                name,
                own,
                namespaces,
            },
            Arc::clone(&self.kernels),
        )
    }

    /// turmoil's own simulation, for hosts without Linux and hosts with a configuration of their
    /// own.
    pub(crate) fn raw(&mut self) -> &mut Sim<'a> {
        &mut self.sim
    }

    pub(crate) fn kernels(&self) -> &Arc<Kernels> {
        &self.kernels
    }
}
