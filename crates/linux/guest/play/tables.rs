//! What is known about processes, instances, connections and listeners while they are played.

use super::queue::Queue;
use crate::frame::{Addr, Operands};
use crate::wire::*;

/// A list of entries of one size inside the operands.
#[derive(Clone, Copy)]
pub struct List {
    start: u32,
    pub count: u16,
}

impl List {
    const NONE: List = List { start: 0, count: 0 };

    /// The bytes of an entry; `extra` is how many it has besides an address.
    pub fn entry<'a>(&self, operands: &'a [u8], n: u16, extra: usize) -> &'a [u8] {
        let size = ADDRESS + extra;
        let at = self.start as usize + n as usize * size;
        &operands[at..at + size]
    }

    /// Its entries are taken in turn; none if it is empty.
    pub fn in_turn<'a>(&self, operands: &'a [u8], turn: u64, extra: usize) -> Option<&'a [u8]> {
        let n = turn.checked_rem(u64::from(self.count))?;
        Some(self.entry(operands, n as u16, extra))
    }
}

/// A process of the scenario.
#[derive(Clone, Copy)]
pub struct Process {
    /// Its host, and the number of the real process that it is.
    pub place: (u8, u16),
    pub uid: u32,
    pub count: u32,
    pub start: u64,
    pub connections: u32,
    pub repeat: u32,
    pub every: u64,
    pub hold: u64,
    pub close: u8,
    /// The fate of what its listeners have accepted, once they are closed.
    pub accepted: u8,
    /// The process whose listeners it shares.
    pub inherit: u16,
    /// Whether it starts when that one listens.
    pub forked: bool,
    /// Instances that have not opened all their listeners.
    pub opening: u32,
    /// Where the list of those that it waits for is.
    pub after: u32,
    pub bind: List,
    pub listen: List,
    pub connect: List,
    /// Where its options are.
    pub options: u32,
    /// Its first instance, and its first connection, among all.
    pub first: u32,
    pub first_connection: u32,
    /// Instances that have attempts to make.
    pub busy: u32,
    /// How many processes it still waits for.
    pub waits_for: u16,
}

impl Process {
    const NONE: Process = Process {
        place: (0, 0),
        uid: 0,
        count: 0,
        start: 0,
        connections: 0,
        repeat: 0,
        every: 0,
        hold: 0,
        close: 0,
        accepted: 0,
        inherit: INHERITS_NONE,
        forked: false,
        opening: 0,
        after: 0,
        bind: List::NONE,
        listen: List::NONE,
        connect: List::NONE,
        options: 0,
        first: 0,
        first_connection: 0,
        busy: 0,
        waits_for: 0,
    };
}

impl Process {
    pub fn makes_connections(&self) -> bool {
        self.connect.count > 0 || self.bind.count > 0
    }
}

/// One of the `count` instances of a process.
#[derive(Clone, Copy)]
pub struct Instance {
    pub process: u16,
    /// Counted from 0 within the process.
    pub index: u32,
    pub round: u32,
    pub connection: u32,
    /// When its last connection was started.
    pub last: u64,
    /// Connections of the current round that are not closed yet.
    pub open: u32,
    /// Whether it waits for them.
    pub draining: bool,
    /// The connection whose answer it waits for.
    pub calling: u32,
}

/// A connection of an instance.
#[derive(Clone, Copy)]
pub struct Connection {
    pub instance: u32,
    /// Its number within the instance.
    pub own: u32,
    pub connected: bool,
    pub local: Addr,
    /// The host and port at the other end.
    pub reached: u8,
    pub port: u16,
}

/// A socket that accepts.
#[derive(Clone, Copy)]
pub struct Listener {
    /// Kind, process, instance and number of who it is.
    pub who: (u8, u16, u32, u32),
    pub place: (u8, u16),
    pub slot: u16,
    pub port: u16,
    /// The instance that has opened it.
    pub instance: u32,
    /// How many instances have it; none for one that is closed.
    pub shared_by: u32,
}

/// The end of a listener, as far as one of the instances that share it is concerned.
#[derive(Clone, Copy)]
pub struct Ending {
    pub listener: u32,
    pub instance: u32,
}

/// A socket that was accepted.
#[derive(Clone, Copy)]
pub struct Accepted {
    pub peer: Addr,
    pub place: (u8, u16),
    /// The port of its listener.
    pub port: u16,
    /// The place of its listener.
    pub listener: u32,
    pub open: bool,
}

const NO_ADDR: Addr = Addr {
    family: 0,
    port: 0,
    scope: 0,
    ip: [0; 16],
};

/// All listeners: those of instances, and as many that were there already.
const LISTENERS: usize = 2 * MAX_LISTENERS;

/// All tables, in the guest's zeroed memory.
pub struct Tables {
    pub processes: [Process; MAX_PROCESSES],
    pub process_count: usize,
    pub instances: [Instance; MAX_CONNECTIONS],
    pub connections: [Connection; MAX_CONNECTIONS],
    pub listeners: [Listener; LISTENERS],
    pub listener_count: usize,
    pub endings: [Ending; MAX_LISTENERS],
    pub ending_count: usize,
    pub accepted: [Accepted; MAX_CONNECTIONS],
    pub accepted_count: u32,
    pub queue: Queue,
    /// Instances that have attempts to make.
    pub busy: u32,
    /// Listeners of instances that have been begun.
    listener_slots: usize,
}

