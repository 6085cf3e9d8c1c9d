//! Plays the processes of a scenario's declarative form: who makes which call when.
//!
//! Everything that happens is a task in a queue ordered by virtual time, first in, first out within one instant, exactly as the
//! engines without a kernel do it. The real clock is only waited for: a call is never made earlier than its virtual time, and the order of calls does
//! not depend on how long they take.

mod queue;
mod tables;

use crate::frame::{Operands, Output, Record};
use crate::program::{Op, Stage};
use crate::sys;
use crate::wire::*;
use queue::{Kind, Task};
pub use tables::Tables;
use tables::{Accepted, Ending, Instance, Listener, Process};

/// Times that the other side of a new connection is asked for its socket, with a pause of a millisecond before each but the first.
const PATIENCE: u32 = 20;
/// A connect that takes longer than this, in nanoseconds, has waited for an answer; virtual time then has passed as well.
const WAITED: u64 = 10_000_000;

/// Plays, and puts an entry for every call into `out`.
pub fn run(operands: &[u8], stage: &mut Stage, tables: &mut Tables, out: &mut Output) {
    let hole = out.hole();
    tables.clear();
    let mut o = Operands(operands);
    let first_slot = o.u16();
    let wait_ms = o.u32();
    tables.read(&mut o, operands.len());
    let mut play = Play {
        operands,
        first_slot,
        wait_ms,
        tables,
        stage,
        out,
        now: 0,
        start_us: sys::now_us(),
    };
    play.start();
    play.run();
    out.close_hole(hole);
}

struct Play<'a, 'b, 'c> {
    operands: &'a [u8],
    first_slot: u16,
    wait_ms: u32,
    tables: &'a mut Tables,
    stage: &'a mut Stage<'b>,
    out: &'a mut Output<'c>,
    /// Virtual time in nanoseconds.
    now: u64,
    start_us: u64,
}

/// Who makes a call, for its entry.
#[derive(Clone, Copy)]
struct Who {
    who: u8,
    process: u16,
    instance: u32,
    number: u32,
}

const NOBODY: Who = Who {
    who: WHO_NOBODY,
    process: 0,
    instance: 0,
    number: 0,
};

/// A short list of operands.
struct Build {
    bytes: [u8; 96],
    len: usize,
}

impl Build {
    fn new(slot: u16) -> Build {
        Build {
            bytes: [0; 96],
            len: 0,
        }
        .push(&slot.to_le_bytes())
    }

    fn push(mut self, bytes: &[u8]) -> Build {
        if let Some(to) = self.bytes.get_mut(self.len..self.len + bytes.len()) {
            to.copy_from_slice(bytes);
            self.len += bytes.len();
        }
        self
    }
}

