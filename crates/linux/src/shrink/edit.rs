//! Random small changes to programs.

use super::length;
use super::tame::{is_tame, range_of};
use crate::generate::{Kind, seen_from};
use crate::program::{BACKLOG, Call, Program, Step};
use fourtuple_harness::SeededRng;
use fourtuple_syscall::{Family, PortRange, SockOpt, Syscall};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

/// Time in milliseconds that a connect waits.
const PATIENCE_MS: u32 = 400;

/// The values that changed programs use: those of the first program, and a few common ones.
pub(crate) struct Palette {
    ips: Vec<IpAddr>,
    ports: Vec<u16>,
    uids: Vec<u32>,
    options: Vec<SockOpt>,
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
        let mut options = vec![SockOpt::ReuseAddr(true), SockOpt::ReusePort(true)];
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
                Call::Sys(Syscall::Bind { addr, .. } | Syscall::Connect { addr, .. }) => {
                    ips.insert(addr.ip());
                    ports.insert(addr.port());
                }
                Call::Sys(
                    Syscall::Socket { uid: uid @ 1.., .. } | Syscall::Accept { uid: Some(uid), .. },
                ) => {
                    uids.insert(*uid);
                }
                Call::Sys(Syscall::Set { option, .. }) => options.push(*option),
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
        let sysctl = |key: &str, value: &str| Call::Sysctl {
            key: format!("net.ipv4.{key}"),
            value: value.into(),
        };
        let mut calls = vec![Call::socket("", Family::Inet, 1000)];
        calls.extend(
            [
                SockOpt::Linger(Some(0)),
                SockOpt::V6Only(true),
                SockOpt::V6Only(false),
                SockOpt::ReuseAddr(false),
                SockOpt::ReusePort(false),
                SockOpt::BindAddressNoPort(true),
                SockOpt::LocalPortRange(PortRange::new(40000, 40000)),
            ]
            .map(|option| {
                let sock = String::new();
                Syscall::Set { sock, option }.into()
            }),
        );
        calls.extend([(); 4].map(|()| sysctl("ip_local_port_range", "40000 40000")));
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
            .map(|(ip, port)| {
                let (sock, addr) = (String::new(), SocketAddr::new(ip, port));
                Syscall::Bind { sock, addr }.into()
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
                    ..Step::new(Call::Sysctl {
                        key: "net.ipv4.ip_local_port_range".into(),
                        value: "40000 40000".into(),
                    })
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
                    if has_host(&step.call) {
                        step.host = Some(host);
                    }
                }
            }
        }
    }

    /// Turns connections to a listener into self-connections of the sockets, which leave the same
    /// state behind.
    fn alone(&self, program: &mut Program, place: usize, rng: &mut SeededRng) {
        let Call::Sys(Syscall::Connect { addr: to, .. }) = program.steps[place].call else {
            return;
        };
        let mut gone: BTreeSet<String> = BTreeSet::new();
        for step in &program.steps {
            match step.call.sys() {
                Some(Syscall::Bind { sock, addr }) if addr.port() == to.port() => {
                    gone.insert(sock.clone());
                }
                Some(Syscall::Accept { sock, new, .. }) if gone.contains(sock) => {
                    gone.insert(new.clone());
                }
                _ => {}
            }
        }
        let port = rng.pick(&self.ports);
        program.steps.retain_mut(|step| {
            if let Call::Sys(Syscall::Connect { addr, .. }) = &mut step.call
                && *addr == to
            {
                addr.set_port(port);
            }
            let sock = step.call.made().or(step.call.sock());
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
        let mut wait_ms = None;
        let call: Call = match rng.below(14) {
            _ if names.is_empty() => self.socket(program, rng),
            0 | 1 => self.socket(program, rng),
            2 | 3 => {
                let addr = self.place(rng);
                Syscall::Bind { sock, addr }.into()
            }
            4 | 5 => {
                wait_ms = Some(PATIENCE_MS);
                let addr = self.place(rng);
                Syscall::Connect { sock, addr }.into()
            }
            6 => {
                let backlog = BACKLOG;
                Syscall::Listen { sock, backlog }.into()
            }
            7 | 8 => Syscall::Close { sock }.into(),
            9 => Call::Sleep {
                ms: rng.pick(&self.sleeps),
            },
            10 | 11 if !self.sysctls.is_empty() => {
                let (key, value) = self.sysctls[rng.below(self.sysctls.len())].clone();
                Call::Sysctl { key, value }
            }
            12 => {
                let (new, uid) = (new_name(program), None);
                Syscall::Accept { sock, new, uid }.into()
            }
            _ => {
                let option = rng.pick(&self.options);
                Syscall::Set { sock, option }.into()
            }
        };
        let host = host.filter(|_| has_host(&call));
        Step {
            host,
            wait_ms,
            ..Step::new(call)
        }
    }

    fn socket(&self, program: &Program, rng: &mut SeededRng) -> Call {
        let family = match rng.percent(25) {
            true => Family::Inet6,
            false => Family::Inet,
        };
        let uid = match !self.uids.is_empty() && rng.percent(30) {
            true => rng.pick(&self.uids),
            false => 0,
        };
        Call::socket(new_name(program), family, uid)
    }

    fn place(&self, rng: &mut SeededRng) -> SocketAddr {
        SocketAddr::new(rng.pick(&self.ips), rng.pick(&self.ports))
    }

    /// Changes the value of one step.
    fn change(&self, program: &mut Program, place: usize, rng: &mut SeededRng) {
        match &mut program.steps[place].call {
            Call::Sys(call) => self.change_call(call, rng),
            Call::Sysctl { key, value } if !self.sysctls.is_empty() => {
                (*key, *value) = self.sysctls[rng.below(self.sysctls.len())].clone();
            }
            Call::Sleep { ms } => *ms = rng.pick(&self.sleeps),
            _ => {}
        }
        debug_assert!(self.hosts || program.hosts.is_empty());
    }

    fn change_call(&self, call: &mut Syscall<String>, rng: &mut SeededRng) {
        match call {
            Syscall::Bind { addr, .. } | Syscall::Connect { addr, .. } => {
                if rng.percent(50) {
                    addr.set_ip(rng.pick(&self.ips));
                } else {
                    addr.set_port(rng.pick(&self.ports));
                }
            }
            Syscall::Socket { family, uid, .. } => {
                if rng.percent(50) && !self.uids.is_empty() {
                    *uid = match rng.percent(50) {
                        true => 0,
                        false => rng.pick(&self.uids),
                    };
                } else {
                    *family = match family {
                        Family::Inet => Family::Inet6,
                        Family::Inet6 => Family::Inet,
                    };
                }
            }
            Syscall::Set { option, .. } => *option = rng.pick(&self.options),
            Syscall::Accept { uid, .. } => *uid = None,
            Syscall::Listen { backlog, .. } => *backlog = BACKLOG,
            _ => {}
        }
    }
}

/// Returns true for the calls whose step may name a host.
fn has_host(call: &Call) -> bool {
    matches!(
        call,
        Call::Sys(Syscall::Socket { .. }) | Call::Sysctl { .. }
    )
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
    let made = program.steps.iter().filter_map(|step| step.call.made());
    made.map(str::to_owned).collect()
}

fn new_name(program: &Program) -> String {
    let names = names(program);
    let free = (0..=names.len()).map(|n| format!("n{n}"));
    let mut free = free.filter(|name| !names.contains(name));
    free.next().unwrap_or_default()
}

fn rename(call: &mut Call, from: &str, to: &str) {
    // A call that makes a socket keeps its own name.
    let made = call.made().map(str::to_owned);
    if let Call::Sys(call) = call {
        *call = call.clone().map(|name| match name == from {
            true if made.as_ref() != Some(&name) => to.to_owned(),
            _ => name,
        });
    }
}

/// Makes addresses match the families of their sockets. A bind() may keep an address of the other
/// family, which is one of the things to test; mapped addresses are both for the model.
fn fit(program: &mut Program) {
    let mut v6: BTreeMap<String, bool> = BTreeMap::new();
    for step in &mut program.steps {
        let Call::Sys(call) = &mut step.call else {
            continue;
        };
        match call {
            Syscall::Socket { sock, family, .. } => {
                v6.insert(sock.clone(), *family == Family::Inet6);
            }
            Syscall::Accept { sock, new, .. } => {
                let same = v6.get(sock).copied().unwrap_or(false);
                v6.insert(new.clone(), same);
            }
            Syscall::Bind { sock, addr } => {
                let v6 = v6.get(sock).copied().unwrap_or(false);
                let native = matches!(addr.ip(), IpAddr::V6(ip) if ip.to_ipv4_mapped().is_none());
                if v6 || !native {
                    *addr = seen_from(*addr, v6);
                }
            }
            Syscall::Connect { sock, addr } => {
                *addr = seen_from(*addr, v6.get(sock).copied().unwrap_or(false));
            }
            _ => {}
        }
    }
}
