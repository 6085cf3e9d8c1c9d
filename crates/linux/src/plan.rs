//! Encodes a program for the guest, and puts the guest's answers into the program.

use crate::options;
use crate::program::{
    Answer, Call, DETECTION_SLACK_MS, Family, HostSpec, How, Outcome, Program, Step,
};
use crate::wire::*;
use fourtuple_syscall::Errno;
use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Time in milliseconds after which a blocking connect is `WAITING`, unless the step sets its own.
pub const CONNECT_WAIT_MS: u32 = 3000;
/// The same time for accept, send and recv.
pub const WAIT_MS: u32 = 20;
/// Default backlog of listen.
pub const BACKLOG: i32 = 128;

/// Maximum number of steps of a program.
pub(crate) const MAX_PROGRAM: usize = MAX_STEPS / 2;

/// A program that is invalid on every kernel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("program `{program}`{}: {message}", .step.map(|n| format!(", step {n}")).unwrap_or_default())]
pub struct ProgramError {
    /// The program.
    pub program: String,
    /// The step, from 1, if the error is in a step.
    pub step: Option<usize>,
    /// The error.
    pub message: String,
}

impl Program {
    /// Checks that a kernel can run the program: all names are known, and no limit of the guest is
    /// exceeded.
    ///
    /// # Errors
    /// The first error, or the exceeded limit.
    pub fn check(&self) -> Result<(), ProgramError> {
        Plan::new(self).map(|_| ())
    }
}

/// A part of a topology that a kernel failed to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SetupFailure {
    pub(crate) what: String,
    pub(crate) errno: Errno,
}

/// A program encoded for the guest.
pub(crate) struct Plan {
    /// One frame, including its length.
    pub(crate) frame: Vec<u8>,
    /// Descriptions of the setup operations before the program's own.
    setup: Vec<String>,
    /// The users that its sockets belong to.
    uids: BTreeSet<u32>,
}

impl Plan {
    /// True if it needs sockets of other users than the one that runs it.
    pub(crate) fn needs_users(&self) -> bool {
        self.uids.iter().any(|&uid| uid != 0)
    }

    pub(crate) fn new(program: &Program) -> Result<Plan, ProgramError> {
        let wrong = |step: Option<usize>, message: String| ProgramError {
            program: program.program.clone(),
            step,
            message,
        };
        let mut builder = Builder::default();
        let begins_with_ns = program.steps.first().is_some_and(|s| s.call == Call::Ns);
        builder
            .topology(&program.hosts, &[], begins_with_ns)
            .map_err(|m| wrong(None, m))?;
        if program.steps.len() > MAX_PROGRAM {
            return Err(wrong(None, format!("more than {MAX_PROGRAM} steps")));
        }
        for (i, step) in program.steps.iter().enumerate() {
            builder
                .step(step, &program.hosts, 0, None)
                .map_err(|m| wrong(Some(i + 1), m))?;
        }
        builder.finish().map_err(|m| wrong(None, m))
    }

    /// The records after those of the setup, which must have succeeded.
    pub(crate) fn records<'a>(&self, frame: &'a [u8]) -> Result<Records<'a>, AnswerError> {
        let mut records = Records(frame);
        for what in &self.setup {
            let record = records.next().ok_or(AnswerError::Short)?;
            if record.result != 0 {
                let errno = Errno::new(record.result.unsigned_abs());
                return Err(AnswerError::Setup(SetupFailure {
                    what: what.clone(),
                    errno,
                }));
            }
        }
        Ok(records)
    }

    /// Returns the program with the answers in `frame`.
    pub(crate) fn answers(&self, program: &Program, frame: &[u8]) -> Result<Program, AnswerError> {
        let mut records = self.records(frame)?;
        let mut answered = program.clone();
        for step in &mut answered.steps {
            let record = records.next().ok_or(AnswerError::Short)?;
            step.answer = Some(record.answer(&step.call));
        }
        Ok(answered)
    }
}

/// The reason why there are no answers.
pub(crate) enum AnswerError {
    /// The hosts could not be set up.
    Setup(SetupFailure),
    /// The frame ends too early.
    Short,
}

/// Encodes a program, operation by operation.
#[derive(Default)]
pub(crate) struct Builder {
    bytes: Vec<u8>,
    setup: Vec<String>,
    /// Records so far.
    records: usize,
    slots: HashMap<String, u16>,
    /// The host of each slot.
    homes: Vec<u8>,
    uids: BTreeSet<u32>,
}

