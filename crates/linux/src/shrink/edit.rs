//! Random small changes to programs.

use super::length;
use crate::generate::{Kind, seen_from};
use crate::program::{Call, Family, OptionValue, Program, Step};
use fourtuple_harness::SeededRng;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

/// Time in milliseconds that a connect waits.
const PATIENCE_MS: u32 = 400;

/// The values that changed programs use: those of the first program, and a few common ones.
pub(crate) struct Palette {
    ips: Vec<IpAddr>,
    ports: Vec<u16>,
    uids: Vec<u32>,
    options: Vec<(String, OptionValue)>,
    sysctls: Vec<(String, String)>,
    sleeps: Vec<u32>,
    hosts: bool,
}

impl Palette {
    pub(crate) fn of(program: &Program, kind: Kind) -> Palette {
        let mut ips: BTreeSet<IpAddr> = [
            IpAddr::from([127, 0, 0, 1]),
            IpAddr::from([0, 0, 0, 0]),
            IpAddr::from([0u16; 8]),
            IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
        ]
        .into();
        let mut ports = BTreeSet::from([0, 5000]);
        let mut uids = BTreeSet::new();
        let mut options = Vec::new();
        for name in ["reuseaddr", "reuseport"] {
            options.push((name.to_owned(), OptionValue::Int(1)));
        }
        let mut sysctls = Vec::new();
        let mut sleeps = BTreeSet::from([1, 130, 1100]);
        if kind.virtual_time {
            sleeps.insert(61_000);
        }
        for host in &program.hosts {
            ips.extend(host.addresses.iter().copied());
            sysctls.extend(host.sysctls.clone());
        }
        for step in &program.steps {
            match &step.call {
                Call::Bind { at, .. } | Call::Connect { to: at, .. } => {
                    ips.insert(at.ip());
                    ports.insert(at.port());
                }
                Call::Socket { uid: Some(uid), .. } | Call::Accept { uid: Some(uid), .. } => {
                    uids.insert(*uid);
                }
                Call::Set { option, value, .. } => options.push((option.clone(), value.clone())),
                Call::Sysctl { key, value } => sysctls.push((key.clone(), value.clone())),
                Call::Sleep { ms } => {
                    sleeps.insert(*ms);
                }
                _ => {}
            }
        }
        for (key, value) in &mut sysctls {
            if let Some((low, high)) = range_of(key, value) {
                ports.extend([low, high]);
                *value = format!("{low} {low}");
            }
        }
        Palette {
            ips: ips.into_iter().collect(),
            ports: ports.into_iter().collect(),
            uids: uids.into_iter().collect(),
            options,
            sysctls,
            sleeps: sleeps.into_iter().collect(),
            hosts: !program.hosts.is_empty(),
        }
    }

    /// The values for short programs of all kinds.
    pub(crate) fn general(kind: Kind) -> Palette {
        let set = |sock: &str, option: &str, value| Call::Set {
            sock: sock.into(),
            option: option.into(),
            value,
        };
        let sysctl = |key: &str, value: &str| Call::Sysctl {
            key: format!("net.ipv4.{key}"),
            value: value.into(),
        };
        let mut calls = vec![
            Call::Socket {
                sock: String::new(),
                family: Family::Inet,
                uid: Some(1000),
                nonblock: false,
            },
            set("", "linger", OptionValue::Int(0)),
            set("", "v6only", OptionValue::Int(1)),
            set("", "v6only", OptionValue::Int(0)),
            set("", "reuseaddr", OptionValue::Int(0)),
            set("", "reuseport", OptionValue::Int(0)),
            set("", "bind_address_no_port", OptionValue::Int(1)),
            set(
                "",
                "local_port_range",
                OptionValue::Text("40000-40000".into()),
            ),
            sysctl("ip_local_port_range", "40000 40000"),
            sysctl("ip_local_port_range", "40000 40000"),
            sysctl("ip_local_port_range", "40000 40000"),
            sysctl("ip_local_port_range", "40000 40000"),
        ];
        for (key, values) in [
            ("tcp_tw_reuse", ["0", "1"].as_slice()),
            ("tcp_tw_reuse_delay", &["1"]),
            ("tcp_timestamps", &["0"]),
            ("ip_autobind_reuse", &["1"]),
            ("ip_nonlocal_bind", &["1"]),
            ("tcp_max_tw_buckets", &["0", "1"]),
            ("tcp_rfc1337", &["1"]),
            ("tcp_fin_timeout", &["1", "70"]),
            ("tcp_tw_recycle", &["1"]),
        ] {
            calls.extend(values.iter().map(|value| sysctl(key, value)));
        }
        let mapped = |ip: [u8; 4]| std::net::Ipv4Addr::from(ip).to_ipv6_mapped();
        calls.extend(
            [
                (IpAddr::from([127, 0, 0, 2]), 40000),
                (mapped([127, 0, 0, 1]).into(), 40001),
                (mapped([0, 0, 0, 0]).into(), 40000),
                (IpAddr::from([10, 0, 0, 1]), 40000),
                (IpAddr::from([10, 99, 0, 1]), 40000),
            ]
            .map(|(ip, port)| Call::Bind {
                sock: String::new(),
                at: SocketAddr::new(ip, port),
            }),
        );
        let program = Program {
            steps: calls.into_iter().map(Step::new).collect(),
            ..Program::default()
        };
        Palette::of(&program, kind)
    }

