//! One pass over a log: calls become events on sockets.

mod connections;
mod sockets;

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;

use indexmap::IndexMap;

use super::super::args::{self, Address, Decoration};
use super::super::calls::{Call, CallResult, LogEntry};
use super::super::fds::{Conclusion, Conclusions, Fd, Found, Tables};
use super::{Act, Event, History, Sock};
use crate::import::notes::Notes;
use crate::value::{Answer, Family, SocketType};

/// The state of a pass.
pub(super) struct Reader {
    tables: Tables,
    /// The arguments of the current call.
    args: Vec<String>,
    /// Refusals of socket() and accept() for reasons other than ports: the count, and the first
    /// line.
    limits: IndexMap<(String, String), (usize, usize)>,
    /// `true` if the log contains socket().
    opens: bool,
    /// `true` if the log contains close().
    closes: bool,
    socks: Vec<Sock>,
    /// The sockets that listen or have listened.
    listeners: BTreeSet<usize>,
    events: Vec<Event>,
    tasks: IndexMap<u32, usize>,
    names: IndexMap<u32, String>,
    notes: Notes,
    /// Treats contradictions as unknown descriptors.
    pub(super) tolerant: bool,
    /// `true` if the log shows the creation of tasks.
    forks_shown: bool,
    time: Option<u64>,
    /// The line on which the current call returned.
    until: Option<usize>,
}

pub(super) type Outcome<T> = std::result::Result<T, Conclusion>;

impl Reader {
    pub(super) fn new(known: Conclusions, notes: Notes) -> Self {
        Self {
            tables: Tables::new(known),
            args: Vec::new(),
            limits: IndexMap::new(),
            opens: false,
            closes: false,
            socks: Vec::new(),
            listeners: BTreeSet::new(),
            events: Vec::new(),
            tasks: IndexMap::new(),
            names: IndexMap::new(),
            notes,
            tolerant: false,
            forks_shown: false,
            time: None,
            until: None,
        }
    }

    pub(super) fn history(mut self) -> History {
        if self.tasks.len() > 1 && !self.forks_shown {
            self.notes.assumed(
                "tasks whose beginning the log does not show share their descriptors, unless the calls contradict it; record clone, clone3, fork and vfork to be certain",
            );
        }
        self.name_limits();
        if !self.opens && !self.socks.is_empty() {
            let also = if self.closes { "" } else { " and no close()" };
            self.notes.assumed(format!(
                "the log has no socket(){also}: a connect() to another destination is assumed to be by a new socket without options. Record with `-e trace=network,close`"
            ));
        }
        let tasks = self.tasks.keys().enumerate().map(|(n, pid)| {
            let program = self.names.get(pid).map_or("p", String::as_str);
            format!("{program}{}", n + 1)
        });
        self.events.retain(|event| event.act != Act::Reverted);
        let named = self.events.iter().filter_map(|event| match event.act {
            Act::Bind(at) | Act::Connect(at) => Some(at.port()),
            _ => None,
        });
        History {
            named: named.filter(|port| *port != 0).collect(),
            tasks: tasks.collect(),
            seen: super::seen(&self.socks),
            socks: self.socks,
            events: self.events,
            notes: self.notes,
        }
    }