impl Builder {
    /// One operation; answers the number of its record.
    pub(crate) fn op(
        &mut self,
        code: u8,
        host: u8,
        process: u16,
        operands: &[u8],
    ) -> Result<usize, String> {
        let length =
            u16::try_from(operands.len()).map_err(|_| "a text or a list is too long".to_owned())?;
        self.head(code, host, process, length);
        self.bytes.extend(operands);
        self.records += 1;
        Ok(self.records - 1)
    }

    fn head(&mut self, code: u8, host: u8, process: u16, length: u16) {
        self.bytes.extend([code, host]);
        self.bytes.extend(process.to_le_bytes());
        self.bytes.extend(length.to_le_bytes());
    }

    /// Lets no call wait past so many milliseconds after the first operation, which this has to be.
    pub(crate) fn deadline(&mut self, ms: u32) {
        self.head(OP_DEADLINE, 0, 0, 4);
        self.bytes.extend(ms.to_le_bytes());
    }

    pub(crate) fn finish(mut self) -> Result<Plan, String> {
        let setup = u16::try_from(self.setup.len())
            .map_err(|_| format!("{} operations to make the hosts", self.setup.len()))?
            .to_le_bytes();
        if self.bytes.len() > MAX_OPERATIONS {
            return Err(format!(
                "{} bytes, more than the limit of {MAX_OPERATIONS}",
                self.bytes.len()
            ));
        }
        let length = setup.len() + self.bytes.len();
        let mut frame = (length as u32).to_le_bytes().to_vec();
        frame.extend(setup);
        frame.append(&mut self.bytes);
        Ok(Plan {
            frame,
            setup: self.setup,
            uids: self.uids,
        })
    }

    fn setup(&mut self, what: String, code: u8, host: u8, operands: &[u8]) -> Result<(), String> {
        self.setup.push(what);
        self.op(code, host, 0, operands).map(|_| ())
    }

    /// Adds the setup operations of the hosts: namespaces, links, addresses and sysctls. Packets to
    /// `nowhere` leave their host and are lost; to any other address that no host has, there is no
    /// route.
    pub(crate) fn topology(
        &mut self,
        hosts: &[HostSpec],
        nowhere: &[IpAddr],
        begins_with_ns: bool,
    ) -> Result<(), String> {
        check_hosts(hosts)?;
        if hosts.len() < 2 {
            // A program whose first step makes the namespace gets its own answer to that step.
            if !begins_with_ns || !hosts.is_empty() {
                self.setup("a network namespace".into(), OP_NS, 0, &[])?;
            }
            self.quiet_links(hosts)?;
        } else {
            for (i, host) in hosts.iter().enumerate() {
                self.setup(
                    format!("the network namespace of host {}", host.name),
                    OP_HOST,
                    i as u8,
                    &[],
                )?;
            }
            self.quiet_links(hosts)?;
            self.links(hosts)?;
        }
        for (i, host) in hosts.iter().enumerate() {
            let interface = if hosts.len() < 2 { "lo" } else { "eth0" };
            let at_once = |ip: &&IpAddr| ip.is_ipv4() || host.tentative_ms == 0;
            for ip in host.addresses.iter().filter(at_once) {
                self.setup(
                    format!("address {ip} of host {}", host.name),
                    OP_ADDR,
                    i as u8,
                    &address(interface, *ip),
                )?;
            }
        }
        self.routes_to_nowhere(hosts, nowhere)?;
        if hosts.len() > 1 {
            self.routes(hosts)?;
            self.wait_for_links(hosts)?;
        }
        for (i, host) in hosts.iter().enumerate() {
            for (key, value) in &host.sysctls {
                let what = format!("sysctl {key} of host {}", host.name);
                self.setup(what, OP_SYSCTL, i as u8, &sysctl(key, value)?)?;
            }
        }
        self.tentative(hosts)
    }

    /// Leaves hosts whose address is tentative without the link-local addresses that the kernel
    /// gives to links, which would be their sources meanwhile.
    fn quiet_links(&mut self, hosts: &[HostSpec]) -> Result<(), String> {
        for (i, host) in hosts.iter().enumerate() {
            if host.tentative_ms > 0 {
                let what = format!("links without addresses on host {}", host.name);
                let mode = sysctl("net.ipv6.conf.default.addr_gen_mode", "1")?;
                self.setup(what, OP_SYSCTL, i as u8, &mode)?;
            }
        }
        Ok(())
    }