impl Tables {
    pub const NONE: Tables = Tables {
        processes: [Process::NONE; MAX_PROCESSES],
        process_count: 0,
        instances: [Instance {
            process: 0,
            index: 0,
            round: 0,
            connection: 0,
            last: 0,
            open: 0,
            draining: false,
            calling: 0,
        }; MAX_CONNECTIONS],
        connections: [Connection {
            instance: 0,
            own: 0,
            connected: false,
            local: NO_ADDR,
            reached: 0,
            port: 0,
        }; MAX_CONNECTIONS],
        listeners: [Listener {
            who: (0, 0, 0, 0),
            place: (0, 0),
            slot: 0,
            port: 0,
            instance: 0,
            shared_by: 0,
        }; LISTENERS],
        listener_count: 0,
        endings: [Ending {
            listener: 0,
            instance: 0,
        }; MAX_LISTENERS],
        ending_count: 0,
        accepted: [Accepted {
            peer: NO_ADDR,
            place: (0, 0),
            port: 0,
            listener: 0,
            open: false,
        }; MAX_CONNECTIONS],
        accepted_count: 0,
        queue: Queue::EMPTY,
        busy: 0,
        listener_slots: 0,
    };

    pub fn clear(&mut self) {
        self.process_count = 0;
        self.listener_count = 0;
        self.ending_count = 0;
        self.accepted_count = 0;
        self.listener_slots = 0;
        self.busy = 0;
        self.queue.clear();
    }

    /// Reads the listeners that are there already and the processes. `total` is the length of all operands, to know places in them.
    pub fn read(&mut self, o: &mut Operands, total: usize) {
        for n in 0..o.u16() {
            let host = o.u8();
            let (slot, port) = (o.u16(), o.u16());
            self.add_listener(Listener {
                who: (WHO_STANDING, 0, 0, u32::from(n)),
                place: (host, 0),
                slot,
                port,
                instance: 0,
                shared_by: 1,
            });
        }
        let (mut instances, mut connections) = (0u32, 0u32);
        self.process_count = (o.u16() as usize).min(MAX_PROCESSES);
        for place in 0..self.process_count {
            let mut p = Process {
                place: (o.u8(), o.u16()),
                uid: o.u32(),
                count: o.u32(),
                start: o.u64(),
                connections: o.u32(),
                repeat: o.u32(),
                every: o.u64(),
                hold: o.u64(),
                close: o.u8(),
                accepted: o.u8(),
                inherit: o.u16(),
                ..Process::NONE
            };
            p.after = (total - o.0.len()) as u32;
            p.waits_for = o.u16();
            o.bytes(2 * p.waits_for as usize);
            p.forked = p.inherit != INHERITS_NONE && p.start == 0 && p.waits_for == 0;
            p.waits_for += u16::from(p.forked);
            p.opening = p.count;
            p.bind = list(o, total, 0);
            p.listen = list(o, total, 0);
            p.connect = list(o, total, 1);
            p.options = (total - o.0.len()) as u32;
            for _ in 0..o.u16() {
                o.bytes(8);
                o.text();
            }
            p.first = instances;
            p.first_connection = connections;
            p.busy = p.count;
            for index in 0..p.count {
                if let Some(instance) = self.instances.get_mut((instances + index) as usize) {
                    *instance = Instance {
                        process: place as u16,
                        index,
                        round: 0,
                        connection: 0,
                        last: 0,
                        open: 0,
                        draining: false,
                        calling: 0,
                    };
                }
            }
            instances += p.count;
            connections += p.count * p.connections * p.repeat;
            self.processes[place] = p;
        }
        for connection in &mut self.connections[..(connections as usize).min(MAX_CONNECTIONS)] {
            connection.connected = false;
        }
        self.busy = instances;
    }

    /// The number of a new listener of an instance; none when there are too many.
    pub fn new_listener(&mut self) -> Option<usize> {
        let number = self.listener_slots;
        self.listener_slots += 1;
        (number < MAX_LISTENERS).then_some(number)
    }

    pub fn add_listener(&mut self, listener: Listener) {
        if let Some(place) = self.listeners.get_mut(self.listener_count) {
            *place = listener;
            self.listener_count += 1;
        }
    }

    /// The place of a new end of a listener; none when there are too many.
    pub fn add_ending(&mut self, ending: Ending) -> Option<u32> {
        let number = self.ending_count;
        *self.endings.get_mut(number)? = ending;
        self.ending_count += 1;
        Some(number as u32)
    }
}

fn list(o: &mut Operands, total: usize, extra: usize) -> List {
    let count = o.u16();
    let start = (total - o.0.len()) as u32;
    o.bytes(count as usize * (ADDRESS + extra));
    List { start, count }
}
