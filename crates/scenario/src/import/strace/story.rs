//! What the recorded programs did with TCP sockets: calls turned into events on sockets.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;

use indexmap::IndexMap;

use super::args::{self, Address, Setting};
use super::calls::{Answer as Result, Call, Happening};
use super::fds::{Fd, Tables};
use crate::import::notes::Notes;
use crate::model::SocketOption;
use crate::value::{Answer, Family, How};

/// Most events that are kept. More could not be written into one scenario.
const MAX_EVENTS: usize = crate::import::MAX_IMPORTED_STEPS * 2;
/// How often a log is read again because a close turned out not to end its socket.
const MAX_READINGS: usize = 200;

/// A TCP socket of the log.
#[derive(Clone, Debug)]
pub(super) struct Sock {
    /// The recorded task that made it, counted from 0 in the order of appearance.
    pub(super) task: usize,
    pub(super) family: Family,
    /// The listener that it was accepted from.
    pub(super) accepted_from: Option<usize>,
    pub(super) bound: Option<SocketAddr>,
    /// Its own address, if the program asked for it.
    pub(super) local: Option<SocketAddr>,
    pub(super) listening: bool,
    /// The recorded socket at the other end.
    pub(super) other_end: Option<usize>,
    /// The event of a connect whose outcome is not known yet.
    open_connect: Option<usize>,
    /// Connections to this listener that wait to be accepted.
    pending: VecDeque<usize>,
    closed: bool,
}

/// Something that happened to a socket.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) line: usize,
    pub(super) time: Option<u64>,
    pub(super) sock: usize,
    pub(super) act: Act,
    /// What was answered; none if that is not known, or means nothing.
    pub(super) answer: Option<Answer>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Socket,
    Set(SocketOption),
    Bind(SocketAddr),
    Listen(u32),
    Connect(SocketAddr),
    /// The socket was accepted; its peer if the log says it.
    Accepted(Option<SocketAddr>),
    Shutdown(How),
    Disconnect,
    Close,
    /// The program saw that the other end closed.
    PeerClosed,
    /// The program saw that the other end sent a reset.
    PeerReset,
}

impl Act {
    /// Whether the call asks the kernel for a port, or for a connection on one.
    pub(super) fn asks(&self) -> bool {
        matches!(
            self,
            Self::Bind(_) | Self::Listen(_) | Self::Connect(_) | Self::Accepted(_)
        )
    }
}

/// The log as events.
#[derive(Debug)]
pub(super) struct Story {
    pub(super) socks: Vec<Sock>,
    pub(super) events: Vec<Event>,
    /// Names of the recorded tasks.
    pub(super) tasks: Vec<String>,
    pub(super) notes: Notes,
}

