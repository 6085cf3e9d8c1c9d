//! Port states: the ports of every host after each call, to step through a run: bind buckets, UDP
//! sockets, and the flows of NAT hosts.

use std::collections::BTreeMap;

use fourtuple_harness::{EngineError, Model, Name, Net};
use fourtuple_kernel::nat::TcpState;
use fourtuple_kernel::profile::Profile;
use fourtuple_kernel::{Kind, Seeded, WorldNs};
use fourtuple_scenario::{Case, NatSource, PortRange};

use crate::edit;
use crate::port_timeline::Kinds;

/// The ports that masquerade selects from without a range of its own.
const NAT_PORTS: PortRange = PortRange {
    low: 1024,
    high: u16::MAX,
};

/// The ports of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortStates {
    /// The tables of all hosts.
    pub tables: Vec<PortTable>,
    /// The states in order; the first one is that before the first call.
    pub states: Vec<PortState>,
    /// True if the run makes more calls than were recorded.
    pub truncated: bool,
}

/// The ports of a host in one of its tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortTable {
    /// The host.
    pub host: Name,
    /// The kind of table.
    pub kind: TableKind,
    /// The ports that are selected from.
    pub range: PortRange,
}

/// A table of ports. TCP, UDP and NAT count their ports apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableKind {
    /// The bind buckets of TCP.
    BindBuckets,
    /// The ports of UDP sockets.
    UdpSockets,
    /// The ports by which a NAT host replaced those of its clients.
    NatFlows,
}

impl TableKind {
    const ALL: [TableKind; 3] = [
        TableKind::BindBuckets,
        TableKind::UdpSockets,
        TableKind::NatFlows,
    ];

    /// Its name for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            TableKind::BindBuckets => "Bind buckets",
            TableKind::UdpSockets => "UDP sockets",
            TableKind::NatFlows => "NAT flows",
        }
    }
}

/// The changes of one call, or of the time before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortState {
    /// Virtual time since the start.
    pub at_ns: u64,
    /// The number of calls so far.
    pub calls: usize,
    /// The ports that changed since the state before.
    pub changes: Vec<PortChange>,
}

/// A port that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortChange {
    /// The table, by its place in [`PortStates::tables`].
    pub table: usize,
    /// The port.
    pub port: u16,
    /// Its use from now on; none if it became free.
    pub now: Option<PortView>,
}

/// A port in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortView {
    /// Its use in a word.
    pub what: &'static str,
    /// `fastreuse` and `fastreuseport` of a bind bucket.
    pub marks: Option<(i8, i8)>,
    /// The owners of the port, in words.
    pub owners: Vec<String>,
}

/// Runs a case on the model and records the ports of all hosts after each of the first
/// `most_calls` calls.
///
/// # Errors
/// When the model cannot run the case.
pub fn port_states(
    case: &Case,
    profile: &Profile,
    most_calls: usize,
) -> Result<PortStates, EngineError> {
    let tables: Vec<PortTable> = (case.hosts.keys())
        .flat_map(|name| TableKind::ALL.map(|kind| table(case, profile, name, kind)))
        .collect();
    let mut recorder = Recorder {
        ports: vec![BTreeMap::new(); tables.len()],
        kinds: vec![BTreeMap::new(); case.hosts.len()],
        made: PortStates {
            tables,
            states: Vec::new(),
            truncated: false,
        },
    };
    Model::watched(case, profile, &mut |net, moment| {
        if moment.calls > most_calls {
            recorder.made.truncated = true;
            return;
        }
        recorder.look(net, moment.calls);
    })?;
    Ok(recorder.made)
}

fn table(case: &Case, profile: &Profile, host: &str, kind: TableKind) -> PortTable {
    let source = case.hosts[host].nat.as_ref();
    let range = match (kind, source.and_then(|nat| nat.source.as_ref())) {
        (TableKind::NatFlows, Some(NatSource::Linux { ports, .. })) => ports.unwrap_or(NAT_PORTS),
        (TableKind::NatFlows, _) => NAT_PORTS,
        _ => edit::range_of(case, host, profile.behaviours.range_high),
    };
    PortTable {
        host: host.into(),
        kind,
        range,
    }
}

type Ports = BTreeMap<u16, PortView>;

struct Recorder {
    /// The ports of each table.
    ports: Vec<Ports>,
    /// The owners of the buckets of each host, as they were known before.
    kinds: Vec<BTreeMap<u16, Kinds>>,
    made: PortStates,
}

impl Recorder {
    fn look(&mut self, net: &Net<Seeded>, calls: usize) {
        let mut changes = Vec::new();
        for (n, host) in net.hosts.iter().enumerate() {
            let now = [
                self.buckets(net, n, host.ns),
                datagrams(net, host.ns),
                flows(net, host.ns),
            ];
            for (kind, now) in now.into_iter().enumerate() {
                let table = n * TableKind::ALL.len() + kind;
                let before = std::mem::replace(&mut self.ports[table], now);
                let now = &self.ports[table];
                let change = |port: &u16, now: Option<&PortView>| PortChange {
                    table,
                    port: *port,
                    now: now.cloned(),
                };
                let changed = now
                    .iter()
                    .filter(|(port, view)| before.get(*port) != Some(*view));
                changes.extend(changed.map(|(port, view)| change(port, Some(view))));
                let gone = before.keys().filter(|port| !now.contains_key(*port));
                changes.extend(gone.map(|port| change(port, None)));
            }
        }
        let last = self.made.states.last();
        if !changes.is_empty() || last.is_none_or(|last| last.calls != calls) {
            self.made.states.push(PortState {
                at_ns: net.elapsed(),
                calls,
                changes,
            });
        }
    }

