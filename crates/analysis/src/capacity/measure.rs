//! Connections on the model, counted.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::net::SocketAddr;
use std::task::Poll;

use fourtuple_harness::{EngineError, Net};
use fourtuple_kernel::profile::Profile;
use fourtuple_kernel::{Time, WorldSock};
use fourtuple_program::{Caller, Clock, HostId, NewSocket, SocketApi};
use fourtuple_scenario::{Case, Close, PortRange, Protocol};
use fourtuple_syscall::{Errno, Family, Outcome, SockOpt, Syscall};

use super::recording::{Walk, looked_at};
use super::style::Style;
use super::{Cost, FILLS, Rate};
use crate::chooser::ExperimentChooser;

/// Connects that are counted at each filling.
const PROBES: u32 = 64;
/// A refused program tries again this often, in nanoseconds.
const RETRY: u64 = 100_000_000;
/// Longest wait for a port, in nanoseconds: ten minutes.
const PATIENCE: u64 = 600_000_000_000;
/// Times that a program runs out, after the first, before its rate is known.
const ROUNDS: usize = 3;
/// With more ports than this, once is enough: towards the end of each round a connect() walks
/// through half of them.
const MANY_PORTS: u32 = 4096;

/// A fresh world with the scenario's hosts, and one program that connects.
pub(super) struct Bench<'a> {
    net: Net<ExperimentChooser>,
    style: &'a Style,
    host: usize,
    walk: Walk,
    /// Connections so far, for addresses that are taken in turn.
    turn: usize,
    /// The listeners that a connection to each destination can reach.
    serving: BTreeMap<SocketAddr, Vec<WorldSock>>,
}

/// A connection with its other end.
struct Pair {
    client: WorldSock,
    server: Option<WorldSock>,
}

impl<'a> Bench<'a> {
    pub(super) fn new(
        case: &Case,
        profile: &Profile,
        style: &'a Style,
        all: &[SocketAddr],
    ) -> Result<Self, EngineError> {
        let seed = case.seed;
        let mut net = Net::new(case, profile, &mut |machine| {
            ExperimentChooser::seeded(seed, machine, 0)
        })?;
        net.world.set_explain(false);
        let host = net.host(&style.host)?;
        // Destinations that a program of the scenario serves have no listener here yet.
        for to in all {
            let Some(at) = net.reached(host, to.ip()) else {
                return Err(EngineError::new(format!("no host has the address of {to}")));
            };
            let mut listeners = net.listeners.iter();
            let served = listeners.any(|(on, socket, port)| {
                let ip = net.world.local_addr(*socket).ip();
                *on == at && *port == to.port() && (ip == to.ip() || ip.is_unspecified())
            });
            // A datagram needs no socket at the other end to leave.
            if !served && style.protocol == Protocol::Tcp {
                net.listen(at, *to)?;
            }
        }
        let kernel = net.world.machine(net.hosts[host].ns.machine).behaviours();
        let own_range =
            kernel.local_port_range_option && style.options.local_port_range().is_some();
        let walk = Walk {
            scan: kernel.connect_scan,
            by_one: kernel.local_port_range_step_one && own_range,
        };
        Ok(Bench {
            net,
            style,
            host,
            walk,
            turn: 0,
            serving: BTreeMap::new(),
        })
    }

    /// One connection; without a destination a socket that is only bound.
    fn connect(&mut self, to: Option<SocketAddr>) -> Result<Pair, Errno> {
        let at = match self.style.bind.len() {
            0 => None,
            len => Some(self.style.bind[self.turn % len]),
        };
        let family = Family::for_ends(at, to);
        let client = self.net.socket(&NewSocket {
            at: HostId(self.host as u32),
            by: Caller::Server,
            family,
            kind: self.style.protocol.kind(),
            uid: self.style.uid,
            listens: false,
        });
        let client = client.map_err(errno)?;
        for option in self.style.options.iter() {
            // A kernel without the option refuses it, and programs go on.
            let _ = self.net.call(client, &Syscall::Set { sock: (), option });
        }
        let ends = [at, to].map(|end| end.map(|end| family.map(end)));
        match self.connect_from(client, ends) {
            Ok(()) => {
                self.turn += 1;
                let server = to.filter(|_| self.style.protocol == Protocol::Tcp);
                Ok(Pair {
                    client,
                    server: server.and_then(|to| self.accept(to)),
                })
            }
            Err(errno) => {
                self.net.close(client);
                Err(errno)
            }
        }
    }

