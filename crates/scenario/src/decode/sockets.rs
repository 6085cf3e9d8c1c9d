//! Resolution of steps: the sockets, processes, hosts and ports that exist at each of them.
//!
//! A socket without a `socket` step is created by its first `set`, `bind`, `listen` or `connect`.
//! It belongs to the only process that the steps name, or to `main` if they name none or several,
//! and has the family of the first address that it uses. A `socket` step with `implicit` set is
//! inserted for it, so that interpreters see the creation of every socket.

use std::net::IpAddr;

use indexmap::{IndexMap, IndexSet};

use crate::diagnostic::quoted;
use crate::model::{Options, SocketStep, Step};
use crate::span::{Span, Spanned};
use crate::suggest::{all_of, nearest};
use crate::value::{Family, Op, SocketType};

use super::Problems;
use super::hosts::{Hosts, pick};
use super::steps::{Raw, Reads, makes_socket};

/// The process of sockets without `by`.
const MAIN: &str = "main";

struct Owner {
    on: String,
    uid: u32,
}

struct Resolver<'a, 'p, 's> {
    hosts: &'a Hosts,
    problems: &'p mut Problems<'s>,
    /// The process of a socket that does not name one.
    default_process: String,
    processes: IndexMap<String, Owner>,
    /// Names of the open sockets.
    open: IndexSet<String>,
    /// Closed sockets with the line that closed them.
    closed: IndexMap<String, u32>,
    ports: IndexSet<String>,
    steps: Vec<Spanned<Step>>,
}

/// Fills in the omitted fields of steps. Returns the names of the processes too.
pub(crate) fn resolve(
    raw: Vec<Raw>,
    hosts: &Hosts,
    problems: &mut Problems<'_>,
) -> (Vec<Spanned<Step>>, IndexSet<String>) {
    let named: IndexSet<&str> = raw
        .iter()
        .filter_map(|raw| raw.by.as_ref())
        .map(|by| by.value.as_str())
        .collect();
    let default_process = match (named.len(), named.first()) {
        (1, Some(only)) => (*only).to_owned(),
        _ => MAIN.to_owned(),
    };
    let families = families(&raw);
    let mut resolver = Resolver {
        hosts,
        problems,
        default_process,
        processes: IndexMap::new(),
        open: IndexSet::new(),
        closed: IndexMap::new(),
        ports: IndexSet::new(),
        steps: Vec::with_capacity(raw.len()),
    };
    for (raw, family) in raw.into_iter().zip(families) {
        // Computing suggestions takes time, and problems beyond the limit are not shown.
        if resolver.problems.is_full() {
            break;
        }
        resolver.step(raw, family);
    }
    let processes = resolver.processes.keys().cloned().collect();
    (resolver.steps, processes)
}

/// For each step, the family of its socket if the step creates it: the family of the next address
/// that the socket uses.
fn families(raw: &[Raw]) -> Vec<Family> {
    let mut next: IndexMap<&str, Family> = IndexMap::new();
    let mut all = vec![Family::Inet; raw.len()];
    for (n, raw) in raw.iter().enumerate().rev() {
        let ip = match &raw.step.value {
            Step::Bind(step) => Some(step.at.ip),
            Step::Connect(step) => Some(step.to.ip),
            Step::Sendto(step) => Some(step.to.ip),
            _ => None,
        };
        let Some(socket) = raw.step.socket() else {
            continue;
        };
        match ip {
            Some(IpAddr::V4(_)) => drop(next.insert(socket, Family::Inet)),
            Some(IpAddr::V6(_)) => drop(next.insert(socket, Family::Inet6)),
            None => {}
        }
        all[n] = next.get(socket).copied().unwrap_or(Family::Inet);
        // After a `close`, the name refers to another socket.
        if matches!(raw.step.value, Step::Close(_)) {
            next.shift_remove(socket);
        }
    }
    all
}