    /// Appends random steps until the program has `steps` of them. Returns `None` if the result may
    /// take long.
    pub(crate) fn fill(
        &self,
        program: &mut Program,
        steps: usize,
        rng: &mut SeededRng,
    ) -> Option<Program> {
        if rng.percent(70) {
            let hosts = program.hosts.len().max(1);
            for host in 0..hosts {
                program.steps.push(Step {
                    host: program.hosts.get(host).map(|h| h.name.clone()),
                    call: Call::Sysctl {
                        key: "net.ipv4.ip_local_port_range".into(),
                        value: "40000 40000".into(),
                    },
                    answer: None,
                });
            }
        }
        while length(program) < steps {
            let step = self.step(program, rng);
            program.steps.push(step);
        }
        fit(program);
        is_tame(program).then(|| program.clone())
    }

    /// Changes a program in one place or in a few. Returns `None` if the result may take long.
    pub(crate) fn edited(&self, program: &Program, rng: &mut SeededRng) -> Option<Program> {
        let mut changed = Program {
            steps: program.steps.iter().map(unasked).collect(),
            ..program.clone()
        };
        for _ in 0..rng.weighted(&[(5, 1), (3, 2), (2, 3), (1, 4)]) {
            self.edit(&mut changed, rng);
        }
        fit(&mut changed);
        is_tame(&changed).then_some(changed)
    }

    fn edit(&self, program: &mut Program, rng: &mut SeededRng) {
        let steps = &mut program.steps;
        // An initial `ns` step stays in front.
        let first = steps.iter().take_while(|s| s.call == Call::Ns).count();
        if steps.len() <= first {
            return;
        }
        let place = first + rng.below(steps.len() - first);
        match rng.below(100) {
            0..24 => drop(steps.remove(place)),
            24..40 => {
                let step = steps.remove(place);
                let to = first + rng.below(steps.len() - first + 1);
                steps.insert(to, step);
            }
            40..58 => {
                let step = self.step(program, rng);
                program.steps.insert(place, step);
            }
            58..76 => self.change(program, place, rng),
            76..82 => {
                // Replaces a socket by another.
                let names = names(program);
                if let [_, _, ..] = names[..] {
                    let (from, to) = (rng.below(names.len()), rng.below(names.len()));
                    for step in program.steps.iter_mut().skip(place) {
                        rename(&mut step.call, &names[from], &names[to]);
                    }
                }
            }
            82..85 => self.alone(program, place, rng),
            85..89 => {
                let names = names(program);
                if !names.is_empty() {
                    let gone = &names[rng.below(names.len())];
                    program.steps.retain(|s| s.call.sock() != Some(gone));
                }
            }
            89..95 => {
                if let Some(host) = pick_mut(&mut program.hosts, rng) {
                    let keys: Vec<String> = host.sysctls.keys().cloned().collect();
                    if !keys.is_empty() {
                        host.sysctls.remove(&keys[rng.below(keys.len())]);
                    }
                }
            }
            _ => {
                if !program.hosts.is_empty() {
                    let host = program.hosts[rng.below(program.hosts.len())].name.clone();
                    let step = &mut program.steps[place];
                    if matches!(step.call, Call::Socket { .. } | Call::Sysctl { .. }) {
                        step.host = Some(host);
                    }
                }
            }
        }
    }

    /// Turns connections to a listener into self-connections of the sockets, which leave the same
    /// state behind.
    fn alone(&self, program: &mut Program, place: usize, rng: &mut SeededRng) {
        let Call::Connect { to, .. } = program.steps[place].call else {
            return;
        };
        let mut gone: BTreeSet<String> = BTreeSet::new();
        for step in &program.steps {
            match &step.call {
                Call::Bind { sock, at } if at.port() == to.port() => {
                    gone.insert(sock.clone());
                }
                Call::Accept { sock, new, .. } if gone.contains(sock) => {
                    gone.insert(new.clone());
                }
                _ => {}
            }
        }
        let port = rng.pick(&self.ports);
        program.steps.retain_mut(|step| {
            if let Call::Connect { to: other, .. } = &mut step.call
                && *other == to
            {
                other.set_port(port);
            }
            let sock = match &step.call {
                Call::Accept { new, .. } => Some(&**new),
                call => call.sock(),
            };
            !sock.is_some_and(|sock| gone.contains(sock))
        });
    }

