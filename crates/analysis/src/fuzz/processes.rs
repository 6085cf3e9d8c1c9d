//! The declarative form of a generated scenario.

use fourtuple_harness::SeededRng;
use fourtuple_scenario::{Accepted, Close, Hold, Process, Protocol};
use indexmap::IndexMap;

use super::setting::Setting;

const NAMES: [&str; 4] = ["a", "b", "c", "d"];
/// The most connections of a scenario.
const MOST: u64 = 48;

pub(super) fn make(setting: &Setting, rng: &mut SeededRng) -> IndexMap<String, Process> {
    let mut processes: IndexMap<String, Process> = IndexMap::new();
    for name in &NAMES[..rng.weighted(&[(4, 1), (4, 2), (2, 3), (1, 4)])] {
        let mut process = process(setting, rng);
        if !processes.is_empty() && rng.percent(20) {
            let (before, _) = processes
                .get_index(rng.below(processes.len()))
                .expect("there are processes");
            process.after.push(before.clone());
            process.start = std::time::Duration::ZERO;
        }
        processes.insert((*name).to_owned(), process);
    }
    if !setting.has_nat() && rng.percent(20) {
        for process in processes.values_mut() {
            if rng.percent(70) {
                use_datagrams(process, setting, rng);
            }
        }
    }
    processes
}

/// Makes the sockets of a process datagram sockets, which have no other end.
fn use_datagrams(process: &mut Process, setting: &Setting, rng: &mut SeededRng) {
    process.protocol = Protocol::Udp;
    process.listen.clear();
    process.accepted = Accepted::Keep;
    process.close = Close::Client;
    if process.only_listens() {
        process
            .connect
            .push(setting.remote(rng, &process.on, false));
    }
}

fn process(setting: &Setting, rng: &mut SeededRng) -> Process {
    let host = setting.any_host(rng);
    let mut process = Process::new(host.clone());
    process.count = rng.weighted(&[(5, 1), (3, 2), (2, 3), (1, 6)]);
    process.uid = setting.uid(rng);
    if rng.percent(40) {
        process.start = setting.pause(rng);
    }
    process.options = setting.options(rng);
    // One socket has one family; a mapped address is one of IPv6.
    let v6 = rng.percent(35);
    for _ in 0..rng.weighted(&[(6, 0), (4, 1), (2, 2), (1, 3)]) {
        let at = setting.local(rng, &host);
        process.bind.push(setting.in_family(at, v6, &host));
    }
    for _ in 0..rng.weighted(&[(2, 0), (8, 1), (3, 2), (1, 3)]) {
        let to = setting.remote(rng, &host, false);
        process.connect.push(setting.in_family(to, v6, &host));
    }
    if rng.percent(20) {
        for _ in 0..rng.between(1, 2) {
            process.listen.push(setting.local(rng, &host));
        }
    }
    if process.bind.is_empty() && process.connect.is_empty() && process.listen.is_empty() {
        process.connect.push(setting.remote(rng, &host, false));
    }
    if !process.bind.is_empty() || !process.connect.is_empty() {
        process.connections = rng.weighted(&[(4, 1), (3, 2), (2, 4), (1, 8)]);
        process.every = match rng.percent(25) {
            true => setting.pause(rng),
            false => std::time::Duration::ZERO,
        };
        process.hold = match rng.percent(55) {
            true => Hold::For(setting.pause(rng)),
            false => Hold::Forever,
        };
        if process.hold != Hold::Forever {
            process.repeat = rng.weighted(&[(6, 1), (2, 2), (1, 3)]);
            process.close = rng.pick(&[
                Close::Client,
                Close::Client,
                Close::Server,
                Close::Both,
                Close::Reset,
            ]);
            // A NAT host reopens a flow by the end whose FIN passed first, and of two at once
            // that is either.
            if process.close == Close::Both && setting.has_nat() {
                process.close = Close::Client;
            }
        }
    }
    while process.total_connections() > MOST {
        process.count = 1.max(process.count / 2);
        process.connections = 1.max(process.connections / 2);
    }
    process
}