    /// Binds a socket if it has an address to bind to, and connects it if it has a destination.
    fn connect_from(
        &mut self,
        client: WorldSock,
        [at, to]: [Option<SocketAddr>; 2],
    ) -> Result<(), Errno> {
        let bind = at.map(|addr| Syscall::Bind { sock: (), addr });
        let connect = to.map(|addr| Syscall::Connect { sock: (), addr });
        for call in bind.into_iter().chain(connect) {
            let mut answer = self.net.call(client, &call);
            while answer.is_pending() {
                let next = self.net.next_event().ok_or(Errno::ETIMEDOUT)?;
                self.net.advance(next);
                answer = self.net.poll_connect(client);
            }
            match answer {
                Poll::Ready(Outcome::Ok(_)) | Poll::Pending => {}
                Poll::Ready(failed) => return Err(errno(failed)),
            }
        }
        Ok(())
    }

    fn accept(&mut self, to: SocketAddr) -> Option<WorldSock> {
        let serving = match self.serving.entry(to) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let at = self.net.reached(self.host, to.ip())?;
                let world = &self.net.world;
                let serves = |socket: &WorldSock| {
                    let ip = world.local_addr(*socket).ip();
                    ip == to.ip() || ip.is_unspecified()
                };
                let all = self.net.listeners.iter();
                let there = all.filter(|(on, _, port)| *on == at && *port == to.port());
                place.insert(there.map(|(_, socket, _)| *socket).filter(serves).collect())
            }
        };
        let mut serving = serving.iter();
        serving.find_map(|listener| Some(self.net.accept(*listener).ok()?.socket))
    }

    fn close(&mut self, pair: &Pair, how: Close) {
        match (how, pair.server) {
            (Close::Server, Some(server)) => {
                self.net.close(server);
                self.net.close(pair.client);
            }
            (Close::Both, Some(server)) => self.net.close_pair(pair.client, server),
            (how, server) => {
                if how == Close::Reset {
                    let option = SockOpt::RESET;
                    // The option cannot fail: every kernel has it.
                    let _ = self
                        .net
                        .call(pair.client, &Syscall::Set { sock: (), option });
                }
                self.net.close(pair.client);
                server.into_iter().for_each(|server| self.net.close(server));
            }
        }
    }

    /// Fills the range with connections to each of some destinations, up to a number: how many
    /// there are, and the answer after that.
    pub(super) fn fill(
        mut self,
        to: &[Option<SocketAddr>],
        most: u32,
    ) -> Result<(u32, Option<String>), EngineError> {
        let mut held = 0;
        let mut then = None;
        for to in to {
            // An odd range refuses now and then although a port is left; a program would try once
            // more.
            let mut refused = 0;
            while refused < 2 && held < most {
                match self.connect(*to) {
                    Ok(_) => held += 1,
                    Err(errno) if no_port(errno) => {
                        refused += 1;
                        then = Some(errno.name().to_owned());
                    }
                    Err(errno) => return Err(failed(*to, errno)),
                }
            }
        }
        Ok((held, then))
    }

    /// Makes connections that are closed at once, as fast as ports allow.
    pub(super) fn rate(mut self, to: Option<SocketAddr>, ports: u32) -> Result<Rate, EngineError> {
        let close = self.style.close;
        let mut rate = Rate {
            close: close.to_string(),
            runs_out_after: None,
            recovers_after: None,
            per_second: None,
            formula: None,
            by: String::new(),
        };
        let mut made: u32 = 0;
        // When the program ran out, and how many connections it had made by then.
        let mut out: Vec<(Time, u32)> = Vec::new();
        let mut refused_at: Option<Time> = None;
        let enough = ports
            .saturating_mul(4)
            .saturating_add(64)
            .saturating_mul(u32::try_from(self.style.bind.len().max(1)).unwrap_or(1));
        loop {
            let now = self.net.world.now();
            match self.connect(to) {
                Ok(pair) => {
                    made += 1;
                    self.close(&pair, close);
                    if let Some(at) = refused_at.take()
                        && rate.recovers_after.is_none()
                    {
                        rate.recovers_after = Some(seconds(now.since(at)));
                    }
                    if out.is_empty() && made >= enough {
                        return Ok(rate);
                    }
                }
                Err(errno) if no_port(errno) => {
                    if refused_at.is_none() {
                        refused_at = Some(now);
                        rate.runs_out_after = rate.runs_out_after.or(Some(made));
                        out.push((now, made));
                        let rounds = if ports > MANY_PORTS { 1 } else { ROUNDS };
                        if out.len() > rounds {
                            break;
                        }
                    }
                    let since = refused_at.map_or(0, |at| now.since(at));
                    if since > PATIENCE {
                        return Ok(rate);
                    }
                    let timer = self.net.world.next_event();
                    let retry = now.after(RETRY);
                    self.net
                        .world
                        .advance(timer.map_or(retry, |timer| timer.clamp(now.after(1), retry)));
                }
                Err(errno) => return Err(failed(to, errno)),
            }
        }
        if let (Some((first, before)), Some((last, after))) = (out.first(), out.last()) {
            let time = seconds(last.since(*first));
            rate.per_second = (time > 0.0).then(|| f64::from(after - before) / time);
        }
        Ok(rate)
    }

    /// Counts the ports that a plain connect() looks at while more and more of the range is in use.
    pub(super) fn cost(
        mut self,
        to: SocketAddr,
        range: PortRange,
        most: u32,
    ) -> Result<Vec<Cost>, EngineError> {
        let machine = self.net.hosts[self.host].ns.machine;
        let mut costs = Vec::new();
        let mut held = 0;
        for fill in FILLS {
            let wanted = u32::try_from(u64::from(most) * u64::from(fill) / 100).unwrap_or(most);
            while held < wanted {
                if self.connect(Some(to)).is_err() {
                    break;
                }
                held += 1;
            }
            let (mut sum, mut largest, mut probes) = (0_u64, 0, 0);
            for _ in 0..PROBES {
                self.net
                    .world
                    .machine_mut(machine)
                    .chooser_mut()
                    .take_start();
                let pair = self.connect(Some(to)).ok();
                // A bound socket's port was not searched by connect().
                let chooser = self.net.world.machine_mut(machine).chooser_mut();
                let Some(start) = chooser.take_start() else {
                    break;
                };
                let port = pair
                    .as_ref()
                    .map(|pair| self.net.world.local_addr(pair.client).port());
                let looked = looked_at(self.walk, range, start, port);
                if let Some(pair) = pair {
                    self.close(&pair, Close::Reset);
                }
                sum += u64::from(looked);
                largest = largest.max(looked);
                probes += 1;
            }
            if probes > 0 {
                let expected = sum as f64 / f64::from(probes);
                costs.push(Cost {
                    fill,
                    expected,
                    most: largest,
                    probes,
                });
            }
        }
        Ok(costs)
    }
}

/// Returns `true` if a call found no port; `EAGAIN` is the answer of UDP's connect().
fn no_port(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::EADDRINUSE | Errno::EADDRNOTAVAIL | Errno::EAGAIN
    )
}

fn failed(to: Option<SocketAddr>, errno: Errno) -> EngineError {
    let what = match to {
        Some(to) => format!("connecting to {to}"),
        None => "binding".to_owned(),
    };
    EngineError::new(format!("{what} fails with {}", errno.name()))
}

/// The errno of a failure.
fn errno(outcome: Outcome) -> Errno {
    match outcome {
        Outcome::Err(errno) => errno,
        _ => Errno::ENOSYS,
    }
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}