impl Play<'_, '_, '_> {
    fn start(&mut self) {
        for process in 0..self.tables.process_count {
            if self.tables.processes[process].waits_for == 0 {
                self.begin(process, self.tables.processes[process].start);
            }
        }
    }

    fn begin(&mut self, process: usize, at: u64) {
        let Process { first, count, .. } = self.tables.processes[process];
        for instance in first..first + count {
            self.push(at, Kind::Begin, instance);
        }
    }

    fn push(&mut self, at: u64, kind: Kind, of: u32) {
        self.tables.queue.push(at, kind, of);
    }

    /// Nothing is to be seen of a program any more once all instances have made their attempts.
    fn run(&mut self) {
        while self.tables.busy > 0 {
            let Some(Task { at, kind, of }) = self.tables.queue.pop() else {
                return;
            };
            self.wait_until(at);
            match kind {
                Kind::Begin => {
                    self.open_listeners(of);
                    self.inherit(of);
                    self.listens(of);
                    self.next(of);
                }
                Kind::Connect => {
                    if !self.connect_waits(of) {
                        self.next(of);
                    }
                }
                Kind::Answered => self.answered(of),
                Kind::Release => self.release(of),
                Kind::CloseClient => self.close_client(of),
                Kind::CloseServer => self.close_server(of),
                Kind::CloseListener => self.close_listener(of),
                Kind::CloseAccepted => self.end_accepted(of),
            }
        }
    }

    fn elapsed(&self) -> u64 {
        sys::now_us()
            .saturating_sub(self.start_us)
            .saturating_mul(1000)
    }

    fn wait_until(&mut self, at: u64) {
        self.now = self.now.max(at);
        let ahead = self.now.saturating_sub(self.elapsed());
        if ahead > 0 {
            let _ = sys::sleep_ns(ahead);
            self.note(NOBODY, OP_SLEEP, 0, &Record::ok());
        }
    }

    fn note(&mut self, who: Who, code: u8, detail: u8, record: &Record) {
        let mut entry = [0; 21];
        entry[..3].copy_from_slice(&[who.who, code, detail]);
        entry[3..5].copy_from_slice(&who.process.to_le_bytes());
        entry[5..9].copy_from_slice(&who.instance.to_le_bytes());
        entry[9..13].copy_from_slice(&who.number.to_le_bytes());
        entry[13..].copy_from_slice(&self.now.to_le_bytes());
        self.out.push(&entry);
        self.out.push(record.bytes());
    }

    /// Makes a call and notes it.
    fn call(
        &mut self,
        who: Who,
        (host, process): (u8, u16),
        code: u8,
        detail: u8,
        o: &Build,
    ) -> Record {
        let record = self.ask((host, process), code, o);
        self.note(who, code, detail, &record);
        record
    }

    fn ask(&mut self, (host, process): (u8, u16), code: u8, o: &Build) -> Record {
        self.stage.perform(Op {
            code,
            host,
            process,
            operands: &o.bytes[..o.len],
        })
    }

    fn process_of(&self, instance: u32) -> Process {
        self.tables.processes[self.tables.instances[instance as usize].process as usize]
    }

    fn who(&self, who: u8, instance: u32, number: u32) -> Who {
        let Instance { process, index, .. } = self.tables.instances[instance as usize];
        Who {
            who,
            process,
            instance: index,
            number,
        }
    }

    /// A new socket with the process's options. An option that the kernel refuses does not stop the program.
    fn socket(&mut self, who: Who, process: &Process, slot: u16, family: u8, flags: u8) -> bool {
        let o = Build::new(slot)
            .push(&[family, flags])
            .push(&process.uid.to_le_bytes());
        if self.call(who, process.place, OP_SOCKET, 0, &o).result() != 0 {
            return false;
        }
        let mut options = Operands(&self.operands[process.options as usize..]);
        let n = options.u16();
        for number in 0..n {
            let o = Build::new(slot)
                .push(&options.i32().to_le_bytes())
                .push(&options.i32().to_le_bytes());
            let value = options.text();
            let o = o.push(&(value.len() as u16).to_le_bytes()).push(value);
            self.call(who, process.place, OP_SET, number as u8, &o);
        }
        true
    }

    fn close(&mut self, who: Who, process: &Process, slot: u16) {
        self.call(who, process.place, OP_CLOSE, 0, &Build::new(slot));
    }

    fn open_listeners(&mut self, instance: u32) {
        let process = self.process_of(instance);
        for n in 0..process.listen.count {
            let raw = process.listen.entry(self.operands, n, 0);
            let (family, port) = (raw[0], u16::from_le_bytes([raw[1], raw[2]]));
            let who = self.who(WHO_LISTENER, instance, u32::from(n));
            let Some(own) = self.tables.new_listener() else {
                return;
            };
            let slot = self.first_slot + own as u16;
            if !self.socket(who, &process, slot, family, SOCKET_NONBLOCK) {
                continue;
            }
            let bound = Build::new(slot).push(raw);
            if self.call(who, process.place, OP_BIND, 0, &bound).result() != 0 {
                self.close(who, &process, slot);
                continue;
            }
            let o = Build::new(slot).push(&4096i32.to_le_bytes());
            if self.call(who, process.place, OP_LISTEN, 0, &o).result() != 0 {
                self.close(who, &process, slot);
                continue;
            }
            self.tables.add_listener(Listener {
                who: (WHO_LISTENER, who.process, who.instance, who.number),
                place: process.place,
                slot,
                port,
                instance,
                shared_by: 0,
            });
            self.share(instance, &process, self.tables.listener_count as u32 - 1);
        }
    }

    /// An instance starts with the listeners of the process that it inherits from, those that are still open.
    fn inherit(&mut self, instance: u32) {
        let process = self.process_of(instance);
        if process.inherit == INHERITS_NONE {
            return;
        }
        for n in 0..self.tables.listener_count {
            let Listener {
                who,
                shared_by,
                instance: opener,
                ..
            } = self.tables.listeners[n];
            let of = self.tables.instances[opener as usize].process;
            if who.0 == WHO_LISTENER && of == process.inherit && shared_by > 0 {
                self.share(instance, &process, n as u32);
            }
        }
    }

    /// An instance has a listener, which it closes when its time is over.
    fn share(&mut self, instance: u32, process: &Process, listener: u32) {
        self.tables.listeners[listener as usize].shared_by += 1;
        if process.hold == HOLD_FOREVER || process.makes_connections() {
            return;
        }
        let ending = Ending { listener, instance };
        let Some(number) = self.tables.add_ending(ending) else {
            return;
        };
        self.tables.instances[instance as usize].open += 1;
        let at = self.now.saturating_add(process.hold);
        self.push(at, Kind::CloseListener, number);
    }

    /// An instance has opened its listeners: processes that are forked start.
    fn listens(&mut self, instance: u32) {
        let of = self.tables.instances[instance as usize].process;
        let opening = &mut self.tables.processes[of as usize].opening;
        *opening = opening.saturating_sub(1);
        if *opening > 0 {
            return;
        }
        for heir in 0..self.tables.process_count {
            let process = self.tables.processes[heir];
            if process.forked && process.inherit == of {
                self.release_waiter(heir);
            }
        }
    }

    /// An instance closes a listener, which ends once none has it any more.
    fn close_listener(&mut self, ending: u32) {
        let Ending { listener, instance } = self.tables.endings[ending as usize];
        let state = &mut self.tables.listeners[listener as usize];
        state.shared_by = state.shared_by.saturating_sub(1);
        if state.shared_by == 0 {
            let Listener {
                who: (who, process, index, number),
                slot,
                instance: opener,
                ..
            } = *state;
            let who = Who {
                who,
                process,
                instance: index,
                number,
            };
            let process = self.process_of(opener);
            self.close(who, &process, slot);
            for number in 0..self.tables.accepted_count {
                let accepted = self.tables.accepted[number as usize];
                let ends = process.accepted != ACCEPTED_KEEP && accepted.open;
                if ends && accepted.listener == listener {
                    self.push(self.now, Kind::CloseAccepted, number);
                }
            }
        }
        self.closed(instance);
    }

    /// Closes a socket whose listener was closed.
    fn end_accepted(&mut self, number: u32) {
        let accepted = self.tables.accepted[number as usize];
        if !accepted.open {
            return;
        }
        let opener = self.tables.listeners[accepted.listener as usize].instance;
        if self.process_of(opener).accepted == ACCEPTED_RESET {
            let who = Who {
                who: WHO_ACCEPTED,
                number,
                ..NOBODY
            };
            self.set_reset(who, accepted.place, self.accepted_slot(number));
        }
        self.close_accepted(number);
    }

    /// Makes the next close of a socket a reset.
    fn set_reset(&mut self, who: Who, place: (u8, u16), slot: u16) {
        let (on, seconds) = (1i32.to_le_bytes(), 0i32.to_le_bytes());
        let (level, option) = (1i32.to_le_bytes(), 13i32.to_le_bytes());
        let o = Build::new(slot)
            .push(&level)
            .push(&option)
            .push(&8u16.to_le_bytes())
            .push(&on)
            .push(&seconds);
        self.call(who, place, OP_SET, DETAIL_RESET, &o);
    }

    /// The slot of a connection of the whole program.
    fn client_slot(&self, connection: u32) -> u16 {
        self.first_slot + MAX_LISTENERS as u16 + connection as u16
    }

    fn accepted_slot(&self, number: u32) -> u16 {
        self.first_slot + (MAX_LISTENERS + MAX_CONNECTIONS) as u16 + number as u16
    }

    /// Makes the next connection of an instance. `false` if the instance need not wait for an answer.
    fn connect_waits(&mut self, instance: u32) -> bool {
        let process = self.process_of(instance);
        let state = &mut self.tables.instances[instance as usize];
        let (index, round, connection) = (state.index, state.round, state.connection);
        state.connection += 1;
        state.last = self.now;
        let turn = u64::from(index) * u64::from(process.connections) + u64::from(connection);
        let own = round * process.connections + connection;
        let number = process.first_connection + index * process.connections * process.repeat + own;
        let who = self.who(WHO_CONNECTION, instance, own);
        let at = process.bind.in_turn(self.operands, turn, 0);
        let to = process.connect.in_turn(self.operands, turn, 1);
        let six = |raw: Option<&[u8]>, skip: usize| raw.is_some_and(|r| r[skip] == 6);
        let family = if six(at, 0) || six(to, 1) { 6 } else { 4 };
        let slot = self.client_slot(number);
        if !self.socket(who, &process, slot, family, 0) {
            return false;
        }
        if let Some(at) = at {
            let o = Build::new(slot).push(at);
            if self.call(who, process.place, OP_BIND, 0, &o).result() != 0 {
                self.close(who, &process, slot);
                return false;
            }
        }
        let Some(to) = to else {
            self.hold(instance, number);
            return false;
        };
        let o = Build::new(slot)
            .push(&to[1..])
            .push(&self.wait_ms.to_le_bytes());
        let before = self.elapsed();
        let record = self.call(who, process.place, OP_CONNECT, 0, &o);
        let after = self.elapsed();
        if after.saturating_sub(before) > WAITED {
            self.now = self.now.max(after);
        }
        let reached = if to[0] == 255 { process.place.0 } else { to[0] };
        let entry = &mut self.tables.connections[number as usize];
        entry.instance = instance;
        entry.own = own;
        entry.connected = record.result() == 0;
        entry.local = record.addr().plain();
        entry.reached = reached;
        entry.port = u16::from_le_bytes([to[2], to[3]]);
        self.tables.instances[instance as usize].calling = number;
        if record.result() == 0 {
            self.accept_all(reached, self.tables.connections[number as usize].port);
        }
        self.push(self.now, Kind::Answered, instance);
        true
    }

    /// Listeners accept everything at once and keep it.
    fn accept_all(&mut self, host: u8, port: u16) {
        let before = self.tables.accepted_count;
        for attempt in 0..PATIENCE {
            if attempt > 0 {
                let _ = sys::sleep_ms(1);
            }
            let mut listens = false;
            for n in 0..self.tables.listener_count {
                let listener = self.tables.listeners[n];
                if listener.place.0 == host && listener.port == port && listener.shared_by > 0 {
                    listens = true;
                    self.drain(n as u32, &listener);
                }
            }
            if !listens || self.tables.accepted_count > before {
                return;
            }
        }
    }

    fn drain(&mut self, place: u32, listener: &Listener) {
        loop {
            let number = self.tables.accepted_count;
            if number as usize >= MAX_CONNECTIONS {
                return;
            }
            let o = Build::new(listener.slot)
                .push(&self.accepted_slot(number).to_le_bytes())
                .push(&UID_INHERIT.to_le_bytes())
                .push(&1u32.to_le_bytes());
            let record = self.ask(listener.place, OP_ACCEPT, &o);
            if record.result() != 0 {
                // It would block: there is nothing to be noted.
                return;
            }
            let (who, process, instance, of) = listener.who;
            let who = Who {
                who,
                process,
                instance,
                number: of,
            };
            self.note(who, OP_ACCEPT, 0, &record);
            self.tables.accepted[number as usize] = Accepted {
                peer: record.addr().plain(),
                place: listener.place,
                port: listener.port,
                listener: place,
                open: true,
            };
            self.tables.accepted_count += 1;
        }
    }

    fn answered(&mut self, instance: u32) {
        let number = self.tables.instances[instance as usize].calling;
        let connection = self.tables.connections[number as usize];
        if connection.connected {
            self.hold(instance, number);
        } else {
            let who = self.who(WHO_CONNECTION, instance, connection.own);
            let process = self.process_of(instance);
            self.close(who, &process, self.client_slot(number));
        }
        self.next(instance);
    }

    fn hold(&mut self, instance: u32, number: u32) {
        let process = self.process_of(instance);
        if process.hold == HOLD_FOREVER {
            return;
        }
        let entry = &mut self.tables.connections[number as usize];
        entry.instance = instance;
        let state = &mut self.tables.instances[instance as usize];
        if !entry.connected {
            // Only bound: its own number has not been noted yet.
            entry.own = state.round * process.connections + state.connection - 1;
        }
        state.open += 1;
        self.push(self.now.saturating_add(process.hold), Kind::Release, number);
    }

    fn release(&mut self, number: u32) {
        let connection = self.tables.connections[number as usize];
        let process = self.process_of(connection.instance);
        let server = self.server_of(number);
        match (process.close, server) {
            (CLOSE_SERVER, Some(server)) => {
                self.close_accepted(server);
                self.push(self.now, Kind::CloseClient, number);
                return;
            }
            (CLOSE_BOTH, Some(server)) => {
                self.close_client(number);
                self.close_accepted(server);
                return;
            }
            (CLOSE_RESET, _) => {
                let who = self.who(WHO_CONNECTION, connection.instance, connection.own);
                self.set_reset(who, process.place, self.client_slot(number));
            }
            _ => {}
        }
        self.close_client(number);
        self.push(self.now, Kind::CloseServer, number);
    }

    fn close_client(&mut self, number: u32) {
        let connection = self.tables.connections[number as usize];
        let process = self.process_of(connection.instance);
        let who = self.who(WHO_CONNECTION, connection.instance, connection.own);
        self.close(who, &process, self.client_slot(number));
        self.closed(connection.instance);
    }

    fn close_server(&mut self, number: u32) {
        if let Some(server) = self.server_of(number) {
            self.close_accepted(server);
        }
    }

    /// The accepted socket at the other end of a connection.
    fn server_of(&self, number: u32) -> Option<u32> {
        let connection = &self.tables.connections[number as usize];
        if !connection.connected {
            return None;
        }
        let is = |a: &Accepted| {
            a.open
                && a.peer == connection.local
                && a.place.0 == connection.reached
                && a.port == connection.port
        };
        let all = &self.tables.accepted[..self.tables.accepted_count as usize];
        all.iter().rposition(is).map(|n| n as u32)
    }

    fn close_accepted(&mut self, number: u32) {
        let accepted = &mut self.tables.accepted[number as usize];
        accepted.open = false;
        let place = accepted.place;
        let who = Who {
            who: WHO_ACCEPTED,
            number,
            ..NOBODY
        };
        let o = Build::new(self.accepted_slot(number));
        self.call(who, place, OP_CLOSE, 0, &o);
    }

    /// One connection of an instance is closed.
    fn closed(&mut self, instance: u32) {
        let state = &mut self.tables.instances[instance as usize];
        state.open = state.open.saturating_sub(1);
        if state.draining && state.open == 0 {
            state.draining = false;
            self.next(instance);
        }
    }

    /// Lets an instance run until it has to wait, or has made all its attempts.
    fn next(&mut self, instance: u32) {
        let process = self.process_of(instance);
        let connections = if process.makes_connections() {
            process.connections
        } else {
            0
        };
        loop {
            let state = &mut self.tables.instances[instance as usize];
            if state.connection < connections {
                let first = state.round == 0 && state.connection == 0;
                let due = if first {
                    self.now
                } else {
                    state.last.saturating_add(process.every)
                };
                if due > self.now {
                    self.push(due, Kind::Connect, instance);
                    return;
                }
                if self.connect_waits(instance) {
                    return;
                }
            } else if connections == 0 && state.open > 0 {
                state.draining = true;
                return;
            } else if connections == 0 || state.round + 1 >= process.repeat {
                self.finished(instance);
                return;
            } else if state.open > 0 && process.hold != HOLD_FOREVER {
                state.draining = true;
                return;
            } else {
                state.round += 1;
                state.connection = 0;
                state.open = 0;
            }
        }
    }

    /// An instance has made all its attempts.
    fn finished(&mut self, instance: u32) {
        self.tables.busy -= 1;
        let of = self.tables.instances[instance as usize].process as usize;
        self.tables.processes[of].busy -= 1;
        if self.tables.processes[of].busy > 0 {
            return;
        }
        for waiter in 0..self.tables.process_count {
            let after = self.tables.processes[waiter].after;
            let mut names = Operands(&self.operands[after as usize..]);
            let n = names.u16();
            if (0..n).any(|_| names.u16() as usize == of) {
                self.release_waiter(waiter);
            }
        }
    }

    /// One of the processes that this one waits for has come so far.
    fn release_waiter(&mut self, waiter: usize) {
        let state = &mut self.tables.processes[waiter];
        state.waits_for -= 1;
        if state.waits_for == 0 {
            self.begin(waiter, self.now);
        }
    }
}
