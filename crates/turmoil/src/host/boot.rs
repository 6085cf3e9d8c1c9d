//! What runs on a turmoil host beside its software.

use super::kernel::{Kernel, Registration};
use super::state::Spec;
use crate::carrier;
use crate::network::Network;
use fourtuple_kernel::Time;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;
use turmoil::net::UdpSocket;

/// What is the same for all boots of a host.
#[derive(Debug)]
pub(crate) struct Board {
    pub(crate) spec: Spec,
    pub(crate) network: Arc<Network>,
    boots: AtomicU64,
}

impl Board {
    pub(crate) fn new(spec: Spec, network: Arc<Network>) -> Arc<Self> {
        Arc::new(Board {
            spec,
            network,
            boots: AtomicU64::new(0),
        })
    }
}

/// Takes the kernel down when the host's software ends before its time.
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

/// Boots Linux on the present turmoil host and runs its software.
pub(crate) async fn boot<F: Future>(board: Arc<Board>, software: F) -> F::Output {
    let nth = board.boots.fetch_add(1, Ordering::Relaxed) + 1;
    let kernel = Kernel::new(&board.spec, nth, Arc::clone(&board.network));
    board
        .network
        .set_kernel(&board.spec.name, Arc::clone(&kernel));
    let mut power = Power {
        kernel: Arc::clone(&kernel),
        finished: false,
    };
    let registration = Registration::new(&kernel);
    let any: IpAddr = match board.spec.own {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    match carrier::listen(&kernel, any).await {
        Ok(sender) => {
            tokio::task::spawn_local(pump(Arc::clone(&kernel), sender, registration));
        }
        Err(error) => panic!(
            "{}: the carrier cannot use its turmoil ports: {error}",
            kernel.name
        ),
    }
    let output = software.await;
    power.finished = true;
    output
}

/// Sends what the kernel has to send and wakes it for its timers.
async fn pump(kernel: Arc<Kernel>, sender: UdpSocket, registration: Registration) {
    let _registration = registration;
    loop {
        kernel.enter(|_| ());
        carrier::flush(&kernel, &sender);
        let wait = kernel
            .enter(super::State::next_event)
            .and_then(|at| until(&kernel, at));
        tokio::select! {
            biased;
            () = kernel.pump.notified() => {}
            () = sleep(wait) => {}
        }
    }
}

/// How long until an instant of the kernel's clock; none if that follows
/// somebody else's.
fn until(kernel: &Kernel, at: Time) -> Option<Duration> {
    let wait = kernel.network.until(at)?;
    // A timer that is due and did nothing must not spin.
    Some(wait.max(Duration::from_millis(1)))
}

async fn sleep(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep_until(Instant::now() + wait).await,
        None => std::future::pending().await,
    }
}