    pub(super) fn all(&mut self, entries: &[LogEntry<'_>]) -> Outcome<()> {
        for entry in entries {
            match entry {
                LogEntry::Exit(pid) => {
                    for sock in self.tables.exit(*pid) {
                        self.ended(sock, 0);
                    }
                }
                LogEntry::Call(call) => {
                    self.time = call.time.or(self.time);
                    self.until = call.until;
                    self.args = call.args();
                    if let Some(program) =
                        call.program.filter(|_| !self.names.contains_key(&call.pid))
                    {
                        self.is_program(call.pid, program);
                    }
                    self.call(call)?;
                }
            }
        }
        Ok(())
    }

    /// An argument of the current call.
    fn arg(&self, n: usize) -> &str {
        self.args.get(n).map_or("", String::as_str)
    }

    /// The socket address among the arguments of the current call.
    fn address(&mut self, n: usize, line: usize) -> Option<Address> {
        let address = args::address(self.arg(n));
        if address == Some(Address::Scoped) {
            self.notes.count("calls with link-local addresses", line);
        }
        address
    }

    fn fd(&mut self, call: &Call<'_>) -> Outcome<Option<Fd>> {
        let Some(fd) = args::fd(self.arg(0)) else {
            return Ok(None);
        };
        let decoration = args::decoration(self.arg(0));
        if decoration == Decoration::Other {
            return Ok(Some(Fd::Other));
        }
        let found = match self.tables.get(call.pid, fd) {
            Err(_) if self.tolerant => None,
            Err(learned) => return Err(learned),
            Ok(Found::Unknown) => None,
            Ok(Found::Open(found)) => Some(found),
            Ok(Found::Revived(sock)) => {
                self.revive(sock);
                Some(Fd::Socket(sock))
            }
        };
        Ok(match found {
            Some(Fd::Socket(sock)) => {
                if let Decoration::Inet(_, _, Some(local), _) = decoration
                    && local.port() != 0
                {
                    self.socks[sock].local = Some(local);
                }
                // A descriptor of a closed socket contradicts the log and is treated as unknown.
                Some(Fd::Socket(sock)).filter(|_| !self.socks[sock].closed)
            }
            other => other,
        })
    }

    /// Reverts the close of a socket: a process forked before it still has the socket open.
    fn revive(&mut self, sock: usize) {
        self.socks[sock].closed = false;
        if let Some(at) = self.socks[sock].close.take() {
            self.events[at].act = Act::Reverted;
        }
    }

    /// The TCP or UDP socket of a call, if it is known.
    fn known_socket(&mut self, call: &Call<'_>) -> Outcome<Option<usize>> {
        Ok(match self.fd(call)? {
            Some(Fd::Socket(sock)) => Some(sock),
            _ => None,
        })
    }

    /// The TCP socket of a call, if it is known.
    fn stream(&mut self, call: &Call<'_>) -> Outcome<Option<usize>> {
        let found = self.known_socket(call)?;
        Ok(found.filter(|sock| !self.socks[*sock].is_datagram()))
    }

    /// Like [`known_socket`](Self::known_socket), but a descriptor that was opened before the log
    /// begins becomes a socket.
    fn socket_or_new(&mut self, call: &Call<'_>, family: Family) -> Outcome<Option<usize>> {
        match self.fd(call)? {
            Some(Fd::Socket(sock)) => Ok(Some(sock)),
            Some(Fd::Other) => Ok(None),
            None => self.new_socket(call, family),
        }
    }

    /// Adds a socket that was opened before the log begins, or by a call that the log does not
    /// show.
    fn new_socket(&mut self, call: &Call<'_>, family: Family) -> Outcome<Option<usize>> {
        let Some(fd) = args::fd(self.arg(0)) else {
            // Programs pass on the result of a failed socket().
            if !self.arg(0).starts_with("-1") && !self.arg(0).starts_with("0xffffffff") {
                self.notes.odd(call.line, call.name);
            }
            return Ok(None);
        };
        let (kind, family, local) = match args::decoration(self.arg(0)) {
            Decoration::Inet(kind, family, local, _) => (kind, family, local),
            _ => (SocketType::Stream, family, None),
        };
        if self.opens {
            let protocol = match kind {
                SocketType::Stream => "TCP",
                SocketType::Dgram => "UDP",
            };
            self.notes.assumed(format!(
                "line {}: descriptor {fd}, opened before the log begins, is a {protocol} socket without options",
                call.line
            ));
        }
        let sock = self.made(call, family, kind, None);
        self.event(call.line, sock, Act::Socket, None);
        self.socks[sock].local = local.filter(|at| at.port() != 0);
        self.opened(call.pid, fd, Fd::Socket(sock), call.line)?;
        Ok(Some(sock))
    }

    fn opened(&mut self, pid: u32, fd: u32, what: Fd, line: usize) -> Outcome<()> {
        let former = match self.tables.put(pid, fd, what) {
            Err(_) if self.tolerant => None,
            former => former?,
        };
        // A close that the log does not show: close_range, close-on-exec, io_uring.
        if let Some(sock) = former {
            self.ended(sock, line);
        }
        Ok(())
    }

    fn made(
        &mut self,
        call: &Call<'_>,
        family: Family,
        kind: SocketType,
        accepted_from: Option<usize>,
    ) -> usize {
        let next = self.tasks.len();
        let task = *self.tasks.entry(call.pid).or_insert(next);
        self.socks.push(Sock {
            task,
            family,
            kind,
            has_port: false,
            accepted_from,
            bound: None,
            local: None,
            listening: false,
            other_end: None,
            destination: None,
            open_connect: None,
            pending: VecDeque::new(),
            closed: false,
            close: None,
        });
        self.socks.len() - 1
    }

    fn event(&mut self, line: usize, sock: usize, act: Act, answer: Option<Answer>) -> usize {
        let time = self.time;
        self.events.push(Event {
            line,
            time,
            sock,
            act,
            answer,
            until: self.until,
            started: false,
        });
        self.events.len() - 1
    }

    fn ended(&mut self, sock: usize, line: usize) {
        if !std::mem::replace(&mut self.socks[sock].closed, true) {
            self.socks[sock].close = Some(self.event(line, sock, Act::Close, None));
        }
    }

    fn answer(&mut self, call: &Call<'_>) -> Option<Answer> {
        match &call.result {
            CallResult::Value(_) => Some(Answer::OK),
            CallResult::Errno(name) => {
                let answer = Answer::from_name(name);
                if answer.is_none() {
                    self.notes
                        .odd(call.line, &format!("{} answered {name}", call.name));
                }
                answer
            }
            CallResult::Interrupted if call.name == "connect" => Answer::from_name("EINTR"),
            CallResult::Unknown | CallResult::Interrupted | CallResult::Injected => None,
        }
    }

    fn call(&mut self, call: &Call<'_>) -> Outcome<()> {
        if call.result == CallResult::Injected {
            let what = "calls with injected results (INJECTED), which were not made";
            self.notes.count(what, call.line);
            return Ok(());
        }
        let goes_on = call.name == "connect" && call.result == CallResult::Interrupted;
        let open = matches!(call.result, CallResult::Unknown | CallResult::Interrupted);
        if open && call.name != "close" && !goes_on {
            self.notes.count(
                "calls that a signal or the end of their process interrupted",
                call.line,
            );
            return Ok(());
        }
        match call.name {
            "socket" => self.socket(call)?,
            "socketpair" => self.notes.count("pairs of Unix sockets", call.line),
            "setsockopt" => self.setsockopt(call)?,
            "getsockopt" => self.getsockopt(call)?,
            "bind" => self.bind(call)?,
            "listen" => self.listen(call)?,
            "connect" => self.connect(call)?,
            "accept" | "accept4" => self.accept(call)?,
            "shutdown" => self.shutdown(call)?,
            "getsockname" => self.getsockname(call)?,
            "getpeername" => self.getpeername(call)?,
            "sendto" | "sendmsg" if self.opens_fast() => {
                let to = self.fast_address();
                self.connect_with(call, to)?;
            }
            "sendto" | "sendmsg" | "sendmmsg" | "send" | "sendfile" | "write" | "writev" => {
                self.sent(call)?;
                self.moved(call, false)?
            }
            "recvfrom" | "recvmsg" | "recvmmsg" | "recv" | "read" | "readv" => {
                self.moved(call, true)?
            }
            "close" => {
                self.closes = true;
                if let Some(fd) = args::fd(self.arg(0))
                    && matches!(call.result, CallResult::Value(_))
                {
                    // A process may close a socket that another one has closed already.
                    if let Ok(Found::Revived(sock)) = self.tables.get(call.pid, fd) {
                        self.revive(sock);
                    }
                    if let Some(sock) = self.tables.close(call.pid, fd) {
                        self.ended(sock, call.line);
                    }
                }
            }
            "dup" | "dup2" | "dup3" | "fcntl" | "fcntl64" => self.dup(call)?,
            "clone" | "clone3" | "fork" | "vfork" => {
                self.forks_shown = true;
                if let CallResult::Value(child) = &call.result
                    && let Ok(child) = u32::try_from(*child)
                {
                    let shared = self.args.iter().any(|arg| arg.contains("CLONE_FILES"));
                    self.tables.fork(call.pid, child, shared);
                }
            }
            "execve" => self.execve(call),
            other => self
                .notes
                .count(format!("{} calls", name(other)), call.line),
        }
        Ok(())
    }
}

/// A name of the log for a note.
fn name(text: &str) -> String {
    text.chars()
        .take(40)
        .filter(|c| c.is_ascii_alphanumeric() || *c == '_')
        .collect()
}

fn family_of(address: SocketAddr) -> Family {
    if address.is_ipv6() {
        Family::Inet6
    } else {
        Family::Inet
    }
}