    /// A random step.
    fn step(&self, program: &Program, rng: &mut SeededRng) -> Step {
        let names = names(program);
        let host = (!program.hosts.is_empty())
            .then(|| program.hosts[rng.below(program.hosts.len())].name.clone());
        let sock = match names.is_empty() {
            true => String::new(),
            false => names[rng.below(names.len())].clone(),
        };
        let call = match rng.below(14) {
            _ if names.is_empty() => self.socket(program, rng),
            0 | 1 => self.socket(program, rng),
            2 | 3 => Call::Bind {
                sock,
                at: self.place(rng),
            },
            4 | 5 => Call::Connect {
                sock,
                to: self.place(rng),
                wait_ms: Some(PATIENCE_MS),
            },
            6 => Call::Listen {
                sock,
                backlog: None,
            },
            7 | 8 => Call::Close { sock },
            9 => Call::Sleep {
                ms: rng.pick(&self.sleeps),
            },
            10 | 11 if !self.sysctls.is_empty() => {
                let (key, value) = self.sysctls[rng.below(self.sysctls.len())].clone();
                Call::Sysctl { key, value }
            }
            12 => Call::Accept {
                sock,
                new: new_name(program),
                uid: None,
                wait_ms: None,
            },
            _ => {
                let (option, value) = self.options[rng.below(self.options.len())].clone();
                Call::Set {
                    sock,
                    option,
                    value,
                }
            }
        };
        let host = host.filter(|_| matches!(call, Call::Socket { .. } | Call::Sysctl { .. }));
        Step {
            host,
            call,
            answer: None,
        }
    }

    fn socket(&self, program: &Program, rng: &mut SeededRng) -> Call {
        Call::Socket {
            sock: new_name(program),
            family: match rng.percent(25) {
                true => Family::Inet6,
                false => Family::Inet,
            },
            uid: match !self.uids.is_empty() && rng.percent(30) {
                true => Some(rng.pick(&self.uids)),
                false => None,
            },
            nonblock: false,
        }
    }

    fn place(&self, rng: &mut SeededRng) -> SocketAddr {
        SocketAddr::new(rng.pick(&self.ips), rng.pick(&self.ports))
    }

    /// Changes the value of one step.
    fn change(&self, program: &mut Program, place: usize, rng: &mut SeededRng) {
        match &mut program.steps[place].call {
            Call::Bind { at, .. } | Call::Connect { to: at, .. } => {
                if rng.percent(50) {
                    at.set_ip(rng.pick(&self.ips));
                } else {
                    at.set_port(rng.pick(&self.ports));
                }
            }
            Call::Socket { family, uid, .. } => {
                if rng.percent(50) && !self.uids.is_empty() {
                    *uid = match rng.percent(50) {
                        true => None,
                        false => Some(rng.pick(&self.uids)),
                    };
                } else {
                    *family = match family {
                        Family::Inet => Family::Inet6,
                        Family::Inet6 => Family::Inet,
                    };
                }
            }
            Call::Set { option, value, .. } => {
                (*option, *value) = self.options[rng.below(self.options.len())].clone();
            }
            Call::Sysctl { key, value } if !self.sysctls.is_empty() => {
                (*key, *value) = self.sysctls[rng.below(self.sysctls.len())].clone();
            }
            Call::Sleep { ms } => *ms = rng.pick(&self.sleeps),
            Call::Accept { uid, .. } => *uid = None,
            Call::Listen { backlog, .. } => *backlog = None,
            _ => {}
        }
        debug_assert!(self.hosts || program.hosts.is_empty());
    }
}

/// The step without its answer.
pub(super) fn unasked(step: &Step) -> Step {
    Step {
        answer: None,
        ..step.clone()
    }
}

fn pick_mut<'a, T>(of: &'a mut [T], rng: &mut SeededRng) -> Option<&'a mut T> {
    let n = rng.below(of.len());
    of.get_mut(n)
}

/// The names of a program's sockets.
fn names(program: &Program) -> Vec<String> {
    let made = |step: &Step| match &step.call {
        Call::Socket { sock: name, .. } | Call::Accept { new: name, .. } => Some(name.clone()),
        _ => None,
    };
    program.steps.iter().filter_map(made).collect()
}

