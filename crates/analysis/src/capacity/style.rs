//! The ways in which the programs of a scenario take ports.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use fourtuple_kernel::profile::Behaviours;
use fourtuple_scenario::{
    Case, Close, Hold, Options, PortRef, Process, Program, Protocol, SockOpt, SocketStep,
    SocketType, Spanned, Step,
};
use indexmap::IndexMap;

/// Programs of one kind that are named.
const NAMED: usize = 4;

/// One way of taking ports that a program of the scenario has.
#[derive(Clone, Debug)]
pub(super) struct Style {
    pub(super) program: String,
    pub(super) host: String,
    pub(super) protocol: Protocol,
    pub(super) uid: u32,
    pub(super) bind: Vec<SocketAddr>,
    pub(super) options: Options,
    /// The destinations; none for UDP sockets that are only bound.
    pub(super) connect: Vec<SocketAddr>,
    pub(super) close: Close,
}

impl Style {
    /// Returns `true` if another way of connecting has the same numbers: it differs at most in the
    /// destination.
    pub(super) fn is_like(&self, other: &Style) -> bool {
        self.takes_like(other)
            && self.close == other.close
            && self.connect.len() == other.connect.len()
    }

    /// Returns `true` if another way takes its ports by the same calls on the same host.
    fn takes_like(&self, other: &Style) -> bool {
        let local = |style: &Style| {
            let first = style.connect.first();
            first.map(|to| (to.is_ipv6(), to.ip().is_loopback()))
        };
        self.host == other.host
            && self.protocol == other.protocol
            && self.bind == other.bind
            && self.options == other.options
            && local(self) == local(other)
    }

    /// Returns `true` if it makes connections, or has UDP sockets for which the kernel selects a
    /// port.
    fn takes_ports(&self) -> bool {
        let selected = self.bind.iter().any(|at| at.port() == 0);
        match self.protocol {
            Protocol::Tcp => !self.connect.is_empty(),
            Protocol::Udp => selected || self.bind.is_empty() && !self.connect.is_empty(),
        }
    }

    /// Returns `true` if a kernel leaves the choice of the port to connect().
    pub(super) fn is_late(&self, kernel: &Behaviours) -> bool {
        kernel.bind_address_no_port && self.options.has(SockOpt::BindAddressNoPort(true))
    }

    /// Returns `true` if the sockets share ports that the kernel selects, so that these never run
    /// out: UDP sockets with an option for it.
    pub(super) fn shares(&self, kernel: &Behaviours) -> bool {
        let has = |option| self.options.has(option);
        self.protocol == Protocol::Udp
            && (has(SockOpt::ReuseAddr(true)) || kernel.reuseport && has(SockOpt::ReusePort(true)))
    }

    /// The number of different source addresses.
    pub(super) fn addresses(&self) -> u64 {
        let ips: BTreeSet<_> = self.bind.iter().map(SocketAddr::ip).collect();
        ips.len() as u64
    }

    /// The calls in words.
    pub(super) fn how(&self) -> String {
        let mut words = if self.bind.is_empty() {
            "connects without bind".to_owned()
        } else {
            // Taken in turn, an address may be there several times.
            let different: BTreeSet<&SocketAddr> = self.bind.iter().collect();
            let at: Vec<String> = different.iter().take(3).map(ToString::to_string).collect();
            let more = match different.len().saturating_sub(at.len()) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let then = match self.connect.is_empty() {
                true => "",
                false => ", then connects",
            };
            format!("binds {}{more}{then}", at.join(", "))
        };
        let options: Vec<String> = (self.options.iter())
            .map(|option| format!("{} {}", option.name(), option.value()))
            .collect();
        if !options.is_empty() {
            words.push_str(&format!(" ({})", options.join(", ")));
        }
        match self.protocol {
            Protocol::Tcp => words,
            Protocol::Udp => format!("UDP, {words}"),
        }
    }
}