impl Resolver<'_, '_, '_> {
    fn step(&mut self, raw: Raw, family: Family) {
        let Raw {
            mut step,
            by,
            on,
            uid,
            socket: socket_span,
            variables,
        } = raw;
        // Variables of the call must be set before the step. Its expectations may use the port that
        // the step itself keeps.
        let asks = variables.iter().filter(|(when, _)| *when == Reads::After);
        for (_, variable) in variables.iter().filter(|(when, _)| *when == Reads::Before) {
            self.variable(variable);
        }
        match &mut step.value {
            Step::Socket(made) => {
                if let Some((process, host, uid)) = self.owner(by, on, uid, step.span) {
                    (made.by, made.on, made.uid) = (process, host, uid);
                }
                let name = made.socket.clone();
                self.opened(&name, socket_span);
            }
            Step::Sysctl(change) => {
                let what = "the `sysctl` step";
                change.on =
                    pick(on, step.span, self.hosts, what, self.problems).unwrap_or_default();
                if change.sysctl.is_empty() && self.problems.is_empty() {
                    let help = "write `{ sysctl: { net.ipv4.tcp_tw_reuse: 1 } }`".to_owned();
                    self.problems.report(
                        step.span,
                        "`sysctl` is empty",
                        "at least one",
                        Some(help),
                    );
                }
            }
            Step::Sleep(_) => {}
            other => {
                let name = other.socket().unwrap_or_default().to_owned();
                let op = other.op().unwrap_or(Op::Close);
                self.used(&name, op, family, socket_span);
            }
        }
        match &step.value {
            Step::Accept(accept) => {
                if let Some(name) = accept.accepted.clone() {
                    self.opened(&name, step.span);
                }
            }
            Step::Close(close) => {
                self.open.shift_remove(&close.socket);
                self.closed.insert(close.socket.clone(), step.span.line);
            }
            other => self.ports.extend(other.port_as().map(str::to_owned)),
        }
        for (_, variable) in asks {
            self.variable(variable);
        }
        self.steps.push(step);
    }

    /// Resolves the process of a new socket, with its host and user.
    fn owner(
        &mut self,
        by: Option<Spanned<String>>,
        on: Option<Spanned<String>>,
        uid: Option<Spanned<u32>>,
        at: Span,
    ) -> Option<(String, String, u32)> {
        let process = by.map_or_else(|| self.default_process.clone(), |by| by.value);
        if let Some(owner) = self.processes.get(&process) {
            if let Some(on) = on.as_ref().filter(|on| on.value != owner.on) {
                let message = format!("`{process}` is on `{}` already", owner.on);
                let help = "use another process there: `by: ...`".to_owned();
                self.problems
                    .report(on.span, message, "one host for each process", Some(help));
            }
            if let Some(uid) = uid.as_ref().filter(|uid| uid.value != owner.uid) {
                let message = format!("`{process}` runs as user {} already", owner.uid);
                let help = "name the uid on the first socket of the process".to_owned();
                self.problems
                    .report(uid.span, message, "one user for each process", Some(help));
            }
            return Some((process, owner.on.clone(), owner.uid));
        }
        let what = format!("the first socket of `{process}`");
        let owner = Owner {
            on: pick(on, at, self.hosts, &what, self.problems).unwrap_or_default(),
            uid: uid.map_or(0, |uid| uid.value),
        };
        let answer = (process.clone(), owner.on.clone(), owner.uid);
        self.processes.insert(process, owner);
        Some(answer)
    }

    fn opened(&mut self, name: &str, span: Span) {
        self.closed.shift_remove(name);
        if !name.is_empty() && !self.open.insert(name.to_owned()) {
            let message = format!("the socket {} is open already", quoted(name));
            let help = format!("close it first, or use another name such as `{name}2`");
            self.problems
                .report(span, message, "a new name", Some(help));
        }
    }

    fn used(&mut self, name: &str, op: Op, family: Family, span: Span) {
        if name.is_empty() || self.open.contains(name) {
            return;
        }
        if let Some(line) = self.closed.get(name) {
            let message = format!("the socket {} was closed on line {line}", quoted(name));
            let help = format!("create it again: `{{ socket: {name} }}`");
            self.problems
                .report(span, message, "an open socket", Some(help));
            return;
        }
        if makes_socket(op) {
            if let Some((by, on, uid)) = self.owner(None, None, None, span) {
                let made = Step::Socket(SocketStep {
                    socket: name.to_owned(),
                    family,
                    kind: SocketType::Stream,
                    by,
                    uid,
                    on,
                    nonblock: false,
                    options: Options::default(),
                    expect: Vec::new(),
                    implicit: true,
                });
                self.steps.push(Spanned::new(made, span));
            }
            self.open.insert(name.to_owned());
            return;
        }
        let names = || self.open.iter().map(String::as_str);
        let help = match nearest(name, names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if op == Op::SendTo || op == Op::RecvFrom => {
                format!("create it first: `{{ socket: {name}, type: dgram }}`")
            }
            None if self.open.is_empty() => format!("create it first: `{{ socket: {name} }}`"),
            None => format!("the open sockets are {}", all_of(names().take(12))),
        };
        let message = format!("unknown socket {}", quoted(name));
        self.problems.report(
            span,
            message,
            "a socket that an earlier step created",
            Some(help),
        );
    }

    fn variable(&mut self, variable: &Spanned<String>) {
        if self.ports.contains(&variable.value) {
            return;
        }
        let names = || self.ports.iter().map(String::as_str);
        let help = match nearest(&variable.value, names()) {
            Some(near) => format!("did you mean `${near}`?"),
            None => format!("set it in an earlier step: `port_as: {}`", variable.value),
        };
        let message = format!("no earlier step sets the port `${}`", variable.value);
        self.problems.report(
            variable.span,
            message,
            "a port of an earlier step",
            Some(help),
        );
    }
}
