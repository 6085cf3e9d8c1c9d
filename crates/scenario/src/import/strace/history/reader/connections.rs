//! Calls that make connections.

use std::net::SocketAddr;

use super::super::{Act, Sock};
use super::{Outcome, Reader, family_of};
use crate::import::strace::args::{self, Address, Decoration};
use crate::import::strace::calls::{Call, CallResult};
use crate::import::strace::fds::Fd;
use crate::value::{Answer, SocketType};

impl Reader {
    /// Sets the outcome of a connect that was in progress.
    pub(super) fn connected(&mut self, sock: usize, answer: Option<Answer>) {
        let Some(event) = self.socks[sock].open_connect.take() else {
            return;
        };
        self.events[event].answer = answer;
        if answer.is_some_and(|answer| !answer.is_ok()) {
            self.socks[sock].destination = None;
        }
        if answer.is_some_and(|answer| !answer.is_ok()) {
            for listener in &self.listeners {
                let pending = &mut self.socks[*listener].pending;
                pending.retain(|waiting| *waiting != sock);
            }
        }
    }

    /// Returns `true` if a send opens its connection (`MSG_FASTOPEN`).
    pub(super) fn opens_fast(&self) -> bool {
        self.args
            .iter()
            .skip(1)
            .any(|arg| args::has_flag(arg, "MSG_FASTOPEN", 0x2000_0000) && !arg.starts_with('"'))
            && self.fast_address().is_some()
    }

    pub(super) fn fast_address(&self) -> Option<Address> {
        self.args.iter().skip(1).find_map(|arg| args::address(arg))
    }

    pub(super) fn connect(&mut self, call: &Call<'_>) -> Outcome<()> {
        let to = self.address(1, call.line);
        self.connect_with(call, to)
    }

    pub(super) fn connect_with(&mut self, call: &Call<'_>, to: Option<Address>) -> Outcome<()> {
        let to = match to {
            Some(Address::Inet(to)) => to,
            Some(Address::Unspec) => {
                if let Some(sock) = self.known_socket(call)? {
                    let answer = self.answer(call);
                    self.socks[sock].destination = None;
                    // bind() may have named the port, which stays then; another is given back.
                    self.socks[sock].has_port =
                        self.socks[sock].bound.is_some_and(|at| at.port() != 0);
                    self.event(call.line, sock, Act::Disconnect, answer);
                }
                return Ok(());
            }
            Some(Address::Other | Address::Scoped) => return Ok(()),
            None => {
                if self.known_socket(call)?.is_some() {
                    self.notes.odd(call.line, &self.args.join(", "));
                }
                return Ok(());
            }
        };
        let Some(mut sock) = self.socket_or_new(call, family_of(to))? else {
            return Ok(());
        };
        let answer = self.answer(call);
        let word = answer.map_or("", Answer::as_str);
        if self.socks[sock].is_datagram() {
            // Whatever the rest of the call comes to, the socket keeps the port that it took.
            self.socks[sock].has_port |= word != "EAGAIN";
            self.event(call.line, sock, Act::Connect(to), answer);
            return Ok(());
        }
        // A connected or connecting socket has one destination. Another destination means another
        // socket, whose socket() the log does not show.
        let known = self.socks[sock].destination;
        if known.is_some_and(|known| known != to || self.socks[sock].open_connect.is_none())
            && matches!(word, "ok" | "EINPROGRESS")
        {
            match self.new_socket(call, family_of(to))? {
                Some(new) => sock = new,
                None => return Ok(()),
            }
        }
        if self.socks[sock].open_connect.is_some() {
            // A repeated connect() reports the outcome of the first.
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
            self.events[event].started = true;
            self.notes.assumed(
                "connect() of non-blocking sockets waits for its outcome, which the program read later (SO_ERROR, another connect())",
            );
        }
        if under_way || word == "ok" {
            self.socks[sock].destination = Some(to);
            self.queue_at_listener(sock, to);
        }
        Ok(())
    }

    /// Queues a connection at the recorded listener that it reaches, if there is one.
    pub(super) fn queue_at_listener(&mut self, sock: usize, to: SocketAddr) {
        let canonical = to.ip().to_canonical();
        let fits = |one: &Sock| {
            let ip = one.bound.map(|at| at.ip().to_canonical());
            let port = one.local.or(one.bound).map(|at| at.port());
            one.listening
                && !one.closed
                && port == Some(to.port())
                && ip.is_some_and(|ip| ip == canonical || ip.is_unspecified())
        };
        let mut listeners = self.listeners.iter().copied();
        if let Some(listener) = listeners.find(|one| fits(&self.socks[*one])) {
            self.socks[listener].pending.push_back(sock);
        }
    }

    pub(super) fn accept(&mut self, call: &Call<'_>) -> Outcome<()> {
        let CallResult::Value(fd) = &call.result else {
            if let CallResult::Errno(errno) = &call.result
                && matches!(errno.as_str(), "EMFILE" | "ENFILE" | "ENOBUFS" | "ENOMEM")
            {
                let errno = errno.clone();
                self.limit(call, &errno);
            } else if self.known_socket(call)?.is_some() {
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
        let peer = match args::address(self.arg(1)) {
            Some(Address::Inet(peer)) => Some(peer),
            _ => None,
        };
        let Some(listener) = self.listener(call)? else {
            if peer.is_some() {
                self.notes.count(
                    "accepted connections of listeners that were opened before the log begins",
                    call.line,
                );
            }
            return self.opened(call.pid, fd, Fd::Other, call.line);
        };
        let family = self.socks[listener].family;
        let sock = self.made(call, family, SocketType::Stream, Some(listener));
        // A recorded client with a known local port takes precedence.
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
        self.opened(call.pid, fd, Fd::Socket(sock), call.line)
    }

    /// The listener of an accept call. One that was opened before the log begins is identified by
    /// the annotation of `-yy`.
    pub(super) fn listener(&mut self, call: &Call<'_>) -> Outcome<Option<usize>> {
        let found = self.fd(call)?;
        if let Some(Fd::Socket(sock)) = found
            && !self.socks[sock].listening
            && !self.tolerant
            && let Some(fd) = args::fd(self.arg(0))
            && let Some(learned) = self.tables.is_wrong(call.pid, fd)
        {
            // Another task has opened another file under this number.
            return Err(learned);
        }
        match (found, args::decoration(self.arg(0))) {
            (Some(Fd::Socket(sock)), _) => Ok(Some(sock)),
            (None, Decoration::Inet(SocketType::Stream, family, Some(at), None)) => {
                let Some(sock) = self.new_socket(call, family)? else {
                    return Ok(None);
                };
                self.event(call.line, sock, Act::Bind(at), None);
                self.event(call.line, sock, Act::Listen(128), None);
                self.socks[sock].bound = Some(at);
                self.socks[sock].listening = true;
                self.listeners.insert(sock);
                Ok(Some(sock))
            }
            _ => Ok(None),
        }
    }
}
