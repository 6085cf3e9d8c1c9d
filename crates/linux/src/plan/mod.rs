//! Encodes a program for the guest, and puts the guest's answers into the program.
//!
//! - `topology`: the operations that make hosts
//! - `bytes`: operands in the encoding of frames
//! - `netfilter`: the rules of NAT hosts
//! - `records`: the guest's answers

mod bytes;
mod netfilter;
mod records;
mod topology;

use crate::program::{Call, HostSpec, Program, Step};
use crate::wire::*;
use bytes::{address, bytes, length, socket_address, sysctl};
use fourtuple_syscall::{Errno, Family, Kind, Syscall};
pub(crate) use records::Records;
use std::collections::{BTreeSet, HashMap};

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
    /// Hosts of it translate packets.
    pub(crate) has_nat: bool,
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
    has_nat: bool,
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
            has_nat: self.has_nat,
        })
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
        let mut code = self.operands(step, host, &mut o)?;
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

    fn operands(&mut self, step: &Step, host: u8, o: &mut Vec<u8>) -> Result<u8, String> {
        Ok(match &step.call {
            Call::Ns => OP_NS,
            Call::Addr { at } => {
                o.extend(address("lo", *at));
                OP_ADDR
            }
            Call::Sysctl { key, value } => {
                o.extend(sysctl(key, value)?);
                OP_SYSCTL
            }
            Call::Sleep { ms } => {
                o.extend(ms.to_le_bytes());
                OP_SLEEP
            }
            Call::Sys(call) => self.arguments(call, step.wait_ms(), host, o)?,
        })
    }

    /// The wire codec of system calls.
    fn arguments(
        &mut self,
        call: &Syscall<String>,
        wait_ms: u32,
        host: u8,
        o: &mut Vec<u8>,
    ) -> Result<u8, String> {
        Ok(match call {
            Syscall::Socket {
                family,
                kind,
                uid,
                nonblock,
                ..
            } => {
                o.push(if *family == Family::Inet { 4 } else { 6 });
                let nonblock = if *nonblock { SOCKET_NONBLOCK } else { 0 };
                let datagram = match kind {
                    Kind::Stream => 0,
                    Kind::Datagram => SOCKET_DATAGRAM,
                };
                o.push(nonblock | datagram);
                o.extend(self.user(*uid)?.to_le_bytes());
                OP_SOCKET
            }
            Syscall::Set { option, .. } => {
                let encoded = option.encode();
                o.extend(encoded.level.to_le_bytes());
                o.extend(encoded.option.to_le_bytes());
                bytes(o, encoded.value());
                OP_SET
            }
            Syscall::Bind { addr, .. } => {
                socket_address(o, addr);
                OP_BIND
            }
            Syscall::Listen { backlog, .. } => {
                o.extend(backlog.to_le_bytes());
                OP_LISTEN
            }
            Syscall::Connect { addr, .. } => {
                socket_address(o, addr);
                o.extend(wait_ms.to_le_bytes());
                OP_CONNECT
            }
            Syscall::Accept { new, uid, .. } => {
                o.extend(self.slot(new, host)?.to_le_bytes());
                let uid = uid.map_or(Ok(UID_INHERIT), |uid| self.user(uid))?;
                o.extend(uid.to_le_bytes());
                o.extend(wait_ms.to_le_bytes());
                OP_ACCEPT
            }
            Syscall::SendTo { addr, len, .. } => {
                socket_address(o, addr);
                o.extend(length(*len)?.to_le_bytes());
                o.extend(wait_ms.to_le_bytes());
                OP_SENDTO
            }
            Syscall::Send { len, .. }
            | Syscall::Recv { len, .. }
            | Syscall::RecvFrom { len, .. } => {
                o.extend(length(*len)?.to_le_bytes());
                o.extend(wait_ms.to_le_bytes());
                match call {
                    Syscall::Send { .. } => OP_SEND,
                    Syscall::RecvFrom { .. } => OP_RECVFROM,
                    _ => OP_RECV,
                }
            }
            Syscall::Shutdown { how, .. } => {
                o.push(how.number());
                OP_SHUTDOWN
            }
            Syscall::Disconnect { .. } => OP_DISCONNECT,
            Syscall::Close { .. } => OP_CLOSE,
            Syscall::Getsockname { .. } => OP_GETSOCKNAME,
            Syscall::Getpeername { .. } => OP_GETPEERNAME,
        })
    }

    /// Registers that sockets of this user are needed.
    pub(crate) fn user(&mut self, uid: u32) -> Result<u32, String> {
        if uid == UID_INHERIT {
            return Err(format!("{uid} is not a user"));
        }
        self.uids.insert(uid);
        Ok(uid)
    }
}
