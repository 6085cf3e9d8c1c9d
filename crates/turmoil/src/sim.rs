//! A turmoil simulation whose hosts run Linux.

use crate::config::Linux;
use crate::host::{Namespace, Spec, boot};
use crate::network::Network;
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use turmoil::{Sim, ToIpAddr};

/// Adds [`build_linux`](BuildLinux::build_linux) to turmoil's builder.
pub trait BuildLinux {
    /// Builds a simulation in which every host has Linux ports, configured by `linux` unless
    /// [`LinuxSim::linux`] configures a host differently.
    fn build_linux<'a>(&self, linux: Linux) -> LinuxSim<'a>;
}

impl BuildLinux for turmoil::Builder {
    fn build_linux<'a>(&self, linux: Linux) -> LinuxSim<'a> {
        LinuxSim::new(self.build(), linux)
    }
}

/// turmoil's [`Sim`] with hosts that run Linux. Dereferences to `Sim` for all other methods.
pub struct LinuxSim<'a> {
    sim: Sim<'a>,
    linux: Linux,
    special: BTreeMap<String, Linux>,
    network: Arc<Network>,
}

impl fmt::Debug for LinuxSim<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinuxSim")
            .field("linux", &self.linux)
            .field("network", &self.network)
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
        self.network.end();
    }
}

impl<'a> LinuxSim<'a> {
    /// Gives the hosts that are registered from now on Linux ports.
    #[must_use]
    pub fn new(sim: Sim<'a>, linux: Linux) -> Self {
        LinuxSim {
            sim,
            linux,
            special: BTreeMap::new(),
            network: Network::new(),
        }
    }

    /// Configures the Linux of one host. Call it before [`LinuxSim::host`] or [`LinuxSim::client`]
    /// with that name.
    pub fn linux(&mut self, name: impl Into<String>, linux: Linux) -> &mut Self {
        self.special.insert(name.into(), linux);
        self
    }

    /// [`Sim::client`] on a host with Linux ports.
    pub fn client<F>(&mut self, addr: impl ToIpAddr, client: F)
    where
        F: Future<Output = turmoil::Result> + 'static,
    {
        let board = self.register(addr);
        self.sim.client(board.spec.own, boot(board, client));
    }

    /// [`Sim::host`] with Linux ports. [`Sim::crash`] removes its sockets without a packet;
    /// [`Sim::bounce`] reboots it with an empty port table.
    pub fn host<F, Fut>(&mut self, addr: impl ToIpAddr, host: F)
    where
        F: Fn() -> Fut + 'a,
        Fut: Future<Output = turmoil::Result> + 'static,
    {
        let board = self.register(addr);
        self.sim
            .host(board.spec.own, move || boot(Arc::clone(&board), host()));
    }

    fn register(&mut self, addr: impl ToIpAddr) -> Arc<crate::host::Board> {
        let own = self.sim.lookup(addr);
        let name = self
            .sim
            .reverse_lookup(own)
            .unwrap_or_else(|| own.to_string());
        let linux = self.special.get(&name).unwrap_or(&self.linux).clone();
        self.board(name, own, vec![linux])
    }

    /// Registers a host with several network namespaces, one for each configuration.
    pub(crate) fn board(
        &self,
        name: String,
        own: IpAddr,
        linuxes: Vec<Linux>,
    ) -> Arc<crate::host::Board> {
        let mut all = Vec::new();
        let mut namespaces = Vec::new();
        for linux in linuxes {
            let own = linux.own_address.then_some(own);
            let addresses: Vec<IpAddr> = own
                .into_iter()
                .chain(linux.addresses.iter().copied())
                .collect();
            all.extend_from_slice(&addresses);
            namespaces.push(Namespace { addresses, linux });
        }
        self.network.add_host(&name, own, &all);
        crate::host::Board::new(
            Spec {
                name,
                own,
                namespaces,
            },
            Arc::clone(&self.network),
        )
    }

    /// turmoil's own simulation, for hosts without Linux and hosts with a configuration of their
    /// own.
    pub(crate) fn raw(&mut self) -> &mut Sim<'a> {
        &mut self.sim
    }

    pub(crate) fn network(&self) -> &Arc<Network> {
        &self.network
    }
}
