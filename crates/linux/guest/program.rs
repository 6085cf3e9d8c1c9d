//! Runs programs: decodes frames, encodes records, and manages the real processes that hold the
//! hosts' namespaces and the program's sockets.

use crate::exec::Executor;
use crate::frame::{Operands, Output, Record};
use crate::play;
use crate::wire::*;
use crate::{Memory, link, sys};

/// Sent to a worker instead of an operation's length: close everything and exit.
const QUIT: u32 = u32::MAX;
/// The size of an operation's header.
const HEAD: usize = 6;
/// The largest operation.
const MAX_OP: usize = HEAD + u16::MAX as usize;

/// Sends the hello: the kernel's release, or the stage that failed with `errno`.
pub fn hello(fd: i32, stage: u8, errno: i32, flags: u8) {
    let mut release = [0; 65];
    let n = sys::release(&mut release);
    let mut buffer = [0; 96];
    let mut out = Output::new(&mut buffer);
    out.push(&MAGIC);
    out.push(&[VERSION, stage]);
    out.push(&errno.to_le_bytes());
    out.push(&[flags]);
    out.push(&release[..n]);
    let _ = out.send(fd);
}

/// Answers programs from `input` on `output` until the input ends.
pub fn serve(memory: &mut Memory, input: i32, output: i32, flags: u8) {
    hello(output, STAGE_READY, 0, flags);
    loop {
        let mut length = [0; 4];
        if !fill(input, &mut length) {
            return;
        }
        let n = u32::from_le_bytes(length) as usize;
        if n > MAX_FRAME || !fill(input, &mut memory.input[..n]) {
            return;
        }
        let mut out = Output::new(&mut memory.output);
        let mut stage = Dispatcher {
            executor: Executor::new(&mut memory.sockets, &mut memory.data),
            hosts: [Worker::NONE; MAX_HOSTS],
            processes: [Worker::NONE; MAX_PROCESSES],
        };
        run(&memory.input[..n], &mut stage, &mut memory.ports, &mut out);
        stage.end();
        if out.send(output).is_err() {
            return;
        }
    }
}

fn fill(fd: i32, mut to: &mut [u8]) -> bool {
    while !to.is_empty() {
        match sys::read(fd, to) {
            Ok(0) | Err(_) => return false,
            Ok(n) => to = &mut to[n..],
        }
    }
    true
}

/// One operation.
#[derive(Clone, Copy)]
pub struct Op<'a> {
    pub code: u8,
    pub host: u8,
    /// 0: the process that has the host's namespace.
    pub process: u16,
    pub operands: &'a [u8],
}

impl Op<'_> {
    fn head(&self) -> [u8; HEAD] {
        let (process, length) = (
            self.process.to_le_bytes(),
            (self.operands.len() as u16).to_le_bytes(),
        );
        [
            self.code, self.host, process[0], process[1], length[0], length[1],
        ]
    }
}

/// The first operation in `bytes`, and the rest.
fn first_op(bytes: &[u8]) -> Option<(Op<'_>, &[u8])> {
    let (head, tail) = bytes.split_at_checked(HEAD)?;
    let length = u16::from_le_bytes([head[4], head[5]]) as usize;
    let (operands, rest) = tail.split_at_checked(length)?;
    let op = Op {
        code: head[0],
        host: head[1],
        process: u16::from_le_bytes([head[2], head[3]]),
        operands,
    };
    Some((op, rest))
}

/// The ports that calls returned, by the number of their record; 0 for none.
pub type Ports = [u16; MAX_STEPS];

fn run(frame: &[u8], stage: &mut Dispatcher, ports: &mut Ports, out: &mut Output) {
    let Some((&setup, mut rest)) = frame.split_first_chunk() else {
        return;
    };
    let setup = u16::from_le_bytes(setup) as usize;
    let mut number = 0;
    while let Some((op, next)) = first_op(rest) {
        rest = next;
        if op.code == OP_PLAY {
            play::run(op.operands, stage, out);
            continue;
        }
        if op.code == OP_DEADLINE {
            stage.executor.end_waits_in(Operands(op.operands).u32());
            continue;
        }
        let record = with_port(op, ports, |op| stage.perform(op));
        if let Some(port) = ports.get_mut(number) {
            *port = record.addr().port;
        }
        number += 1;
        out.push(record.bytes());
        // What waits for a host that is not there, such as for the other end of a link, would wait
        // in full.
        if number <= setup && record.result() != 0 {
            return;
        }
    }
}

/// Replaces a reference to an earlier call by that call's port.
fn with_port(op: Op, ports: &Ports, perform: impl FnOnce(Op) -> Record) -> Record {
    // The slot comes first, then the address.
    let asks = matches!(op.code, OP_BIND | OP_CONNECT | OP_SENDTO)
        && op
            .operands
            .get(2)
            .is_some_and(|family| family & PORT_OF != 0);
    if !asks {
        return perform(op);
    }
    let mut operands = [0; 64];
    let Some(copy) = operands.get_mut(..op.operands.len()) else {
        return Record::errno(sys::EINVAL);
    };
    copy.copy_from_slice(op.operands);
    let number = u16::from_le_bytes([copy[3], copy[4]]) as usize;
    match ports.get(number) {
        Some(&port) if port > 0 => {
            copy[2] &= !PORT_OF;
            copy[3..5].copy_from_slice(&port.to_le_bytes());
            perform(Op {
                operands: copy,
                ..op
            })
        }
        _ => Record::new(RESULT_NOPORT, crate::frame::Detail::None),
    }
}

