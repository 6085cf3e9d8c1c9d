//! Running programs: frames in, records out, and the workers that stand for the hosts of a topology.

use crate::exec::Executor;
use crate::frame::{Operands, Output, Record};
use crate::wire::{MAGIC, MAX_FRAME, MAX_HOSTS, OP_HOST, OP_LINK, STAGE_READY, VERSION};
use crate::{Memory, link, sys};

/// Sent to a worker instead of an operation's place: close everything and end.
const QUIT: u32 = u32::MAX;

/// Says who is there, or why it cannot run (`stage` names what failed with `errno`).
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
        let mut executor = Executor::new(&mut memory.sockets, &mut memory.data);
        run(&memory.input[..n], &mut executor, &mut out);
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

/// One operation inside a frame.
struct Op<'a> {
    code: u8,
    host: u8,
    operands: Operands<'a>,
    /// Where the next one starts.
    next: usize,
}

fn op_at(frame: &[u8], at: usize) -> Option<Op<'_>> {
    let head = frame.get(at..at + 4)?;
    let next = at + 4 + u16::from_le_bytes([head[2], head[3]]) as usize;
    let operands = Operands(frame.get(at + 4..next)?);
    Some(Op {
        code: head[0],
        host: head[1],
        operands,
        next,
    })
}

/// A process that is one host of a topology.
#[derive(Clone, Copy, Default)]
struct Worker {
    /// 0: there is none.
    pid: i32,
    commands: i32,
    records: i32,
}

fn run(frame: &[u8], executor: &mut Executor, out: &mut Output) {
    let mut workers = [Worker::default(); MAX_HOSTS];
    let mut at = 0;
    while let Some(op) = op_at(frame, at) {
        let host = op.host as usize % MAX_HOSTS;
        if op.code == OP_HOST && workers[host].pid == 0 {
            match start_worker(frame, executor) {
                Ok(worker) => {
                    workers[host] = worker;
                    relay(&worker, out);
                }
                Err(e) => out.push(Record::errno(e).bytes()),
            }
        } else if workers[host].pid != 0 {
            let peer = if op.code == OP_LINK {
                workers[op.operands.0[0] as usize % MAX_HOSTS].pid
            } else {
                0
            };
            command(&workers[host], at as u32, peer);
            relay(&workers[host], out);
        } else {
            let mut operands = op.operands;
            out.push(executor.run(op.code, &mut operands, 0).bytes());
        }
        at = op.next;
    }
    executor.close_all();
    for worker in workers.iter().filter(|w| w.pid != 0) {
        command(worker, QUIT, 0);
        let _ = sys::wait(worker.pid);
        let _ = sys::close(worker.commands);
        let _ = sys::close(worker.records);
    }
}

fn command(worker: &Worker, at: u32, peer: i32) {
    let mut message = [0; 8];
    message[..4].copy_from_slice(&at.to_le_bytes());
    message[4..].copy_from_slice(&peer.to_le_bytes());
    let _ = sys::write_all(worker.commands, &message);
}

/// Passes one record on. It is written in one piece, shorter than what a pipe keeps whole.
fn relay(worker: &Worker, out: &mut Output) {
    let mut record = [0; 64];
    match sys::read(worker.records, &mut record) {
        Ok(n) if n > 0 => out.push(&record[..n]),
        _ => out.push(Record::errno(sys::EIO).bytes()),
    }
}

/// Starts a process with a network namespace of its own. It has a copy of the frame, so it is only told places in it.
fn start_worker(frame: &[u8], executor: &mut Executor) -> sys::Res<Worker> {
    let commands = sys::pipe()?;
    let records = sys::pipe()?;
    let pid = sys::fork()?;
    if pid == 0 {
        work(frame, executor, commands[0], records[1])
    }
    let _ = sys::close(commands[0]);
    let _ = sys::close(records[1]);
    Ok(Worker {
        pid,
        commands: commands[1],
        records: records[0],
    })
}

fn work(frame: &[u8], executor: &mut Executor, commands: i32, records: i32) -> ! {
    let _ = sys::prctl(sys::PR_SET_PDEATHSIG, 9);
    let born = link::fresh_namespace();
    let _ = sys::write_all(records, Record::of(born).bytes());
    let mut message = [0; 8];
    while fill(commands, &mut message) {
        let (at, peer) = message.split_at(4);
        let at = u32::from_le_bytes([at[0], at[1], at[2], at[3]]);
        let peer = i32::from_le_bytes([peer[0], peer[1], peer[2], peer[3]]);
        if at == QUIT {
            break;
        }
        let record = match op_at(frame, at as usize) {
            Some(mut op) => executor.run(op.code, &mut op.operands, peer),
            None => Record::errno(sys::EINVAL),
        };
        let _ = sys::write_all(records, record.bytes());
    }
    executor.close_all();
    sys::exit(0)
}
