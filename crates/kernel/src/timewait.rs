//! TIME-WAIT sockets: their creation, the segments that meet them, their end
//! (`tcp_time_wait`, `tcp_timewait_state_process`, `inet_twsk_schedule`), and the clock.

use crate::bucket::Owner;
use crate::chooser::Chooser;
use crate::machine::{Machine, NsId};
use crate::profile::behaviour::{Scope, TwTimer};
use crate::segment::{SegKind, Segment};
use crate::socket::{State, Tw};
use crate::time::{MS, SEC, Time};
use crate::timers::{Timer, TimerKind};

impl<C: Chooser> Machine<C> {
    /// Arms a timer that fires `delay` nanoseconds from now; a recorded kernel may fire it up to
    /// `early` nanoseconds sooner.
    pub(crate) fn arm(&mut self, kind: TimerKind, target: u32, delay: u64, early: u64) -> u32 {
        let timer = self.timer(kind, target, delay, early);
        self.timers.arm(timer)
    }

    fn timer(&self, kind: TimerKind, target: u32, delay: u64, early: u64) -> Timer {
        let nominal = self.clock.after(delay);
        let slack = self.chooser.slack();
        let early = if slack > 0 { early + slack } else { 0 };
        Timer {
            earliest: Time(nominal.0.saturating_sub(early).max(self.clock.0)),
            nominal,
            latest: nominal.after(slack),
            seq: 0,
            kind,
            target,
        }
    }

    /// Arms the repetition of a SYN: after 1 s (old kernels 3 s), then twice as long each time;
    /// newer kernels repeat the first few at the same distance.
    pub(crate) fn arm_syn_retry(&mut self, i: u32) {
        let mut timer = self.timer(TimerKind::SynRetry, i, self.syn_retry_delay(i), 0);
        timer.latest = timer.latest.after(self.syn_retry_lateness(i));
        self.socks[i].timer = self.timers.arm(timer);
    }

    /// Arms the delayed acknowledgement of a lone FIN.
    pub(crate) fn arm_delayed_ack(&mut self, i: u32) {
        let delay = u64::from(self.b.delayed_ack_ms()) * MS;
        self.socks[i].timer = self.arm(TimerKind::DelayedAck, i, delay, delay);
    }

    /// Stops the timer of a socket, if it has one.
    pub(crate) fn stop_timer(&mut self, i: u32) {
        let seq = std::mem::take(&mut self.socks[i].timer);
        if seq != 0 {
            self.timers.cancel(seq);
        }
    }

    /// The moment at which the next timer can fire.
    #[must_use]
    pub fn next_event(&mut self) -> Option<Time> {
        self.tidy_timers();
        self.timers.first().map(|timer| timer.earliest)
    }

    /// Takes timers that were called off away from the front of the queue.
    pub(crate) fn tidy_timers(&mut self) {
        while self.timers.first().is_some_and(|t| !self.timer_valid(t)) {
            self.timers.take_first();
        }
    }

    /// Returns `true` if a timer may have to fire without time passing.
    pub(crate) fn is_due(&self) -> bool {
        self.timers
            .first()
            .is_some_and(|t| t.earliest <= self.clock)
    }

    pub(crate) fn timer_valid(&self, t: &Timer) -> bool {
        match t.kind {
            TimerKind::TimeWait => self.tws.get(t.target).is_some_and(|w| w.timer == t.seq),
            TimerKind::Wheel => self.wheel.timer == t.seq,
            TimerKind::Calendar => self.wheel.calendar_timer == t.seq,
            _ => self.socks.get(t.target).is_some_and(|s| s.timer == t.seq),
        }
    }

    /// Lets time pass: fires every timer up to then, in order.
    pub fn advance(&mut self, to: Time) {
        let mut undecided: Vec<Timer> = Vec::new();
        while let Some(mut timer) = self.timers.pop_due(to) {
            if !self.timer_valid(&timer) {
                continue;
            }
            let in_order = !self.any_order(&timer);
            if timer.latest > to {
                // Timers of one kind and length fire in the order in which they were armed: behind
                // one that has not fired, none of a later moment has. One that may be later than
                // this has another length.
                let skip = in_order
                    && undecided.iter().any(|u| {
                        u.kind == timer.kind
                            && u.nominal <= timer.nominal
                            && u.latest <= timer.latest
                    });
                if skip || !self.chooser.timer_fired(timer.nominal.nanos(), to.nanos()) {
                    undecided.push(timer);
                    continue;
                }
                // Whenever it really fired, its consequences are dated by the nominal moment, so
                // that the conformance checker can merge histories that differ in nothing else.
                let now = self.clock;
                self.clock = timer.nominal.max(now);
                self.fire(timer);
                self.settle();
                self.clock = now;
                continue;
            }
            if !in_order
                && let Some(rival) = self.rival(&timer)
                && self.chooser.uncertain(false)
            {
                timer.earliest = rival.after(1);
                self.timers.put_back(timer);
                continue;
            }
            self.clock = self.clock.max(timer.nominal.min(to));
            self.fire(timer);
            self.settle();
        }
        for timer in undecided {
            self.timers.put_back(timer);
        }
        self.clock = self.clock.max(to);
        self.tidy_timers();
    }