/// A real process that stands for one host, or for one process, of a program.
#[derive(Clone, Copy)]
struct Worker {
    /// 0 if there is none.
    pid: i32,
    commands: i32,
    records: i32,
}

/// The purpose of a worker.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    /// Holds a network namespace, and starts processes in it.
    Host,
    /// A process in the namespace of the process that starts it.
    Process,
}

/// Dispatches operations: to this process, or to the worker that they name.
pub struct Dispatcher<'a> {
    executor: Executor<'a>,
    hosts: [Worker; MAX_HOSTS],
    processes: [Worker; MAX_PROCESSES],
}

impl Dispatcher<'_> {
    /// Executes one operation and returns its record.
    pub fn perform(&mut self, op: Op) -> Record {
        let host = op.host as usize % MAX_HOSTS;
        if op.code == OP_HOST && self.hosts[host].pid == 0 {
            return match self.start(Role::Host) {
                Ok(worker) => {
                    self.hosts[host] = worker;
                    worker.answer()
                }
                Err(e) => Record::errno(e),
            };
        }
        if self.hosts[host].pid == 0 {
            return self.perform_here(op, 0);
        }
        let peer = match op.code {
            OP_LINK if op.operands[0] != NO_PEER => {
                self.hosts[op.operands[0] as usize % MAX_HOSTS].pid
            }
            _ => 0,
        };
        self.hosts[host].ask(op, peer)
    }

    /// Executes an operation on the host of this process.
    fn perform_here(&mut self, op: Op, peer: i32) -> Record {
        if op.process == 0 {
            return self.executor.run(op.code, &mut Operands(op.operands), peer);
        }
        let place = (op.process as usize - 1) % MAX_PROCESSES;
        if self.processes[place].pid == 0 {
            match self.start(Role::Process) {
                Ok(worker) => self.processes[place] = worker,
                Err(e) => return Record::errno(e),
            }
        }
        self.processes[place].ask(Op { process: 0, ..op }, peer)
    }

    fn start(&mut self, role: Role) -> sys::Res<Worker> {
        let commands = sys::pipe()?;
        let records = sys::pipe()?;
        let pid = sys::fork()?;
        if pid == 0 {
            self.work(role, commands[0], records[1])
        }
        let _ = sys::close(commands[0]);
        let _ = sys::close(records[1]);
        Ok(Worker {
            pid,
            commands: commands[1],
            records: records[0],
        })
    }

    fn work(&mut self, role: Role, commands: i32, records: i32) -> ! {
        let _ = sys::prctl(sys::PR_SET_PDEATHSIG, 9);
        // Drops what was inherited from the parent: a copy of a socket would keep it open after the
        // parent's close().
        self.executor.close_all();
        self.hosts = [Worker::NONE; MAX_HOSTS];
        for worker in &mut self.processes {
            worker.forget();
        }
        if role == Role::Host {
            let born = link::fresh_namespace();
            let _ = sys::write_all(records, Record::of(born).bytes());
        }
        let mut message = [0; 8];
        let mut buffer = [0; MAX_OP];
        while fill(commands, &mut message) {
            let (length, peer) = message.split_at(4);
            let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]);
            let peer = i32::from_le_bytes([peer[0], peer[1], peer[2], peer[3]]);
            if length == QUIT {
                break;
            }
            let Some(op) = buffer.get_mut(..length as usize) else {
                break;
            };
            if !fill(commands, op) {
                break;
            }
            let record = match first_op(op) {
                Some((op, _)) => self.perform_here(op, peer),
                None => Record::errno(sys::EINVAL),
            };
            let _ = sys::write_all(records, record.bytes());
        }
        self.end();
        sys::exit(0)
    }

    /// Closes all sockets of the program and ends its processes.
    fn end(&mut self) {
        self.executor.close_all();
        for worker in self.processes.iter_mut().chain(&mut self.hosts) {
            worker.quit();
        }
    }
}

impl Worker {
    const NONE: Worker = Worker {
        pid: 0,
        commands: -1,
        records: -1,
    };

    fn ask(&self, op: Op, peer: i32) -> Record {
        let mut message = [0; 8 + HEAD];
        let length = (HEAD + op.operands.len()) as u32;
        message[..4].copy_from_slice(&length.to_le_bytes());
        message[4..8].copy_from_slice(&peer.to_le_bytes());
        message[8..].copy_from_slice(&op.head());
        let _ = sys::write_all(self.commands, &message);
        let _ = sys::write_all(self.commands, op.operands);
        self.answer()
    }

    /// The next record, which the worker writes at once: it is smaller than PIPE_BUF.
    fn answer(&self) -> Record {
        let mut bytes = [0; 64];
        match sys::read(self.records, &mut bytes) {
            Ok(n) if n > 0 => Record::from_bytes(&bytes[..n]),
            _ => Record::errno(sys::EIO),
        }
    }

    fn quit(&mut self) {
        if self.pid != 0 {
            let mut message = [0; 8];
            message[..4].copy_from_slice(&QUIT.to_le_bytes());
            let _ = sys::write_all(self.commands, &message);
            let _ = sys::wait(self.pid);
        }
        self.forget();
    }

    fn forget(&mut self) {
        if self.pid != 0 {
            let _ = sys::close(self.commands);
            let _ = sys::close(self.records);
        }
        *self = Worker::NONE;
    }
}