/// The different ways of taking ports; programs that differ only in number, time or destination are
/// one. A program is measured alone, so that another destination of its kind gives the same
/// numbers.
pub(super) fn styles(case: &Case) -> Vec<Style> {
    let mut found: Vec<(Style, usize)> = Vec::new();
    let every: Vec<Style> = match &*case.program {
        Program::Processes(all) => {
            let all = all.iter().map(|(name, one)| of_process(name, one));
            all.filter(Style::takes_ports).collect()
        }
        Program::Steps(steps) => of_steps(steps),
    };
    for style in every {
        match found.iter_mut().find(|(one, _)| one.is_like(&style)) {
            Some((one, more)) => {
                *more += 1;
                if *more < NAMED {
                    one.program.push_str(&format!(", {}", style.program));
                }
            }
            None => found.push((style, 0)),
        }
    }
    let named = |(mut style, more): (Style, usize)| {
        if more >= NAMED {
            let rest = format!(" and {} more", more + 1 - NAMED);
            style.program.push_str(&rest);
        }
        style
    };
    found.into_iter().map(named).collect()
}

fn of_process(name: &str, process: &Process) -> Style {
    Style {
        program: name.to_owned(),
        host: process.on.clone(),
        protocol: process.protocol,
        uid: process.uid,
        bind: process.bind.clone(),
        options: process.options.clone(),
        connect: process.connect.clone(),
        // Connections that are held for ever are not closed by either side; TIME-WAIT on the client
        // is the usual case.
        close: match process.hold {
            Hold::Forever => Close::Client,
            Hold::For(_) => process.close,
        },
    }
}

/// The sockets of the steps, of each process those together that take ports in the same way.
fn of_steps(steps: &[Spanned<Step>]) -> Vec<Style> {
    let mut open: IndexMap<&str, Style> = IndexMap::new();
    let mut styles: Vec<Style> = Vec::new();
    for step in steps {
        let name = step.value.socket().unwrap_or_default();
        if let Step::Socket(made) = &step.value {
            if let Some(before) = open.insert(name, of_socket(made)) {
                add_socket(&mut styles, before);
            }
            continue;
        }
        let Some(style) = open.get_mut(name) else {
            continue;
        };
        // What follows the first destination is not about the choice of the port.
        let is_fresh = style.connect.is_empty();
        let datagram = style.protocol == Protocol::Udp;
        match &step.value {
            Step::Set(set) if is_fresh => {
                set.options.iter().for_each(|one| style.options.set(one));
            }
            Step::Bind(bind) if is_fresh => {
                // A port that an earlier call has chosen is not selected again.
                let port = match &bind.at.port {
                    PortRef::Number(port) => *port,
                    PortRef::Variable(_) => 1,
                };
                style.bind = vec![SocketAddr::new(bind.at.ip, port)];
            }
            Step::Connect(connect) => style.connect.extend(connect.to.resolve(|_| Some(0))),
            Step::Sendto(send) if datagram => {
                style.connect.extend(send.to.resolve(|_| Some(0)));
            }
            _ => {}
        }
    }
    let left = open.into_values();
    left.for_each(|style| add_socket(&mut styles, style));
    styles
}

fn of_socket(made: &SocketStep) -> Style {
    Style {
        program: made.by.clone(),
        host: made.on.clone(),
        protocol: match made.kind {
            SocketType::Stream => Protocol::Tcp,
            SocketType::Dgram => Protocol::Udp,
        },
        uid: made.uid,
        bind: Vec::new(),
        options: made.options.clone(),
        connect: Vec::new(),
        close: Close::Client,
    }
}

/// Adds a socket to those of its process that take ports in the same way.
fn add_socket(styles: &mut Vec<Style>, socket: Style) {
    if !socket.takes_ports() {
        return;
    }
    let same = |one: &&mut Style| one.program == socket.program && one.takes_like(&socket);
    match styles.iter_mut().find(same) {
        Some(known) => {
            for to in socket.connect {
                if !known.connect.contains(&to) {
                    known.connect.push(to);
                }
            }
        }
        None => styles.push(socket),
    }
}