fn new_name(program: &Program) -> String {
    let names = names(program);
    let free = (0..=names.len()).map(|n| format!("n{n}"));
    let mut free = free.filter(|name| !names.contains(name));
    free.next().unwrap_or_default()
}

fn rename(call: &mut Call, from: &str, to: &str) {
    // A call that makes a socket keeps its own name.
    if !matches!(call, Call::Socket { .. })
        && let Some(sock) = call.sock_mut().filter(|sock| *sock == from)
    {
        *sock = to.to_owned();
    }
}

/// Makes addresses match the families of their sockets. A bind() may keep an address of the other
/// family, which is one of the things to test; mapped addresses are both for the model.
fn fit(program: &mut Program) {
    let mut v6: BTreeMap<String, bool> = BTreeMap::new();
    for step in &mut program.steps {
        match &mut step.call {
            Call::Socket { sock, family, .. } => {
                v6.insert(sock.clone(), *family == Family::Inet6);
            }
            Call::Accept { sock, new, .. } => {
                let same = v6.get(sock).copied().unwrap_or(false);
                v6.insert(new.clone(), same);
            }
            Call::Bind { sock, at } => {
                let v6 = v6.get(sock).copied().unwrap_or(false);
                let native = matches!(at.ip(), IpAddr::V6(ip) if ip.to_ipv4_mapped().is_none());
                if v6 || !native {
                    *at = seen_from(*at, v6);
                }
            }
            Call::Connect { sock, to, .. } => {
                *to = seen_from(*to, v6.get(sock).copied().unwrap_or(false));
            }
            _ => {}
        }
    }
}

/// The range that a sysctl sets.
pub(super) fn range_of(key: &str, value: &str) -> Option<(u16, u16)> {
    if key != "net.ipv4.ip_local_port_range" {
        return None;
    }
    let (low, high) = value.split_once(' ')?;
    Some((low.parse().ok()?, high.parse().ok()?))
}

/// Ranges of at most this many ports are checked quickly; with the full range one call can branch
/// into tens of thousands of states.
const FEW_PORTS: u16 = 8;

/// Returns true if a program runs and is checked quickly: the kernel chooses from few ports, and no
/// connect goes to an address without a host, which only the model can reach.
pub(super) fn is_tame(program: &Program) -> bool {
    // The kernel rejects a range whose first port is above its last.
    let small = |key: &str, value: &str| {
        let range = range_of(key, value).filter(|(low, high)| low <= high);
        range.map(|(low, high)| high - low < FEW_PORTS)
    };
    let mut ranges: BTreeMap<Option<&str>, bool> = BTreeMap::new();
    for host in &program.hosts {
        let set = host.sysctls.iter().filter_map(|(k, v)| small(k, v)).next();
        ranges.insert(Some(&host.name), set.unwrap_or(false));
    }
    let anywhere = |ip: IpAddr| {
        let known = |ip: &IpAddr| program.hosts.iter().any(|h| h.addresses.contains(ip));
        program.hosts.is_empty() || ip.is_loopback() || ip.is_unspecified() || known(&ip)
    };
    let first = program.hosts.first().map(|h| &*h.name);
    // The host of each socket, and true if it has a port or few to choose from.
    let mut sockets: BTreeMap<&str, (Option<&str>, bool)> = BTreeMap::new();
    for step in &program.steps {
        match &step.call {
            Call::Sysctl { key, value } => {
                if let Some(small) = small(key, value) {
                    ranges.insert(step.host.as_deref().or(first), small);
                }
            }
            Call::Socket { sock, .. } => {
                sockets.insert(sock, (step.host.as_deref().or(first), false));
            }
            Call::Set { sock, option, .. } if option == "local_port_range" => {
                if let Some((_, has)) = sockets.get_mut(&**sock) {
                    *has = true;
                }
            }
            Call::Accept { sock, new, .. } => {
                let host = sockets.get(&**sock).and_then(|(host, _)| *host);
                sockets.insert(new, (host, true));
            }
            Call::Bind { sock, .. } | Call::Listen { sock, .. } | Call::Connect { sock, .. } => {
                let explicit = matches!(&step.call, Call::Bind { at, .. } if at.port() != 0);
                if let Call::Connect { to, .. } = &step.call
                    && !anywhere(to.ip())
                {
                    return false;
                }
                if let Some((host, has)) = sockets.get_mut(&**sock) {
                    let few = ranges.get(host).copied().unwrap_or(false);
                    if !explicit && !*has && !few {
                        return false;
                    }
                    *has = true;
                }
            }
            _ => {}
        }
    }
    true
}
