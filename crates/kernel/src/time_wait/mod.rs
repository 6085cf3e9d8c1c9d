//! TIME-WAIT sockets: their creation, the segments that meet them, their end
//! (`tcp_time_wait`, `tcp_timewait_state_process`, `inet_twsk_schedule`).

mod death_row;
pub(crate) mod reuse;
pub(crate) mod table;
pub(crate) mod timer;
pub(crate) mod wheel;

use crate::bucket::Owner;
use crate::chooser::Chooser;
use crate::conn::segment::{SegKind, Segment};
use crate::conn::socket::{State, Tw};
use crate::machine::Machine;
use crate::profile::behaviour::{Scope, TwTimer};

impl<C: Chooser> Machine<C> {
    /// Replaces a socket by a TIME-WAIT socket (`tcp_time_wait`). `fin_wait2`: the peer's FIN is
    /// still to come, and the TIME-WAIT socket waits for it for `timeout` nanoseconds.
    pub(crate) fn time_wait(&mut self, i: u32, fin_wait2: bool, timeout: u64) {
        let s = &self.socks[i];
        let ns = s.ns;
        let n = self.ns(ns);
        let count = if n.tw_count == self.tw.count || self.b.max_tw_scope() == Scope::Netns {
            n.tw_count
        } else {
            self.tw.count
        };
        if count < n.values.max_tw {
            let least = Self::three_and_a_half_rto();
            let recycle = n.values.tw_recycle && s.timestamps;
            let timeout = match (fin_wait2, recycle) {
                (true, _) => timeout.max(least),
                (false, true) => least,
                (false, false) => n.time_wait,
            };
            // Kernels that do not copy the option leave undefined memory there.
            let reuseport = if self.b.peek().tw_copies_reuseport {
                Some(s.reuseport)
            } else {
                None
            };
            let tw = Tw {
                local: s.rcv_saddr,
                remote: s.daddr,
                stamp: s.stamp,
                entered: self.clock,
                since: self.clock,
                timeout,
                timer: 0,
                bucket: s.bucket,
                place: 0,
                ns,
                lport: s.num,
                rport: s.dport,
                dev: s.dev,
                family: s.family,
                reuse: s.reuse != 0,
                reuseport,
                v6only: s.v6only,
                connect_bind: s.connect_bind,
                timestamps: s.timestamps,
                fin_wait2,
            };
            let bucket = tw.bucket;
            let t = self.tw.socks.insert(tw);
            self.link(Owner::tw(t), bucket);
            self.hash_insert(ns, Owner::tw(t));
            self.schedule_tw(t, timeout);
        }
        self.set_close(i);
        self.drop_orphan(i);
    }

    /// Starts, or restarts, the timer of a TIME-WAIT socket (`inet_twsk_schedule`).
    pub(crate) fn schedule_tw(&mut self, t: u32, timeout: u64) {
        self.unschedule_tw(t);
        (self.tw.socks[t].since, self.tw.socks[t].timeout) = (self.clock, timeout);
        if self.tw.count == 0 {
            self.tw.oldest = self.clock;
        }
        if timeout != self.tw.wheel.round() {
            self.observe_ends();
        }
        if self.has_wheel() {
            self.wheel_schedule(t, timeout);
        } else {
            self.tw.socks[t].timer = self.arm_own_timer(t, timeout);
        }
        let ns = self.tw.socks[t].ns;
        self.tw.count += 1;
        self.ns_mut(ns).tw_count += 1;
    }

    /// Notes that the end of TIME-WAIT sockets can be observed.
    pub(crate) fn observe_ends(&self) {
        self.b.tw_timer();
        self.b.hz();
    }

    /// Returns `true` if the machine's wheel ends TIME-WAIT sockets (`inet_twsk_schedule` before
    /// 4.1).
    pub(crate) fn has_wheel(&self) -> bool {
        matches!(
            self.b.peek().tw_timer,
            TwTimer::SlotWheel | TwTimer::SlotWheelQuick
        )
    }

    /// Stops the timer of a TIME-WAIT socket, if it has one.
    pub(crate) fn unschedule_tw(&mut self, t: u32) {
        if self.tw.socks[t].timer != 0 {
            self.tw.socks[t].timer = 0;
            let ns = self.tw.socks[t].ns;
            self.tw.count -= 1;
            self.ns_mut(ns).tw_count -= 1;
        }
    }

    /// Ends a TIME-WAIT socket: out of its timer, the established table and its bucket.
    pub(crate) fn kill_tw(&mut self, t: u32) {
        self.unschedule_tw(t);
        let ns = self.tw.socks[t].ns;
        self.hash_remove(ns, Owner::tw(t));
        self.unlink(Owner::tw(t));
        self.tw.socks.remove(t);
    }

    /// A segment meets a TIME-WAIT socket (`tcp_timewait_state_process`).
    pub(crate) fn receive_tw(&mut self, t: u32, seg: Segment) {
        let (ns, dev) = (self.tw.socks[t].ns, self.tw.socks[t].dev);
        let (fin_wait2, len) = (self.tw.socks[t].fin_wait2, self.ns(ns).time_wait);
        let mut answer = seg.reply(SegKind::Ack);
        answer.saw_fin = !fin_wait2 || seg.kind == SegKind::Fin;
        match (seg.kind, fin_wait2) {
            (SegKind::Rst, true) => self.kill_tw(t),
            (SegKind::Rst, false) => {
                if !self.ns(ns).values.rfc1337 {
                    self.kill_tw(t);
                }
            }
            (SegKind::Refuse | SegKind::SynAck, _) => {}
            (SegKind::Syn, true) => {
                self.kill_tw(t);
                self.transmit(ns, dev, seg.reply(SegKind::Refuse));
            }
            (SegKind::Data(_), true) => {
                self.kill_tw(t);
                self.transmit(ns, dev, seg.reply(SegKind::Rst));
            }
            (SegKind::Ack | SegKind::Challenge, true) => {}
            (SegKind::Fin, true) => {
                let now = self.clock;
                let w = &mut self.tw.socks[t];
                w.fin_wait2 = false;
                w.entered = now;
                if seg.timestamps {
                    w.stamp = now;
                }
                let recycle = w.timestamps && self.ns(ns).values.tw_recycle;
                self.schedule_tw(
                    t,
                    if recycle {
                        Self::three_and_a_half_rto()
                    } else {
                        len
                    },
                );
                self.transmit(ns, dev, answer);
            }
            (SegKind::Syn, false) => {
                if self.find_listener(ns, &seg).is_some() {
                    self.kill_tw(t);
                    self.receive_unknown(ns, seg);
                } else {
                    answer.kind = SegKind::Challenge;
                    self.transmit(ns, dev, answer);
                }
            }
            (SegKind::Ack | SegKind::Challenge, false) => self.schedule_tw(t, len),
            (SegKind::Fin | SegKind::Data(_), false) => {
                self.schedule_tw(t, len);
                self.transmit(ns, dev, answer);
            }
            (SegKind::Datagram(_) | SegKind::Unreachable, _) => {}
        }
    }

    /// The state of a TIME-WAIT socket, for views.
    pub(crate) fn tw_state(&self, t: u32) -> State {
        if self.tw.socks[t].fin_wait2 {
            State::FinWait2
        } else {
            State::TimeWait
        }
    }
}