/// Reads the calls, as often as it takes to know which closes ended a socket.
pub(super) fn read(happenings: &[Happening<'_>], make_notes: impl Fn() -> Notes) -> Story {
    let mut kept = BTreeSet::new();
    for _ in 0..MAX_READINGS {
        let mut reader = Reader::new(kept.clone(), make_notes());
        match reader.all(happenings) {
            Ok(()) => return reader.story(),
            Err(line) => drop(kept.insert(line)),
        }
    }
    let mut notes = make_notes();
    notes.assumed(
        "tasks share their descriptors, although some seem not to; record clone and fork as well",
    );
    let mut reader = Reader::new(kept, notes);
    reader.tolerant = true;
    let _ = reader.all(happenings);
    reader.story()
}

struct Reader {
    tables: Tables,
    socks: Vec<Sock>,
    events: Vec<Event>,
    tasks: IndexMap<u32, usize>,
    names: IndexMap<u32, String>,
    notes: Notes,
    /// Take contradictions for unknown descriptors.
    tolerant: bool,
    /// The log shows how tasks came to be.
    forks_shown: bool,
    time: Option<u64>,
}

type Outcome<T> = std::result::Result<T, usize>;

impl Reader {
    fn new(kept: BTreeSet<usize>, notes: Notes) -> Self {
        Self {
            tables: Tables::new(kept),
            socks: Vec::new(),
            events: Vec::new(),
            tasks: IndexMap::new(),
            names: IndexMap::new(),
            notes,
            tolerant: false,
            forks_shown: false,
            time: None,
        }
    }

    fn story(mut self) -> Story {
        if self.tasks.len() > 1 && !self.forks_shown {
            self.notes.assumed(
                "tasks whose beginning the log does not show share their descriptors, unless the calls contradict it; record clone and fork as well to know",
            );
        }
        let tasks = self.tasks.keys().enumerate().map(|(n, pid)| {
            let program = self.names.get(pid).map_or("p", String::as_str);
            format!("{program}{}", n + 1)
        });
        Story {
            tasks: tasks.collect(),
            socks: self.socks,
            events: self.events,
            notes: self.notes,
        }
    }

    fn all(&mut self, happenings: &[Happening<'_>]) -> Outcome<()> {
        for happening in happenings {
            if self.events.len() >= MAX_EVENTS {
                if let Happening::Call(call) = happening {
                    self.notes.left_out(format!("everything from line {} on: the log has too many socket calls for one scenario", call.line));
                }
                break;
            }
            match happening {
                Happening::Exit(pid) => {
                    for sock in self.tables.exit(*pid) {
                        self.ended(sock, 0);
                    }
                }
                Happening::Call(call) => {
                    self.time = call.time.or(self.time);
                    self.call(call)?;
                }
            }
        }
        Ok(())
    }

    fn fd(&mut self, call: &Call<'_>) -> Outcome<Option<Fd>> {
        let Some(fd) = call.args.first().and_then(|arg| args::fd(arg)) else {
            return Ok(None);
        };
        match self.tables.get(call.pid, fd) {
            Err(_) if self.tolerant => Ok(None),
            // A descriptor that outlived its socket contradicts the log: it is as good as unknown.
            Ok(Some(Fd::Tcp(sock))) if self.socks[sock].closed => Ok(None),
            answer => answer,
        }
    }

    /// The TCP socket that a call is about, if it is one that is known.
    fn tcp(&mut self, call: &Call<'_>) -> Outcome<Option<usize>> {
        Ok(match self.fd(call)? {
            Some(Fd::Tcp(sock)) => Some(sock),
            _ => None,
        })
    }

    /// Like [`tcp`](Self::tcp), but a descriptor that was opened before the log begins becomes a socket.
    fn tcp_or_new(&mut self, call: &Call<'_>, family: Family) -> Outcome<Option<usize>> {
        match self.fd(call)? {
            Some(Fd::Tcp(sock)) => Ok(Some(sock)),
            Some(Fd::Other) => Ok(None),
            None => {
                let Some(fd) = call.args.first().and_then(|arg| args::fd(arg)) else {
                    self.notes.odd(call.line, call.name);
                    return Ok(None);
                };
                self.notes.assumed(format!(
                    "line {}: descriptor {fd}, opened before the log begins, is a TCP socket without options",
                    call.line
                ));
                let sock = self.made(call, family, None);
                self.event(call.line, sock, Act::Socket, None);
                self.opened(call.pid, fd, Fd::Tcp(sock), call.line);
                Ok(Some(sock))
            }
        }
    }

    fn opened(&mut self, pid: u32, fd: u32, what: Fd, line: usize) {
        // A close that the log does not show: close_range, close-on-exec, io_uring.
        if let Some(sock) = self.tables.put(pid, fd, what) {
            self.ended(sock, line);
        }
    }

    fn made(&mut self, call: &Call<'_>, family: Family, accepted_from: Option<usize>) -> usize {
        let next = self.tasks.len();
        let task = *self.tasks.entry(call.pid).or_insert(next);
        self.socks.push(Sock {
            task,
            family,
            accepted_from,
            bound: None,
            local: None,
            listening: false,
            other_end: None,
            open_connect: None,
            pending: VecDeque::new(),
            closed: false,
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
        });
        self.events.len() - 1
    }

    fn ended(&mut self, sock: usize, line: usize) {
        if !std::mem::replace(&mut self.socks[sock].closed, true) {
            self.event(line, sock, Act::Close, None);
        }
    }

    fn answer(&mut self, call: &Call<'_>) -> Option<Answer> {
        match &call.result {
            Result::Value(_) => Some(Answer::OK),
            Result::Errno(name) => {
                let answer = Answer::from_name(name);
                if answer.is_none() {
                    self.notes
                        .odd(call.line, &format!("{} answered {name}", call.name));
                }
                answer
            }
            Result::Unknown => None,
        }
    }

    fn call(&mut self, call: &Call<'_>) -> Outcome<()> {
        if call.result == Result::Unknown && call.name != "close" {
            self.notes.count(
                "calls that were interrupted, or that the end of their process cut short",
                call.line,
            );
            return Ok(());
        }
        match call.name {
            "socket" => self.socket(call),
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
            "sendto" | "sendmsg" | "sendmmsg" | "send" | "sendfile" | "write" | "writev" => {
                self.moved(call, false)?
            }
            "recvfrom" | "recvmsg" | "recvmmsg" | "recv" | "read" | "readv" => {
                self.moved(call, true)?
            }
            "close" => {
                if let Some(fd) = call.args.first().and_then(|arg| args::fd(arg))
                    && matches!(call.result, Result::Value(_))
                    && let Some(sock) = self.tables.close(call.pid, fd, call.line)
                {
                    self.ended(sock, call.line);
                }
            }
            "dup" | "dup2" | "dup3" | "fcntl" | "fcntl64" => self.dup(call)?,
            "clone" | "clone3" | "fork" | "vfork" => {
                self.forks_shown = true;
                if let Result::Value(child) = &call.result
                    && let Ok(child) = u32::try_from(*child)
                {
                    let shared = call.args.iter().any(|arg| arg.contains("CLONE_FILES"));
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

    fn socket(&mut self, call: &Call<'_>) {
        let Result::Value(fd) = &call.result else {
            self.notes.count("socket calls that failed", call.line);
            return;
        };
        let Ok(fd) = u32::try_from(*fd) else { return };
        let arg = |n: usize| call.args.get(n).map_or("", String::as_str);
        let stream = arg(1).split('|').any(|part| part == "SOCK_STREAM");
        let tcp = stream && matches!(arg(2), "IPPROTO_IP" | "IPPROTO_TCP" | "0" | "");
        let family = match arg(0) {
            "AF_INET" | "PF_INET" if tcp => Family::Inet,
            "AF_INET6" | "PF_INET6" if tcp => Family::Inet6,
            family => {
                let kind = match (family, stream) {
                    ("AF_INET" | "AF_INET6", false) => "UDP or raw".to_owned(),
                    ("AF_INET" | "AF_INET6", true) => name(arg(2)),
                    ("AF_UNIX" | "AF_LOCAL", _) => "Unix".to_owned(),
                    (family, _) => name(family),
                };
                self.notes
                    .count(format!("sockets of another kind ({kind})"), call.line);
                self.opened(call.pid, fd, Fd::Other, call.line);
                return;
            }
        };
        let sock = self.made(call, family, None);
        self.event(call.line, sock, Act::Socket, None);
        self.opened(call.pid, fd, Fd::Tcp(sock), call.line);
    }

    fn setsockopt(&mut self, call: &Call<'_>) -> Outcome<()> {
        let [_, level, option, value, ..] = call.args.as_slice() else {
            self.notes.odd(call.line, call.name);
            return Ok(());
        };
        let setting = args::setting(level, option, value);
        let known = matches!(setting, Setting::Option(_));
        let family = if level == "SOL_IPV6" {
            Family::Inet6
        } else {
            Family::Inet
        };
        // Other sockets have such options as well, so that only a socket that is known counts.
        let Some(sock) = self.tcp(call)? else {
            if known && self.fd(call)?.is_none() && self.tcp_or_new(call, family)?.is_some() {
                return self.setsockopt(call);
            }
            return Ok(());
        };
        match setting {
            Setting::Option(option) => {
                let answer = self.answer(call);
                self.event(call.line, sock, Act::Set(option), answer);
            }
            Setting::Other(option) => self.notes.count(
                format!("settings of {option}, which ports do not depend on"),
                call.line,
            ),
            Setting::Unclear => self
                .notes
                .odd(call.line, &format!("setsockopt {level} {option} {value}")),
        }
        Ok(())
    }

    fn getsockopt(&mut self, call: &Call<'_>) -> Outcome<()> {
        let [_, _, option, value, ..] = call.args.as_slice() else {
            return Ok(());
        };
        if option != "SO_ERROR" || !matches!(call.result, Result::Value(_)) {
            return Ok(());
        }
        let value = value.trim_matches(['[', ']']);
        if let Some(sock) = self.tcp(call)? {
            let answer = if value == "0" {
                Some(Answer::OK)
            } else {
                Answer::from_name(value)
            };
            self.connected(sock, answer);
        }
        Ok(())
    }

    /// The outcome of a connect that was under way.
    fn connected(&mut self, sock: usize, answer: Option<Answer>) {
        let Some(event) = self.socks[sock].open_connect.take() else {
            return;
        };
        self.events[event].answer = answer;
        if answer.is_some_and(|answer| !answer.is_ok()) {
            for listener in &mut self.socks {
                listener.pending.retain(|waiting| *waiting != sock);
            }
        }
    }

    fn bind(&mut self, call: &Call<'_>) -> Outcome<()> {
        let at = match call.args.get(1).and_then(|arg| args::address(arg)) {
            Some(Address::Inet(at)) => at,
            Some(_) => return Ok(()),
            None => {
                if self.tcp(call)?.is_some() {
                    self.notes.odd(call.line, &call.args.join(", "));
                }
                return Ok(());
            }
        };
        let Some(sock) = self.tcp_or_new(call, family_of(at))? else {
            return Ok(());
        };
        let answer = self.answer(call);
        if answer.is_some_and(Answer::is_ok) {
            self.socks[sock].bound = Some(at);
        }
        self.event(call.line, sock, Act::Bind(at), answer);
        Ok(())
    }

    fn listen(&mut self, call: &Call<'_>) -> Outcome<()> {
        let Some(sock) = self.tcp(call)? else {
            return Ok(());
        };
        let backlog = call
            .args
            .get(1)
            .and_then(|arg| arg.parse().ok())
            .unwrap_or(128);
        let answer = self.answer(call);
        if answer.is_some_and(Answer::is_ok) {
            self.socks[sock].listening = true;
        }
        self.event(call.line, sock, Act::Listen(backlog), answer);
        Ok(())
    }

    fn connect(&mut self, call: &Call<'_>) -> Outcome<()> {
        let to = match call.args.get(1).and_then(|arg| args::address(arg)) {
            Some(Address::Inet(to)) => to,
            Some(Address::Unspec) => {
                if let Some(sock) = self.tcp(call)? {
                    let answer = self.answer(call);
                    self.event(call.line, sock, Act::Disconnect, answer);
                }
                return Ok(());
            }
            Some(Address::Other) => return Ok(()),
            None => {
                if self.tcp(call)?.is_some() {
                    self.notes.odd(call.line, &call.args.join(", "));
                }
                return Ok(());
            }
        };
        let Some(sock) = self.tcp_or_new(call, family_of(to))? else {
            return Ok(());
        };
        let answer = self.answer(call);
        let word = answer.map_or("", Answer::as_str);
        if self.socks[sock].open_connect.is_some() {
            // Asking again how it went.
            match word {
                "ok" | "EISCONN" => self.connected(sock, Some(Answer::OK)),
                "EALREADY" | "EINPROGRESS" | "EINTR" => {}
                _ => self.connected(sock, answer),
            }
            return Ok(());
        }
        let under_way = matches!(word, "EINPROGRESS" | "EINTR");
        let event = self.event(
            call.line,
            sock,
            Act::Connect(to),
            if under_way { None } else { answer },
        );
        if under_way {
            self.socks[sock].open_connect = Some(event);
            self.notes.assumed(
                "connect() of non-blocking sockets waits for its outcome; what the program asked for later (SO_ERROR, another connect) is expected of it",
            );
        }
        if under_way || word == "ok" {
            self.queue_at_listener(sock, to);
        }
        Ok(())
    }

    /// Puts a connection into the queue of the recorded listener that it goes to, if there is one.
    fn queue_at_listener(&mut self, sock: usize, to: SocketAddr) {
        let canonical = to.ip().to_canonical();
        let fits = |one: &Sock| {
            let ip = one.bound.map(|at| at.ip().to_canonical());
            let port = one.local.or(one.bound).map(|at| at.port());
            one.listening
                && !one.closed
                && port == Some(to.port())
                && ip.is_some_and(|ip| ip == canonical || ip.is_unspecified())
        };
        if let Some(listener) = self.socks.iter().position(fits) {
            self.socks[listener].pending.push_back(sock);
        }
    }

    fn accept(&mut self, call: &Call<'_>) -> Outcome<()> {
        let Result::Value(fd) = &call.result else {
            if self.tcp(call)?.is_some() {
                self.notes.count(
                    "accept calls that had nothing to accept, or failed",
                    call.line,
                );
            }
            return Ok(());
        };
        let Ok(fd) = u32::try_from(*fd) else {
            return Ok(());
        };
        let peer = match call.args.get(1).and_then(|arg| args::address(arg)) {
            Some(Address::Inet(peer)) => Some(peer),
            _ => None,
        };
        let Some(listener) = self.tcp(call)? else {
            if peer.is_some() {
                self.notes.count(
                    "accepted connections of listeners that were opened before the log begins",
                    call.line,
                );
            }
            self.opened(call.pid, fd, Fd::Other, call.line);
            return Ok(());
        };
        let family = self.socks[listener].family;
        let sock = self.made(call, family, Some(listener));
        // A recorded client whose own port is known goes before the others.
        let fits = |client: &usize| match (peer, self.socks[*client].local) {
            (Some(peer), Some(local)) => peer.port() == local.port(),
            (Some(peer), None) => self.socks[*client]
                .bound
                .is_none_or(|at| at.port() == 0 || at.port() == peer.port()),
            _ => true,
        };
        let place = self.socks[listener].pending.iter().position(fits);
        if let Some(client) = place.and_then(|place| self.socks[listener].pending.remove(place)) {
            self.socks[sock].other_end = Some(client);
            self.socks[client].other_end = Some(sock);
            if self.socks[client].local.is_none() {
                self.socks[client].local = peer;
            }
            self.connected(client, Some(Answer::OK));
        }
        self.event(call.line, sock, Act::Accepted(peer), Some(Answer::OK));
        self.opened(call.pid, fd, Fd::Tcp(sock), call.line);
        Ok(())
    }

    fn shutdown(&mut self, call: &Call<'_>) -> Outcome<()> {
        let Some(sock) = self.tcp(call)? else {
            return Ok(());
        };
        let how = match call.args.get(1).map(String::as_str) {
            Some("SHUT_RD" | "0 /* receive */") => How::Read,
            Some("SHUT_WR") => How::Write,
            _ => How::Both,
        };
        if matches!(call.result, Result::Value(_)) {
            self.event(call.line, sock, Act::Shutdown(how), None);
        }
        Ok(())
    }

    fn getsockname(&mut self, call: &Call<'_>) -> Outcome<()> {
        let Some(sock) = self.tcp(call)? else {
            return Ok(());
        };
        if let Some(Address::Inet(local)) = call.args.get(1).and_then(|arg| args::address(arg))
            && local.port() != 0
        {
            self.socks[sock].local = Some(local);
        }
        Ok(())
    }

    fn getpeername(&mut self, call: &Call<'_>) -> Outcome<()> {
        let Some(sock) = self.tcp(call)? else {
            return Ok(());
        };
        if matches!(call.result, Result::Value(_)) {
            self.connected(sock, Some(Answer::OK));
        }
        Ok(())
    }

    /// Bytes that moved, or did not: they tell how a connection is.
    fn moved(&mut self, call: &Call<'_>, received: bool) -> Outcome<()> {
        let Some(sock) = self.tcp(call)? else {
            return Ok(());
        };
        match &call.result {
            Result::Value(0) if received => {
                self.connected(sock, Some(Answer::OK));
                self.event(call.line, sock, Act::PeerClosed, None);
            }
            Result::Value(_) => self.connected(sock, Some(Answer::OK)),
            Result::Errno(name) if name == "ECONNRESET" => {
                self.event(call.line, sock, Act::PeerReset, None);
            }
            _ => {}
        }
        self.notes.assumed("no bytes are under way when a connection is closed; the transfers of the log are left out");
        Ok(())
    }

    fn dup(&mut self, call: &Call<'_>) -> Outcome<()> {
        let is_dup = !call.name.starts_with("fcntl")
            || call
                .args
                .get(1)
                .is_some_and(|arg| arg.starts_with("F_DUPFD"));
        if let Result::Value(fd) = &call.result
            && is_dup
            && let Ok(fd) = u32::try_from(*fd)
            && let Some(what) = self.fd(call)?
            && call.args.first().and_then(|arg| args::fd(arg)) != Some(fd)
        {
            self.opened(call.pid, fd, what, call.line);
        }
        Ok(())
    }

    fn execve(&mut self, call: &Call<'_>) {
        let path = call
            .args
            .first()
            .map(|arg| arg.trim_matches('"'))
            .unwrap_or_default();
        let program = path.rsplit('/').next().unwrap_or_default();
        let word: String = program
            .chars()
            .take(20)
            .filter(|c| c.is_ascii_alphanumeric() || *c == '_')
            .collect();
        if word.starts_with(|c: char| c.is_ascii_alphabetic()) && call.result == Result::Value(0) {
            self.names.insert(call.pid, format!("{word}-"));
        }
    }
}

/// A word out of the log as it may stand in a note.
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