    /// Returns `true` if a timer may fire before ones that were armed earlier, and the order makes
    /// a difference. Each connection delays its acknowledgement by itself; where the number of
    /// TIME-WAIT sockets is limited, the connection that is first gets the last one.
    fn any_order(&self, t: &Timer) -> bool {
        if t.kind != TimerKind::DelayedAck || self.chooser.slack() == 0 {
            return false;
        }
        let ns = self.socks[t.target].ns;
        // Every socket may become a TIME-WAIT socket.
        let most = self.tws.iter().count() + self.socks.iter().count();
        most > self.ns(ns).values.max_tw as usize
    }

    /// When the next acknowledgement of a later moment can come, which may overtake this one.
    fn rival(&self, timer: &Timer) -> Option<Time> {
        let rivals = self.timers.iter().filter(|t| {
            t.kind == timer.kind
                && t.seq > timer.seq
                && t.earliest < timer.latest
                && self.timer_valid(t)
        });
        rivals.map(|t| t.earliest.max(timer.earliest)).min()
    }

    fn fire(&mut self, t: Timer) {
        match t.kind {
            TimerKind::DelayedAck => {
                if self.socks[t.target].ack_pending {
                    self.send(t.target, SegKind::Ack);
                }
            }
            TimerKind::SynRetry => self.retry_syn(t.target),
            TimerKind::FinWait2 => {
                let rest = self
                    .fin_time(t.target)
                    .saturating_sub(self.time_wait_len(t.target));
                self.time_wait(t.target, true, rest);
            }
            TimerKind::TimeWait => self.kill_tw(t.target),
            TimerKind::Wheel => self.wheel_tick(),
            TimerKind::Calendar => self.calendar_tick(),
        }
    }

    fn syn_retry_delay(&self, i: u32) -> u64 {
        self.syn_delay_after(u32::from(self.socks[i].retries))
    }

    /// The time until the next repetition of a SYN after `retries` of them.
    fn syn_delay_after(&self, retries: u32) -> u64 {
        let doublings = retries.saturating_sub(self.b.syn_linear()).min(16);
        let delay = (u64::from(self.b.syn_rto_ms()) * MS) << doublings;
        delay.min(120 * SEC)
    }

    /// The most by which the next repetition of a SYN may be late on a recorded kernel. Each counts
    /// from the one before and waits for a step of the timer wheel, so that they are later and
    /// later.
    fn syn_retry_lateness(&self, i: u32) -> u64 {
        if self.chooser.slack() == 0 || self.b.tw_timer() != TwTimer::Grid {
            return 0;
        }
        (0..=u32::from(self.socks[i].retries))
            .map(|n| self.grid_step(self.syn_delay_after(n)))
            .sum()
    }

    fn retry_syn(&mut self, i: u32) {
        let ns = self.socks[i].ns;
        let limit = self.socks[i]
            .cold
            .as_ref()
            .and_then(|c| c.syn_count)
            .unwrap_or_else(|| self.ns(ns).values.syn_retries);
        // The repetitions at equal distance come on top.
        if u32::from(self.socks[i].retries) >= u32::from(limit) + self.b.syn_linear() {
            self.socks[i].error = Some(crate::Errno::ETIMEDOUT);
            self.set_close(i);
            self.drop_orphan(i);
            return;
        }
        self.socks[i].retries += 1;
        self.send(i, SegKind::Syn);
        self.arm_syn_retry(i);
    }