    /// The bind buckets of a host.
    fn buckets(&mut self, net: &Net<Seeded>, host: usize, ns: WorldNs) -> Ports {
        let mut before = std::mem::take(&mut self.kinds[host]);
        let mut ports = Ports::new();
        for bucket in net.world.buckets(ns) {
            let mut kinds = before.remove(&bucket.port).unwrap_or_default();
            kinds.follow(&bucket);
            let view = PortView {
                what: kinds.what(&bucket).word(),
                marks: Some((bucket.fastreuse, bucket.fastreuseport)),
                owners: bucket.owners,
            };
            self.kinds[host].insert(bucket.port, kinds);
            ports.insert(bucket.port, view);
        }
        ports
    }
}

/// The ports of the UDP sockets of a host.
fn datagrams(net: &Net<Seeded>, ns: WorldNs) -> Ports {
    let mut ports = Ports::new();
    for socket in net.world.sockets(ns) {
        if socket.kind != Kind::Datagram || socket.local.port() == 0 {
            continue;
        }
        let view = ports.entry(socket.local.port()).or_insert(PortView {
            what: "unconnected",
            marks: None,
            owners: Vec::new(),
        });
        match socket.remote {
            Some(remote) => {
                view.what = "connected";
                view.owners.push(format!("{} -> {remote}", socket.local));
            }
            None => view.owners.push(socket.local.to_string()),
        }
    }
    ports
}

/// The ports that a NAT host has given to connections.
fn flows(net: &Net<Seeded>, ns: WorldNs) -> Ports {
    let mut ports = Ports::new();
    for flow in net.world.nat_flows(ns) {
        let open = matches!(
            flow.state,
            TcpState::SynSent | TcpState::SynRecv | TcpState::Established | TcpState::SynSent2
        );
        let view = ports.entry(flow.passage.source.port()).or_insert(PortView {
            what: "closing",
            marks: None,
            owners: Vec::new(),
        });
        if open {
            view.what = "translated";
        }
        let reached = match flow.passage.destination == flow.to {
            true => String::new(),
            false => format!(", that is {}", flow.passage.destination),
        };
        view.owners.push(format!(
            "{} as {} -> {}{reached} {}",
            flow.client,
            flow.passage.source,
            flow.to,
            flow.state.name()
        ));
    }
    ports
}

#[cfg(test)]
mod tests {
    use super::*;
    use fourtuple_kernel::profile;
    use fourtuple_scenario::{expand, parse};

    /// The ports of a table after the last call, as words.
    fn last(text: &str, host: &str, kind: TableKind) -> Vec<String> {
        let scenario = parse("x.yaml", text).expect("a scenario");
        let case = expand(&scenario, &fourtuple_harness::kernels::names())
            .expect("cases")
            .remove(0);
        let profile = profile::find(&case.kernel).expect("a kernel");
        let made = port_states(&case, &profile, 100).expect("a run");
        let table = made
            .tables
            .iter()
            .position(|one| &*one.host == host && one.kind == kind);
        let table = table.expect("the host");
        let mut ports = Ports::new();
        for change in made.states.iter().flat_map(|state| &state.changes) {
            if change.table == table {
                match &change.now {
                    Some(view) => ports.insert(change.port, view.clone()),
                    None => ports.remove(&change.port),
                };
            }
        }
        let word = |(port, view): (u16, PortView)| {
            format!("{port} {}: {}", view.what, view.owners.join("; "))
        };
        ports.into_iter().map(word).collect()
    }

    #[test]
    fn udp_sockets_are_no_bind_buckets() {
        let text = "
about: x
kernel: linux-6.18
hosts:
  app: { addresses: [10.0.0.1] }
  dns: { addresses: [10.0.0.53] }
steps:
  - { socket: a, by: p, on: app, type: dgram }
  - { bind: a, at: '10.0.0.1:40000' }
  - { socket: b, by: p, on: app, type: dgram }
  - { bind: b, at: '10.0.0.1:40001' }
  - { connect: b, to: '10.0.0.53:53' }
";
        assert_eq!(last(text, "app", TableKind::BindBuckets), [""; 0]);
        assert_eq!(
            last(text, "app", TableKind::UdpSockets),
            [
                "40000 unconnected: 10.0.0.1:40000",
                "40001 connected: 10.0.0.1:40001 -> 10.0.0.53:53"
            ]
        );
    }

    #[test]
    fn ports_of_a_nat_host_are_those_of_its_flows() {
        let text = "
about: x
kernel: linux-6.18
hosts:
  pod: { addresses: [10.1.0.2], via: node }
  node: { addresses: [192.0.2.1], nat: { masquerade: { ports: 50000-50001 } } }
  db: { addresses: [198.51.100.7], listen: 198.51.100.7:5432 }
processes:
  a: { on: pod, bind: '10.1.0.2:50001', connect: 198.51.100.7:5432 }
";
        let flow = "10.1.0.2:50001 as 192.0.2.1:50001 -> 198.51.100.7:5432 ESTABLISHED";
        assert_eq!(
            last(text, "node", TableKind::NatFlows),
            [format!("50001 translated: {flow}")]
        );
        assert_eq!(last(text, "node", TableKind::BindBuckets), [""; 0]);
    }
}
