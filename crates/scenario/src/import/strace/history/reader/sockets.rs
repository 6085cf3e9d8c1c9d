//! Calls on one socket.

use super::super::Act;
use super::{Outcome, Reader, family_of, name};
use crate::import::strace::args::{self, Address, Setting};
use crate::import::strace::calls::{Call, CallResult};
use crate::import::strace::constants::{self, Kind, constant};
use crate::import::strace::fds::Fd;
use crate::value::{Answer, Family, Shutdown, SocketType};

impl Reader {
    pub(super) fn socket(&mut self, call: &Call<'_>) -> Outcome<()> {
        self.opens = true;
        let fd = match &call.result {
            CallResult::Value(fd) => *fd,
            CallResult::Errno(errno) => {
                let errno = errno.clone();
                self.limit(call, &errno);
                return Ok(());
            }
            _ => return Ok(()),
        };
        let Ok(fd) = u32::try_from(fd) else {
            return Ok(());
        };
        let kind = args::socket_type(self.arg(1));
        let protocol = constant(Kind::Protocol, self.arg(2));
        let known = kind.filter(|kind| match kind {
            SocketType::Stream => matches!(protocol, "IPPROTO_IP" | "IPPROTO_TCP" | ""),
            SocketType::Dgram => matches!(protocol, "IPPROTO_IP" | "IPPROTO_UDP" | ""),
        });
        let (family, kind) = match (constant(Kind::Family, self.arg(0)), known) {
            ("AF_INET", Some(kind)) => (Family::Inet, kind),
            ("AF_INET6", Some(kind)) => (Family::Inet6, kind),
            (family, _) => {
                let kind = match (family, kind) {
                    ("AF_INET" | "AF_INET6", None) => "raw".to_owned(),
                    ("AF_INET" | "AF_INET6", Some(_)) => name(protocol),
                    ("AF_UNIX" | "AF_LOCAL", _) => "Unix".to_owned(),
                    (family, _) => name(family),
                };
                self.notes.count(
                    format!("sockets other than TCP and UDP ({kind})"),
                    call.line,
                );
                return self.opened(call.pid, fd, Fd::Other, call.line);
            }
        };
        let sock = self.made(call, family, kind, None);
        self.event(call.line, sock, Act::Socket, None);
        self.opened(call.pid, fd, Fd::Socket(sock), call.line)
    }

    pub(super) fn setsockopt(&mut self, call: &Call<'_>) -> Outcome<()> {
        let [_, level, option, value, ..] = self.args.as_slice() else {
            self.notes.odd(call.line, call.name);
            return Ok(());
        };
        let text = format!("setsockopt {level} {option} {value}");
        let setting = args::setting(level, option, value);
        let known = matches!(setting, Setting::Option(_));
        let family = if constant(Kind::Level, level) == "SOL_IPV6" {
            Family::Inet6
        } else {
            Family::Inet
        };
        // Sockets of other kinds have such options too, so only those of known sockets count.
        let Some(sock) = self.known_socket(call)? else {
            if known && self.fd(call)?.is_none() && self.socket_or_new(call, family)?.is_some() {
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
                format!("settings of {option}, which does not affect ports"),
                call.line,
            ),
            Setting::Unclear => self.notes.odd(call.line, &text),
        }
        Ok(())
    }

    pub(super) fn getsockopt(&mut self, call: &Call<'_>) -> Outcome<()> {
        let option = constant(Kind::SocketOption, self.arg(2));
        if option != "SO_ERROR" || !matches!(call.result, CallResult::Value(_)) {
            return Ok(());
        }
        let value = self.arg(3).trim_matches(['[', ']']);
        let answer = if value == "0" {
            Some(Answer::OK)
        } else {
            Answer::from_name(constants::errno(value))
        };
        if let Some(sock) = self.stream(call)? {
            self.connected(sock, answer);
        }
        Ok(())
    }

    pub(super) fn bind(&mut self, call: &Call<'_>) -> Outcome<()> {
        let at = match self.address(1, call.line) {
            Some(Address::Inet(at)) => at,
            Some(_) => return Ok(()),
            None => {
                if self.known_socket(call)?.is_some() {
                    self.notes.odd(call.line, &self.args.join(", "));
                }
                return Ok(());
            }
        };
        let Some(sock) = self.socket_or_new(call, family_of(at))? else {
            return Ok(());
        };
        let answer = self.answer(call);
        if answer.is_some_and(Answer::is_ok) {
            self.socks[sock].bound = Some(at);
            self.socks[sock].has_port = true;
        }
        self.event(call.line, sock, Act::Bind(at), answer);
        Ok(())
    }

    pub(super) fn listen(&mut self, call: &Call<'_>) -> Outcome<()> {
        let Some(sock) = self.stream(call)? else {
            return Ok(());
        };
        let backlog = constants::integer(self.arg(1)).and_then(|n| u32::try_from(n).ok());
        let backlog = backlog.unwrap_or(128);
        let answer = self.answer(call);
        if answer.is_some_and(Answer::is_ok) {
            self.socks[sock].listening = true;
            self.listeners.insert(sock);
        }
        self.event(call.line, sock, Act::Listen(backlog), answer);
        Ok(())
    }