    /// Adds the addresses that are tentative for a time, as the last of the setup. The kernel
    /// detects duplicates on links with address resolution only: on one of their own.
    fn tentative(&mut self, hosts: &[HostSpec]) -> Result<(), String> {
        for (i, host) in hosts.iter().enumerate() {
            if host.tentative_ms == 0 {
                continue;
            }
            let what = format!("duplicate address detection on host {}", host.name);
            let mut both = vec![NO_PEER];
            text(&mut both, b"dad0");
            text(&mut both, b"dad1");
            both.extend([2, 0x46, 0x54, 1, i as u8, 0]);
            self.setup(what.clone(), OP_LINK, i as u8, &both)?;
            let wait = host.tentative_ms.saturating_sub(DETECTION_SLACK_MS);
            for (key, value) in [
                ("conf.dad0.accept_dad", 1),
                ("conf.dad0.dad_transmits", 1),
                ("conf.dad0.router_solicitation_delay", 0),
                ("neigh.dad0.retrans_time_ms", wait),
            ] {
                let setting = sysctl(&format!("net.ipv6.{key}"), &value.to_string())?;
                self.setup(what.clone(), OP_SYSCTL, i as u8, &setting)?;
            }
            for code in [OP_LINK_UP_ARP, OP_LINK_READY] {
                for name in ["dad0", "dad1"] {
                    let mut o = Vec::new();
                    text(&mut o, name.as_bytes());
                    self.setup(what.clone(), code, i as u8, &o)?;
                }
            }
        }
        for (i, host) in hosts.iter().enumerate() {
            let waits = |ip: &&IpAddr| ip.is_ipv6() && host.tentative_ms > 0;
            for ip in host.addresses.iter().filter(waits) {
                self.setup(
                    format!("tentative address {ip} of host {}", host.name),
                    OP_ADDR_TENTATIVE,
                    i as u8,
                    &address("dad0", *ip),
                )?;
            }
        }
        Ok(())
    }

    /// Adds a link between every two hosts, up at both ends.
    fn links(&mut self, hosts: &[HostSpec]) -> Result<(), String> {
        for (a, b) in pairs(hosts.len()) {
            let (name, peer_name) = (interface(a, b), interface(b, a));
            let what = format!(
                "a veth link between {} and {}",
                hosts[a].name, hosts[b].name
            );
            let mut o = vec![b as u8];
            text(&mut o, name.as_bytes());
            text(&mut o, peer_name.as_bytes());
            // A locally administered address, the same at both ends.
            o.extend([2, 0x46, 0x54, 0, a as u8, b as u8]);
            self.setup(what.clone(), OP_LINK, a as u8, &o)?;
            for (host, name) in [(a, name), (b, peer_name)] {
                let mut o = Vec::new();
                text(&mut o, name.as_bytes());
                self.setup(what.clone(), OP_LINK_UP, host as u8, &o)?;
            }
        }
        Ok(())
    }

    /// Adds routes to addresses that no host has: over any link, whose other end does not forward,
    /// or into the loopback interface, which drops packets that are not local.
    fn routes_to_nowhere(&mut self, hosts: &[HostSpec], nowhere: &[IpAddr]) -> Result<(), String> {
        let interface = if hosts.len() < 2 { "lo" } else { "eth0" };
        for (place, host) in hosts.iter().enumerate() {
            for to in nowhere {
                let same = |source: &&IpAddr| source.is_ipv4() == to.is_ipv4();
                let Some(source) = host.addresses.iter().find(same) else {
                    continue;
                };
                let mut o = Vec::new();
                text(&mut o, interface.as_bytes());
                socket_address(&mut o, &SocketAddr::new(*to, 0));
                preferred(&mut o, host, *source);
                let what = format!("the route from {} to {to}", host.name);
                self.setup(what, OP_ROUTE, place as u8, &o)?;
            }
        }
        Ok(())
    }