    /// Replaces a socket by a TIME-WAIT socket (`tcp_time_wait`). `fin_wait2`: the peer's FIN is
    /// still to come, and the TIME-WAIT socket waits for it for `timeout` nanoseconds.
    pub(crate) fn time_wait(&mut self, i: u32, fin_wait2: bool, timeout: u64) {
        let s = &self.socks[i];
        let ns = s.ns;
        let n = self.ns(ns);
        let count = if n.tw_count == self.tw_count || self.b.max_tw_scope() == Scope::Netns {
            n.tw_count
        } else {
            self.tw_count
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
            let reuseport = if self.b.tw_copies_reuseport() {
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
            let t = self.tws.insert(tw);
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
        (self.tws[t].since, self.tws[t].timeout) = (self.clock, timeout);
        if self.has_wheel() {
            self.wheel_schedule(t, timeout);
        } else {
            self.tws[t].timer = self.arm_own_timer(t, timeout);
        }
        let ns = self.tws[t].ns;
        self.tw_count += 1;
        self.ns_mut(ns).tw_count += 1;
    }

    /// Returns `true` if the machine's wheel ends TIME-WAIT sockets (`inet_twsk_schedule` before
    /// 4.1).
    pub(crate) fn has_wheel(&self) -> bool {
        matches!(
            self.b.tw_timer(),
            TwTimer::SlotWheel | TwTimer::SlotWheelQuick
        )
    }

    /// Arms a TIME-WAIT socket's own timer (`inet_twsk_schedule` from 4.1 on). The phase of a
    /// recorded kernel's ticks is not known.
    fn arm_own_timer(&mut self, target: u32, timeout: u64) -> u32 {
        let nominal = self.own_timer_fires(self.clock, timeout);
        let slack = self.chooser.slack();
        let (mut earliest, mut latest) = (nominal, nominal);
        if slack > 0 {
            let due = self.clock.after(timeout);
            let step = match self.b.tw_timer() {
                TwTimer::Grid => self.grid_step(timeout),
                _ => 0,
            };
            earliest = Time(due.nanos().saturating_sub(slack.min(timeout)));
            latest = due.after(step + slack);
        }
        self.timers.arm(Timer {
            earliest,
            nominal,
            latest,
            seq: 0,
            kind: TimerKind::TimeWait,
            target,
        })
    }

    /// The moment at which a TIME-WAIT socket's own timer of this length, in nanoseconds, fires. On
    /// the timer wheel of 4.8 and later that is the first multiple of its level's granularity
    /// strictly behind its expiry.
    pub(crate) fn own_timer_fires(&self, since: Time, timeout: u64) -> Time {
        let due = since.after(timeout);
        if self.b.tw_timer() != TwTimer::Grid {
            return due;
        }
        let hz = u64::from(self.b.hz());
        let tick = SEC / hz;
        let jiffies = timeout.div_ceil(tick);
        let level = self.grid_step(timeout) / tick;
        // jiffies starts 300 s before its wrap at boot; only its remainder on the grid matters.
        let now = i128::from(since.nanos() / tick) - i128::from(300 * hz);
        let expiry = now + i128::from(jiffies);
        let at = (expiry.div_euclid(i128::from(level)) + 1) * i128::from(level);
        // The clock ends after 584 years, and so does whatever would fire later.
        let fires = u64::try_from(at + i128::from(300 * hz))
            .unwrap_or(0)
            .saturating_mul(tick);
        Time(fires).max(due)
    }

    /// The granularity of the level of the timer wheel that a timer of this length is on, in
    /// nanoseconds.
    fn grid_step(&self, timeout: u64) -> u64 {
        let tick = SEC / u64::from(self.b.hz());
        let jiffies = timeout.div_ceil(tick);
        let mut level = 1;
        while jiffies > 63 * level - 1 {
            level *= 8;
        }
        level * tick
    }

    /// Stops the timer of a TIME-WAIT socket, if it has one.
    pub(crate) fn unschedule_tw(&mut self, t: u32) {
        if self.tws[t].timer != 0 {
            self.tws[t].timer = 0;
            let ns = self.tws[t].ns;
            self.tw_count -= 1;
            self.ns_mut(ns).tw_count -= 1;
        }
    }

    /// Ends a TIME-WAIT socket: out of its timer, the established table and its bucket.
    pub(crate) fn kill_tw(&mut self, t: u32) {
        self.unschedule_tw(t);
        let ns = self.tws[t].ns;
        self.hash_remove(ns, Owner::tw(t));
        self.unlink(Owner::tw(t));
        self.tws.remove(t);
    }

    /// A segment meets a TIME-WAIT socket (`tcp_timewait_state_process`).
    pub(crate) fn receive_tw(&mut self, t: u32, seg: Segment) {
        let ns = self.tws[t].ns;
        let (fin_wait2, len) = (self.tws[t].fin_wait2, self.ns(ns).time_wait);
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
                self.answer_without_socket(ns, seg.reply(SegKind::Refuse));
            }
            (SegKind::Data(_), true) => {
                self.kill_tw(t);
                self.answer_without_socket(ns, seg.reply(SegKind::Rst));
            }
            (SegKind::Ack | SegKind::Challenge, true) => {}
            (SegKind::Fin, true) => {
                let now = self.clock;
                let w = &mut self.tws[t];
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
                self.answer_without_socket(ns, answer);
            }
            (SegKind::Syn, false) => {
                if self.find_listener(ns, seg.dst).is_some() {
                    self.kill_tw(t);
                    self.receive_unknown(ns, seg);
                } else {
                    answer.kind = SegKind::Challenge;
                    self.answer_without_socket(ns, answer);
                }
            }
            (SegKind::Ack | SegKind::Challenge, false) => self.schedule_tw(t, len),
            (SegKind::Fin | SegKind::Data(_), false) => {
                self.schedule_tw(t, len);
                self.answer_without_socket(ns, answer);
            }
        }
    }

    /// Everything that a crash takes away: all sockets, buckets and TIME-WAITs of a namespace, with
    /// no segment sent. Addresses and sysctls stay.
    pub fn crash(&mut self, ns: NsId) {
        let old = self.nss[usize::from(ns.0)].clone();
        self.remove_namespace(ns);
        let n = &mut self.nss[usize::from(ns.0)];
        n.alive = true;
        n.addresses = old.addresses;
        n.routed = old.routed;
        n.values = old.values;
        n.time_wait = old.time_wait;
    }

    /// The state of a TIME-WAIT socket, for views.
    pub(crate) fn tw_state(&self, t: u32) -> State {
        if self.tws[t].fin_wait2 {
            State::FinWait2
        } else {
            State::TimeWait
        }
    }
}
