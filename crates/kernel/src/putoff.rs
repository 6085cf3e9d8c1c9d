//! TIME-WAITs of which it does not matter yet whether the kernel has a wheel for them.
//!
//! Before Linux 4.1 the machine's wheel ends TIME-WAITs, afterwards each has a timer of its own. Nobody sees which as long as none
//! has ended, and again once all have. Until then they sleep, on every kernel; a kernel with a wheel enters them there when time
//! stops in between.

use crate::chooser::Chooser;
use crate::machine::Machine;
use crate::profile::behaviour::Place;
use crate::sleepers::lateness;
use crate::time::Time;
use crate::wheel::{LONGEST_CALENDAR, SLOTS};

/// What a wheel hangs on that has not been asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PutOff {
    /// A wheel would have been started at the first time, by the first of them; the last of them came at the second.
    Since(Time, Time),
    /// It matters whether there is a wheel.
    Never,
}

impl Default for PutOff {
    fn default() -> Self {
        // As if the machine had just booted: nobody sleeps.
        PutOff::Since(Time::ZERO, Time::ZERO)
    }
}

impl<C: Chooser> Machine<C> {
    /// Whether the wheel ends TIME-WAITs (`inet_twsk_schedule` before 4.1).
    pub(crate) fn has_wheel(&mut self) -> bool {
        self.settle_put_off();
        !self.b.has(Place::tw_timer)
    }

    /// Whether it can stay open what ends a stand-in of this length, in nanoseconds: one that goes once around the wheel.
    pub(crate) fn may_put_off(&self, timeout: u64) -> bool {
        matches!(self.put_off, PutOff::Since(..))
            && timeout > LONGEST_CALENDAR
            && timeout == self.wheel.period * SLOTS as u64
            // A follower compares states.
            && self.chooser.slack() == 0
    }

    /// Lets a stand-in sleep. Its machine has not counted it yet.
    pub(crate) fn put_off(&mut self, t: u32, timeout: u64) -> u32 {
        if let PutOff::Since(start, last) = &mut self.put_off {
            // A wheel without stand-ins stops, and starts with the next.
            if self.tw_count == 0 {
                *start = self.clock;
            }
            *last = self.clock;
        }
        self.sleep(t, timeout)
    }

    /// Whether a stand-in may have ended by then on a kernel with a wheel and not on one without, or the other way round. The one
    /// that would have started the wheel sleeps until then, even if its stand-in is gone.
    pub(crate) fn parts_by(&self, now: Time) -> bool {
        let PutOff::Since(start, last) = self.put_off else {
            return false;
        };
        let timeout = self.wheel.period * SLOTS as u64;
        let some_may_have = self.tw_count > 0 && start.after(timeout) <= now;
        // A wheel ends those of one slot together.
        let one_slot = last < start.after(self.wheel.period);
        let all_have = one_slot && last.after(timeout + lateness(timeout)) <= now;
        some_may_have && !all_have
    }

    /// From now on it matters whether there is a wheel: if so, the sleepers are where they would be on it.
    pub(crate) fn settle_put_off(&mut self) {
        let PutOff::Since(start, _) = std::mem::replace(&mut self.put_off, PutOff::Never) else {
            return;
        };
        if self.sleepers.first().is_none() || self.b.has(Place::tw_timer) {
            return;
        }
        let mut entries = Vec::new();
        while let Some(sleeper) = self.sleepers.pop() {
            if self.sleeps(&sleeper) {
                entries.push(sleeper.target);
            }
        }
        self.wheel_catch_up(start, &entries);
    }
}

#[cfg(test)]
mod tests {
    use crate::profile::Behaviours;
    use crate::time::{MS, SEC};
    use crate::visits::{Client, behaviours};

    /// Visits, and what passes after them, in milliseconds: single ones, more than a wheel ends at a time, ones that come with a
    /// tick, and pauses after which nothing is left.
    const DAYS: [&[(u64, u64)]; 5] = [
        &[
            (1, 7_500),
            (1, 7_500),
            (1, 44_999),
            (1, 1),
            (0, 7_499),
            (0, 1),
        ],
        &[
            (300, 6_000),
            (250, 9_000),
            (150, 45_000),
            (5, 500),
            (0, 7_000),
            (40, 80_000),
        ],
        &[
            (205, 80_000),
            (1, 3_000),
            (205, 59_000),
            (0, 1_000),
            (0, 1_000),
            (0, 1_000),
        ],
        &[
            (3, 69_000),
            (2, 60_000),
            (0, 7_500),
            (1, 1_000),
            (1, 66_000),
            (1, 70_000),
        ],
        &[
            (101, 52_500),
            (1, 7_500),
            (1, 7_500),
            (1, 7_500),
            (1, 7_500),
            (1, 37_500),
        ],
    ];

    #[test]
    fn a_wheel_that_starts_late_ends_them_like_one_that_was_always_there() {
        for kernel in [
            "rhel-6.5",
            "linux-3.10",
            "rhel-7.7",
            "linux-4.4",
            "debian-12",
        ] {
            for day in DAYS {
                let mut late = Client::new(behaviours(kernel));
                let mut always = Client::new(behaviours(kernel));
                always.machine.settle_put_off();
                // On the second day something has happened before.
                for (step, &(visits, millis)) in day.iter().chain(day).enumerate() {
                    for client in [&mut late, &mut always] {
                        client.visit(visits);
                        client.pass(millis * MS);
                        client.machine.assert_invariants();
                    }
                    let seen = |c: &Client| c.machine.sockets(c.ns);
                    assert_eq!(
                        seen(&late),
                        seen(&always),
                        "{kernel}, step {step} of {day:?}"
                    );
                }
                assert_eq!(late.machine.next_event(), always.machine.next_event());
            }
        }
    }

    #[test]
    fn a_wheel_matters_only_while_some_have_ended() {
        let (with, without) = (behaviours("linux-3.10"), behaviours("linux-4.4"));
        let other = Behaviours {
            tw_timer: without.tw_timer,
            ..with
        };
        let alike = |jumps: &[u64]| {
            let mut client = Client::new(with);
            for jump in jumps {
                client.visit(3);
                client.pass(jump * SEC);
            }
            with.alike(&other, client.machine.asked())
        };
        assert!(alike(&[20, 39]), "none has ended");
        assert!(!alike(&[20, 41]), "some have");
        assert!(!alike(&[20, 80]), "a wheel may have been slow");
        assert!(alike(&[7, 70, 59]), "all have ended on every kernel");
        assert!(!alike(&[7, 61]), "some on one kernel, all on another");
    }
}