    /// Adds waits for the links: a link drops packets until the kernel has noticed, a little later,
    /// that its other end is up.
    fn wait_for_links(&mut self, hosts: &[HostSpec]) -> Result<(), String> {
        for (a, b) in pairs(hosts.len()).flat_map(|(a, b)| [(a, b), (b, a)]) {
            let mut o = Vec::new();
            text(&mut o, interface(a, b).as_bytes());
            let what = format!(
                "a link from {} to {} that is ready",
                hosts[a].name, hosts[b].name
            );
            self.setup(what, OP_LINK_READY, a as u8, &o)?;
        }
        Ok(())
    }

    /// Adds a route from every host to each address of every other one.
    fn routes(&mut self, hosts: &[HostSpec]) -> Result<(), String> {
        for (a, b) in pairs(hosts.len()).flat_map(|(a, b)| [(a, b), (b, a)]) {
            for to in &hosts[b].addresses {
                let source = hosts[a]
                    .addresses
                    .iter()
                    .find(|s| s.is_ipv4() == to.is_ipv4());
                let mut o = Vec::new();
                text(&mut o, interface(a, b).as_bytes());
                socket_address(&mut o, &SocketAddr::new(*to, 0));
                match source {
                    Some(source) => preferred(&mut o, &hosts[a], *source),
                    // A host without addresses of this family cannot talk to one that has some.
                    None => continue,
                }
                self.setup(
                    format!("the route from {} to {to}", hosts[a].name),
                    OP_ROUTE,
                    a as u8,
                    &o,
                )?;
            }
        }
        Ok(())
    }

    /// Number of slots in use, which is the first free one.
    pub(crate) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// The slot of a socket, allocated at the first use of its name.
    pub(crate) fn slot(&mut self, name: &str, home: u8) -> Result<u16, String> {
        if let Some(&slot) = self.slots.get(name) {
            self.homes[slot as usize] = home;
            return Ok(slot);
        }
        let slot = self.slots.len();
        if slot >= MAX_SOCKETS {
            return Err(format!("more than {MAX_SOCKETS} names of sockets"));
        }
        self.slots.insert(name.to_owned(), slot as u16);
        self.homes.push(home);
        Ok(slot as u16)
    }

    /// Adds a step that is executed by a process; returns the number of its record. With `port_of`
    /// the port of its address is taken from the record with that number.
    pub(crate) fn step(
        &mut self,
        step: &Step,
        hosts: &[HostSpec],
        process: u16,
        port_of: Option<usize>,
    ) -> Result<usize, String> {
        let host = match &step.host {
            Some(name) if hosts.is_empty() => {
                return Err(format!("unknown host `{name}`: the program has no hosts"));
            }
            Some(name) => hosts
                .iter()
                .position(|h| h.name == *name)
                .ok_or_else(|| format!("unknown host `{name}`"))? as u8,
            None => {
                let slot = step.call.sock().and_then(|s| self.slots.get(s));
                slot.map_or(0, |&slot| self.homes[slot as usize])
            }
        };
        let mut o = Vec::new();
        if let Some(sock) = step.call.sock() {
            let slot = self.slot(sock, host)?;
            o.extend(slot.to_le_bytes());
        }
        let mut code = self.operands(&step.call, host, &mut o)?;
        if code == OP_NS && !hosts.is_empty() {
            // The hosts' namespaces exist already, with everything in them: the step becomes a
            // sleep of 0 ms.
            code = OP_SLEEP;
            o.extend(0u32.to_le_bytes());
        }
        if let Some(record) = port_of {
            // The slot comes first, then the address: family and port.
            let number = u16::try_from(record).map_err(|_| "too many steps".to_owned())?;
            o[2] |= PORT_OF;
            o[3..5].copy_from_slice(&number.to_le_bytes());
        }
        self.op(code, host, process, &o)
    }

