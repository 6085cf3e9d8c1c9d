//! The ends of sockets, TIME-WAIT, and its timers.

use super::{Owner, Reference, State, TimeWait};
use fourtuple_kernel::profile::behaviour::*;

const SEC: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SEC;
/// Between two turns of the wheel.
const PERIOD: u64 = MINUTE / 8;

/// The four ways to end a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// close(); the other end closes at once.
    First,
    /// The other end first, then close().
    Last,
    /// close() with a reset.
    Reset,
    /// connect() to AF_UNSPEC; the socket lives on.
    Disconnect,
}

impl Reference {
    pub(crate) fn end(&mut self, i: usize, how: Ending) {
        let connected = self.socks[i].state == State::Established;
        match how {
            Ending::Disconnect => {
                if self.socks[i].state != State::Close {
                    self.set_close(i);
                }
                if !self.socks[i].addr_lock {
                    self.move_address(i, 0);
                }
            }
            Ending::First if connected => {
                self.time_wait(i);
                self.destroy(i);
            }
            Ending::First | Ending::Last | Ending::Reset => self.destroy(i),
        }
    }

    fn destroy(&mut self, i: usize) {
        self.set_close(i);
        self.put_port(i);
        self.socks[i].alive = false;
    }

    fn time_wait(&mut self, i: usize) {
        let s = &self.socks[i];
        let port = s.num;
        self.tws.push(TimeWait {
            addr: s.addr,
            port,
            dest: s.dest.expect("connected"),
            reuse: s.reuse,
            reuseport: s.reuseport && self.b.tw_copies_reuseport,
            connect_bind: s.connect_bind,
            entered: self.now,
            ends: None,
            alive: true,
        });
        let w = self.tws.len() - 1;
        let t = self.find(port).expect("a bucket for every owner");
        self.link(t, Owner::Tw(w));
        self.schedule(w);
    }

    fn schedule(&mut self, w: usize) {
        match self.b.tw_timer {
            TwTimer::Exact => self.tws[w].ends = Some(self.now + MINUTE),
            TwTimer::Grid => {
                // The first multiple of 8^level jiffies strictly after a minute from now.
                let hz = i64::from(self.b.hz);
                let tick = SEC as i64 / hz;
                let delay = 60 * hz;
                let mut grain = 1;
                while delay > 63 * grain - 1 {
                    grain *= 8;
                }
                let jiffies = self.now as i64 / tick - 300 * hz;
                let at = ((jiffies + delay).div_euclid(grain) + 1) * grain;
                self.tws[w].ends = Some(((at + 300 * hz) * tick) as u64);
            }
            TwTimer::SlotWheel | TwTimer::SlotWheelQuick => {
                let others = self.tws.iter().enumerate().any(|(k, t)| k != w && t.alive);
                let cell = (self.slot + 7) % 8;
                self.wheel[cell].push(w);
                if !others {
                    self.turns = Some(self.now + PERIOD);
                }
            }
        }
    }

    /// Ends a TIME-WAIT, by its timer or because it is taken over.
    pub(crate) fn end_time_wait(&mut self, w: usize) {
        let port = self.tws[w].port;
        self.unlink(port, Owner::Tw(w));
        self.tws[w].alive = false;
        for cell in &mut self.wheel {
            cell.retain(|x| *x != w);
        }
    }

    /// Time passes.
    pub(crate) fn wait(&mut self, nanos: u64) {
        let until = self.now + nanos;
        loop {
            let next_end = self
                .tws
                .iter()
                .enumerate()
                .filter(|(_, w)| w.alive)
                .filter_map(|(k, w)| Some((w.ends?, k)))
                .min();
            match (next_end, self.turns) {
                (Some((at, w)), _) if at <= until => {
                    self.now = at;
                    self.end_time_wait(w);
                }
                (_, Some(at)) if at <= until => {
                    self.now = at;
                    self.turn();
                }
                _ => break,
            }
        }
        self.now = until;
    }

    fn turn(&mut self) {
        self.turns = None;
        if self.tws.iter().all(|w| !w.alive) {
            return;
        }
        let due = self.wheel[self.slot].clone();
        for w in &due {
            self.end_time_wait(*w);
        }
        let over = due.len() >= 101;
        if !over {
            self.slot = (self.slot + 1) % 8;
        }
        if over || self.tws.iter().any(|w| w.alive) {
            let quick = self.b.tw_timer == TwTimer::SlotWheelQuick && due.len() >= 202;
            self.turns = Some(self.now + if quick { SEC } else { PERIOD });
        }
    }
}
