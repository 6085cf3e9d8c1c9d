//! The tasks of a turmoil host besides its software.

use super::kernel::{Kernel, Kernels, Registration};
use super::state::Spec;
use crate::carrier::{Outgoing, Ports};
use fourtuple_kernel::time::MS;
use std::future::{Future, pending};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The configuration that all boots of a host share.
#[derive(Debug)]
pub(crate) struct Board {
    pub(crate) spec: Spec,
    pub(crate) kernels: Arc<Kernels>,
    boots: AtomicU64,
}

impl Board {
    pub(crate) fn new(spec: Spec, kernels: Arc<Kernels>) -> Arc<Self> {
        Arc::new(Board {
            spec,
            kernels,
            boots: AtomicU64::new(0),
        })
    }
}

/// Shuts the kernel down when the host's software is cancelled.
struct Power {
    kernel: Arc<Kernel>,
    finished: bool,
}

impl Drop for Power {
    fn drop(&mut self) {
        if !self.finished {
            self.kernel.enter(super::State::crash);
        }
    }
}

/// The role of a host in turmoil: the simulation ends with its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Registered by `client`.
    Client,
    /// Registered by `host`.
    Host,
}

/// Boots Linux on the current turmoil host and runs its software.
///
/// turmoil runs a host only as long as its software. A kernel outlives its programs: it still
/// acknowledges FINs and refuses connections. After its software has ended without an error, a host
/// therefore stays until the simulation ends, and a client until the last client has ended.
pub(crate) async fn boot(
    board: Arc<Board>,
    role: Role,
    software: impl Future<Output = turmoil::Result>,
) -> turmoil::Result {
    let nth = board.boots.fetch_add(1, Ordering::Relaxed) + 1;
    let kernel = Kernel::new(&board.spec, nth, &board.kernels);
    board.kernels.add(&kernel);
    let mut power = Power {
        kernel: Arc::clone(&kernel),
        finished: false,
    };
    let registration = Registration::new(&kernel);
    let any: IpAddr = match board.spec.own {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let ports = Ports::open(&kernel, any).await;
    let ports = ports.unwrap_or_else(|error| no_ports(&kernel, &error));
    tokio::task::spawn_local(pump(Arc::clone(&kernel), ports, registration));
    let output = software.await;
    kernel.enter(super::State::exit);
    if output.is_ok() {
        match role {
            Role::Client => board.kernels.network.client_ended().await,
            Role::Host => pending().await,
        }
    }
    power.finished = true;
    output
}

/// Panics because the software of the host uses turmoil's own sockets on the carrier's ports, which
/// is a bug of the test.
fn no_ports(kernel: &Kernel, error: &std::io::Error) -> ! {
    panic!(
        "{}: the carrier cannot use its turmoil ports: {error}",
        kernel.name
    )
}

/// Sends the kernel's segments and fires its timers.
async fn pump(kernel: Arc<Kernel>, mut ports: Ports, registration: Registration) {
    let _registration = registration;
    loop {
        if let Err(error) = ports.open_more(&kernel).await {
            no_ports(&kernel, &error);
        }
        let (outgoing, next) = kernel.enter(|s| {
            // A timer that is due and has no effect must not spin.
            let soon = s.machine.now().after(MS);
            let next = s.next_event().map(|at| at.max(soon));
            (Outgoing::take(s), next)
        });
        outgoing.send(&kernel, &ports);
        tokio::select! {
            biased;
            () = kernel.pump.notified() => {}
            () = kernel.network.sleep_until(next) => {}
        }
    }
}