    fn operands(&mut self, call: &Call, host: u8, o: &mut Vec<u8>) -> Result<u8, String> {
        Ok(match call {
            Call::Ns => OP_NS,
            Call::Addr { at } => {
                o.extend(address("lo", *at));
                OP_ADDR
            }
            Call::Sysctl { key, value } => {
                o.extend(sysctl(key, value)?);
                OP_SYSCTL
            }
            Call::Socket {
                family,
                uid,
                nonblock,
                ..
            } => {
                o.push(if *family == Family::Inet { 4 } else { 6 });
                o.push(if *nonblock { SOCKET_NONBLOCK } else { 0 });
                o.extend(self.user(*uid, 0)?.to_le_bytes());
                OP_SOCKET
            }
            Call::Set { option, value, .. } => {
                let encoded = options::sock_opt(option, value)?.encode();
                o.extend(encoded.level.to_le_bytes());
                o.extend(encoded.option.to_le_bytes());
                bytes(o, encoded.value());
                OP_SET
            }
            Call::Bind { at, .. } => {
                socket_address(o, at);
                OP_BIND
            }
            Call::Listen { backlog, .. } => {
                o.extend(backlog.unwrap_or(BACKLOG).to_le_bytes());
                OP_LISTEN
            }
            Call::Connect { to, wait_ms, .. } => {
                socket_address(o, to);
                o.extend(wait_ms.unwrap_or(CONNECT_WAIT_MS).to_le_bytes());
                OP_CONNECT
            }
            Call::Accept {
                new, uid, wait_ms, ..
            } => {
                o.extend(self.slot(new, host)?.to_le_bytes());
                o.extend(self.user(*uid, UID_INHERIT)?.to_le_bytes());
                o.extend(wait_ms.unwrap_or(WAIT_MS).to_le_bytes());
                OP_ACCEPT
            }
            Call::Send { len, wait_ms, .. } => {
                o.extend(length(*len)?.to_le_bytes());
                o.extend(wait_ms.unwrap_or(WAIT_MS).to_le_bytes());
                OP_SEND
            }
            Call::Recv { len, wait_ms, .. } => {
                o.extend(length(*len)?.to_le_bytes());
                o.extend(wait_ms.unwrap_or(WAIT_MS).to_le_bytes());
                OP_RECV
            }
            Call::Shutdown { how, .. } => {
                o.push(match how {
                    How::Read => 0,
                    How::Write => 1,
                    How::Both => 2,
                });
                OP_SHUTDOWN
            }
            Call::Disconnect { .. } => OP_DISCONNECT,
            Call::Close { .. } => OP_CLOSE,
            Call::Getsockname { .. } => OP_GETSOCKNAME,
            Call::Getpeername { .. } => OP_GETPEERNAME,
            Call::Sleep { ms } => {
                o.extend(ms.to_le_bytes());
                OP_SLEEP
            }
        })
    }

    /// Registers that sockets of this user are needed.
    pub(crate) fn user(&mut self, uid: Option<u32>, without: u32) -> Result<u32, String> {
        match uid {
            Some(u32::MAX) => Err("4294967295 is not a user".into()),
            Some(uid) => {
                self.uids.insert(uid);
                Ok(uid)
            }
            None => Ok(without),
        }
    }
}

fn check_hosts(hosts: &[HostSpec]) -> Result<(), String> {
    if hosts.len() > MAX_HOSTS {
        return Err(format!("more than {MAX_HOSTS} hosts"));
    }
    let mut names = BTreeSet::new();
    let mut addresses = BTreeSet::new();
    for host in hosts {
        if !names.insert(&host.name) {
            return Err(format!("duplicate host name `{}`", host.name));
        }
        if let Some(ip) = host.addresses.iter().find(|ip| !addresses.insert(**ip)) {
            return Err(format!("duplicate address {ip}"));
        }
        // All of 127.0.0.0/8 and ::1 are local on every host.
        if let Some(ip) = host
            .addresses
            .iter()
            .find(|ip| ip.is_loopback() || ip.is_unspecified())
        {
            return Err(format!("invalid address {ip} of host `{}`", host.name));
        }
    }
    Ok(())
}

fn pairs(n: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..n).flat_map(move |a| (a + 1..n).map(move |b| (a, b)))
}

/// The name on host `on` of its link to host `to`: eth0, eth1 ... in the order of the other hosts.
fn interface(on: usize, to: usize) -> String {
    format!("eth{}", if to > on { to - 1 } else { to })
}

fn bytes(o: &mut Vec<u8>, value: &[u8]) {
    // Callers check that their texts are short; `op` rejects operands that are too long for a
    // frame.
    o.extend((value.len() as u16).to_le_bytes());
    o.extend(value);
}

fn text(o: &mut Vec<u8>, value: &[u8]) {
    o.extend((value.len() as u16 + 1).to_le_bytes());
    o.extend(value);
    o.push(0);
}

