//! The machine-wide wheel that ended TIME-WAITs before Linux 4.1 (`inet_timewait_death_row`).

use crate::chooser::Chooser;
use crate::machine::Machine;
use crate::profile::behaviour::TwTimer;
use crate::time::{MS, SEC};
use crate::time_wait::wheel::{Entry, ROWS, SLOTS};
use crate::timers::TimerKind;

/// Entries of one slot that a tick ends itself; the rest is left to a work item.
const QUOTA: usize = 101;

impl<C: Chooser> Machine<C> {
    /// The calendar's step: a power of two of jiffies.
    fn quantum(&self) -> u64 {
        let jiffies: u64 = match self.b.peek().hz {
            0..=100 => 16,
            101..=250 => 32,
            _ => 128,
        };
        jiffies * SEC / u64::from(self.b.peek().hz)
    }

    /// A delay as `mod_timer` sets it where timers have slack: of the ticks up to a 256th later,
    /// the one whose number has the most zeros at its end.
    fn slackened(&self, delay: u64) -> u64 {
        let hz = u64::from(self.b.peek().hz);
        let tick = SEC / hz;
        let ticks = delay.div_ceil(tick);
        if ticks < 256 || !self.b.timer_slack() {
            return delay;
        }
        // `jiffies` starts 300 s before its lower half wraps.
        let now = (1 << 32) - 300 * hz + self.clock.nanos() / tick;
        let expires = now + ticks;
        let limit = expires + ticks / 256;
        let common = u64::BITS - (expires ^ limit).leading_zeros();
        let set = limit >> (common - 1) << (common - 1);
        (set - now) * tick
    }

    pub(crate) fn wheel_schedule(&mut self, t: u32, timeout: u64) {
        self.tw.wheel.serial += 1;
        let entry = (t, self.tw.wheel.serial);
        self.tw.socks[t].timer = self.tw.wheel.serial;
        let period = self.tw.wheel.period;
        let first = self.tw.count == 0;
        let steps = timeout.div_ceil(self.quantum()) as usize;
        if steps >= ROWS {
            let ahead = if timeout >= period * SLOTS as u64 {
                SLOTS - 1
            } else {
                (timeout.div_ceil(period) as usize).min(SLOTS - 1)
            };
            let cell = (self.tw.wheel.slot + ahead) % SLOTS;
            self.tw.wheel.cells[cell].push(entry);
            self.tw.socks[t].timeout = period * (ahead as u64 + 1);
        } else {
            self.calendar_schedule(entry, steps);
            self.tw.socks[t].timeout = steps as u64 * self.quantum();
        }
        if first {
            self.tw.wheel.timer = self.arm(TimerKind::Wheel, 0, self.slackened(period), 0);
        }
    }

    /// One tick of the wheel (`inet_twdr_hangman`).
    pub(crate) fn wheel_tick(&mut self) {
        self.tw.wheel.timer = 0;
        if self.tw.count == 0 {
            return;
        }
        let slot = self.tw.wheel.slot;
        let entries = std::mem::take(&mut self.tw.wheel.cells[slot]);
        let live: Vec<u32> = entries
            .into_iter()
            .filter(|&e| self.entry_lives(e))
            .map(|e| e.0)
            .collect();
        let over = live.len() >= QUOTA;
        let quick = live.len() >= 2 * QUOTA && self.b.tw_timer() == TwTimer::SlotWheelQuick;
        for t in live {
            self.kill_tw(t);
        }
        if !over {
            self.tw.wheel.slot = (slot + 1) % SLOTS;
        }
        if over || self.tw.count > 0 {
            let delay = if quick { SEC } else { self.tw.wheel.period };
            self.tw.wheel.timer = self.arm(TimerKind::Wheel, 0, self.slackened(delay), 0);
        }
    }

    pub(crate) fn entry_lives(&self, (t, serial): Entry) -> bool {
        self.tw.socks.get(t).is_some_and(|w| w.timer == serial)
    }

    fn calendar_schedule(&mut self, entry: Entry, steps: usize) {
        let q = self.quantum();
        let now = self.clock;
        let row = match self.tw.wheel.base {
            None => {
                self.tw.wheel.hand = 0;
                self.tw.wheel.base = Some(now);
                self.arm_calendar(steps as u64 * q);
                steps
            }
            Some(_) => {
                let sooner = now.after(steps as u64 * q);
                if self.tw.wheel.calendar_timer == 0 || sooner < self.tw.wheel.calendar_due {
                    self.arm_calendar(steps as u64 * q);
                }
                (self.tw.wheel.hand + steps) % ROWS
            }
        };
        self.tw.wheel.rows[row].push(entry);
    }

    fn arm_calendar(&mut self, delay: u64) {
        let delay = self.slackened(delay);
        self.tw.wheel.calendar_due = self.clock.after(delay);
        self.tw.wheel.calendar_timer = self.arm(TimerKind::Calendar, 0, delay, 0);
    }

    /// One tick of the calendar (`inet_twdr_twcal_tick`).
    pub(crate) fn calendar_tick(&mut self) {
        self.tw.wheel.calendar_timer = 0;
        let Some(base) = self.tw.wheel.base else {
            return;
        };
        let q = self.quantum();
        let now = self.clock;
        let hand = self.tw.wheel.hand;
        let mut next = None;
        for j in 0..ROWS {
            let row = (hand + j) % ROWS;
            let at = base.after(j as u64 * q);
            if at <= now {
                for e in std::mem::take(&mut self.tw.wheel.rows[row]) {
                    if self.entry_lives(e) {
                        self.kill_tw(e.0);
                    }
                }
                continue;
            }
            if next.is_none() {
                next = Some((row, at));
            }
            if !self.tw.wheel.rows[row].is_empty() {
                let (hand, base) = next.expect("set above");
                self.tw.wheel.hand = hand;
                self.tw.wheel.base = Some(base);
                self.arm_calendar(at.since(now).max(MS));
                return;
            }
        }
        self.tw.wheel.base = None;
    }
}