    pub(super) fn shutdown(&mut self, call: &Call<'_>) -> Outcome<()> {
        let Some(sock) = self.stream(call)? else {
            return Ok(());
        };
        let how = match self.arg(1) {
            "SHUT_RD" | "0" | "0 /* SHUT_RD */" | "0 /* receive */" => Shutdown::Read,
            "SHUT_WR" | "0x1" | "0x1 /* SHUT_WR */" | "1" => Shutdown::Write,
            _ => Shutdown::Both,
        };
        if matches!(call.result, CallResult::Value(_)) {
            self.event(call.line, sock, Act::Shutdown(how), None);
        }
        Ok(())
    }

    pub(super) fn getsockname(&mut self, call: &Call<'_>) -> Outcome<()> {
        let Some(sock) = self.known_socket(call)? else {
            return Ok(());
        };
        if let Some(Address::Inet(local)) = args::address(self.arg(1))
            && local.port() != 0
        {
            self.socks[sock].local = Some(local);
        }
        Ok(())
    }

    pub(super) fn getpeername(&mut self, call: &Call<'_>) -> Outcome<()> {
        let Some(sock) = self.stream(call)? else {
            return Ok(());
        };
        if matches!(call.result, CallResult::Value(_)) {
            self.connected(sock, Some(Answer::OK));
        }
        Ok(())
    }

    /// Evaluates a send of a UDP socket. The first takes a port, unless bind() or connect() has.
    pub(super) fn sent(&mut self, call: &Call<'_>) -> Outcome<()> {
        let Some(sock) = self.known_socket(call)? else {
            return Ok(());
        };
        if !self.socks[sock].is_datagram() || self.socks[sock].has_port {
            return Ok(());
        }
        let Some(Address::Inet(to)) = self.fast_address() else {
            return Ok(());
        };
        let answer = self.answer(call);
        self.socks[sock].has_port = answer.is_some_and(|answer| answer.as_str() != "EAGAIN");
        self.event(call.line, sock, Act::SendTo(to), answer);
        Ok(())
    }

    /// Evaluates a transfer of a TCP socket: its result shows the state of the connection.
    pub(super) fn moved(&mut self, call: &Call<'_>, received: bool) -> Outcome<()> {
        let Some(sock) = self.stream(call)? else {
            return Ok(());
        };
        match &call.result {
            CallResult::Value(0) if received => {
                self.connected(sock, Some(Answer::OK));
                self.event(call.line, sock, Act::PeerClosed, None);
            }
            CallResult::Value(_) => self.connected(sock, Some(Answer::OK)),
            CallResult::Errno(name) if name == "ECONNRESET" => {
                self.event(call.line, sock, Act::PeerReset, None);
            }
            CallResult::Errno(name) if name == "EADDRNOTAVAIL" => {
                self.notes
                    .odd(call.line, &format!("{} answered {name}", call.name));
            }
            _ => {}
        }
        self.notes.assumed("no bytes are in flight when a connection is closed; the transfers of the log are left out");
        Ok(())
    }

    pub(super) fn dup(&mut self, call: &Call<'_>) -> Outcome<()> {
        let is_dup = !call.name.starts_with("fcntl")
            || self.arg(1).starts_with("F_DUPFD")
            || matches!(constants::integer(self.arg(1)), Some(0 | 1030));
        if let CallResult::Value(fd) = &call.result
            && is_dup
            && let Ok(fd) = u32::try_from(*fd)
            && let Some(what) = self.fd(call)?
            && args::fd(self.arg(0)) != Some(fd)
        {
            self.opened(call.pid, fd, what, call.line)?;
        }
        Ok(())
    }

    pub(super) fn execve(&mut self, call: &Call<'_>) {
        let path = constants::string(self.arg(0)).unwrap_or_default();
        let path = String::from_utf8_lossy(&path);
        if call.result == CallResult::Value(0) {
            self.is_program(call.pid, path.rsplit('/').next().unwrap_or_default());
        }
    }

    pub(super) fn is_program(&mut self, pid: u32, program: &str) {
        let word: String = program
            .chars()
            .take(20)
            .filter(|c| c.is_ascii_alphanumeric() || *c == '_')
            .collect();
        if word.starts_with(|c: char| c.is_ascii_alphabetic()) {
            self.names.insert(pid, format!("{word}-"));
        }
    }

    /// Notes the limits that sockets ran into.
    pub(super) fn name_limits(&mut self) {
        for ((call, errno), (count, line)) in std::mem::take(&mut self.limits) {
            let limit = match errno.as_str() {
                "EMFILE" => {
                    "the process has as many descriptors open as RLIMIT_NOFILE allows (`ulimit -n`)"
                }
                "ENFILE" => "the machine has as many files open as fs.file-max allows",
                "ENOBUFS" | "ENOMEM" => "the kernel has no memory left for a socket",
                _ => "the process may not make such a socket",
            };
            self.notes.other(format!(
                "{call}() answered {errno} {count} {}, first on line {line}: {limit}. The cause is not a lack of ports",
                if count == 1 { "time" } else { "times" }
            ));
        }
    }

    pub(super) fn limit(&mut self, call: &Call<'_>, errno: &str) {
        let key = (call.name.to_owned(), errno.to_owned());
        self.limits.entry(key).or_insert((0, call.line)).0 += 1;
    }
}