fn socket_address(o: &mut Vec<u8>, a: &SocketAddr) {
    let (family, scope) = match a {
        SocketAddr::V4(_) => (4, 0),
        SocketAddr::V6(a) => (6, a.scope_id()),
    };
    o.push(family);
    o.extend(a.port().to_le_bytes());
    o.extend(u32::to_le_bytes(scope));
    match a.ip() {
        IpAddr::V4(ip) => {
            o.extend(ip.octets());
            o.extend([0; 12]);
        }
        IpAddr::V6(ip) => o.extend(ip.octets()),
    }
}

/// The source that a route prefers. None (family 0) for an address that is not there yet: the
/// kernel chooses it once it is.
fn preferred(o: &mut Vec<u8>, host: &HostSpec, source: IpAddr) {
    let at = o.len();
    socket_address(o, &SocketAddr::new(source, 0));
    if host.tentative_ms > 0 && source.is_ipv6() {
        o[at] = 0;
    }
}

fn address(interface: &str, ip: IpAddr) -> Vec<u8> {
    let mut o = Vec::new();
    text(&mut o, interface.as_bytes());
    o.push(if ip.is_ipv4() { 32 } else { 128 });
    socket_address(&mut o, &SocketAddr::new(ip, 0));
    o
}

/// Encodes a sysctl as a file and a value. Only `net.` is allowed: the rest is not part of the
/// namespace.
fn sysctl(key: &str, value: &str) -> Result<Vec<u8>, String> {
    let part = |p: &str| {
        !p.is_empty()
            && p.bytes()
                .all(|c| c.is_ascii_alphanumeric() || c == b'_' || c == b'-')
    };
    if !key.starts_with("net.") || key.len() > 200 || !key.split('.').all(part) {
        return Err(format!(
            "invalid sysctl `{key}`: expected a name such as net.ipv4.ip_local_port_range"
        ));
    }
    if value.len() > 4000 || value.contains('\0') {
        return Err(format!(
            "sysctl `{key}`: the value is too long or has a NUL in it"
        ));
    }
    let mut o = Vec::new();
    text(
        &mut o,
        format!("/proc/sys/{}", key.replace('.', "/")).as_bytes(),
    );
    text(&mut o, value.as_bytes());
    Ok(o)
}

fn length(len: u32) -> Result<u32, String> {
    if len as usize > MAX_DATA {
        Err(format!("`len`: more than {MAX_DATA} bytes"))
    } else {
        Ok(len)
    }
}

/// The records of a frame, in order.
pub(crate) struct Records<'a>(pub(crate) &'a [u8]);

/// The guest's record of one call.
pub(crate) struct Record {
    result: i16,
    at_us: u64,
    addr: Option<SocketAddr>,
    moved: Option<u32>,
}

impl Records<'_> {
    pub(crate) fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk()?;
        self.0 = tail;
        Some(*head)
    }
}

impl Iterator for Records<'_> {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        let result = i16::from_le_bytes(self.take()?);
        let at_us = u64::from_le_bytes(self.take()?);
        let mut record = Record {
            result,
            at_us,
            addr: None,
            moved: None,
        };
        match u8::from_le_bytes(self.take()?) {
            FAMILY_LENGTH => record.moved = Some(u32::from_le_bytes(self.take()?)),
            4 => {
                let port = u16::from_le_bytes(self.take()?);
                record.addr = Some((Ipv4Addr::from(self.take::<4>()?), port).into());
            }
            6 => {
                let port = u16::from_le_bytes(self.take()?);
                record.addr = Some((Ipv6Addr::from(self.take::<16>()?), port).into());
            }
            _ => {}
        }
        Some(record)
    }
}

impl Record {
    /// The answer to a call.
    pub(crate) fn answer(self, call: &Call) -> Answer {
        let result = match self.result {
            0 => Outcome::Ok,
            RESULT_WAITING => Outcome::Waiting,
            RESULT_NOSOCK | RESULT_NOPORT => Outcome::NoSock,
            n => Outcome::Errno(Errno::new(n.unsigned_abs())),
        };
        let (local, peer) = match call {
            Call::Accept { .. } | Call::Getpeername { .. } => (None, self.addr),
            _ => (self.addr, None),
        };
        let port = match call {
            Call::Bind { .. } | Call::Listen { .. } => local.map(|a| a.port()),
            _ => None,
        };
        Answer {
            at_us: self.at_us,
            result,
            local,
            peer,
            port,
            moved: self.moved,
        }
    }
}
