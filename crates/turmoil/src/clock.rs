//! The clock of a simulation, and the tasks that sleep on it.
//!
//! It shows turmoil's time. An engine that knows that no packet is in flight may advance it to the
//! next deadline: turmoil itself would tick through every millisecond of a TIME-WAIT. An engine in
//! whose network packets take no time sets the clock itself.

use std::collections::BTreeSet;
use std::future::pending;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Locks a mutex, even a poisoned one: the state is only ever changed by complete calls.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// turmoil's smallest step; the clock is advanced by multiples of it.
const TICK: Duration = Duration::from_millis(1);

/// The time source of the clock.
#[derive(Clone, Copy, Debug)]
enum Pace {
    /// turmoil's time plus the skipped time.
    Turmoil { skipped: Duration },
    /// A time set by the engine.
    Set(Duration),
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Clock {
    inner: Mutex<Inner>,
    moved: Notify,
}

#[derive(Debug)]
struct Inner {
    pace: Pace,
    /// The time of the last activity.
    active: Duration,
    /// The times of sleeping tasks. The numbers make equal times distinct.
    deadlines: BTreeSet<(Duration, u64)>,
    sleepers: u64,
}

impl Inner {
    fn now(&self) -> Option<Duration> {
        match self.pace {
            Pace::Turmoil { skipped } => Some(turmoil_elapsed()? + skipped),
            Pace::Set(at) => Some(at),
        }
    }
}

impl Clock {
    pub(crate) fn new() -> Self {
        Clock {
            inner: Mutex::new(Inner {
                pace: Pace::Turmoil {
                    skipped: Duration::ZERO,
                },
                active: Duration::ZERO,
                deadlines: BTreeSet::new(),
                sleepers: 0,
            }),
            moved: Notify::new(),
        }
    }

    /// The time since the start of the simulation. `None` outside a running host, unless the clock
    /// is set.
    pub(crate) fn elapsed(&self) -> Option<Duration> {
        lock(&self.inner).now()
    }

    /// Like [`elapsed`](Self::elapsed), and records activity.
    pub(crate) fn touch(&self) -> Option<Duration> {
        let mut inner = lock(&self.inner);
        let now = inner.now()?;
        inner.active = now;
        Some(now)
    }

    /// Records activity from outside all hosts at `now`.
    pub(crate) fn note(&self, now: Duration) {
        lock(&self.inner).active = now;
    }

    /// Sets the clock, which no longer shows turmoil's time from then on. Wakes no task.
    pub(crate) fn set(&self, at: Duration) {
        lock(&self.inner).pace = Pace::Set(at);
    }

    /// `true` if the engine sets the clock. The round-trip time of packets is meaningless then.
    pub(crate) fn is_set(&self) -> bool {
        matches!(lock(&self.inner).pace, Pace::Set(_))
    }

    /// Sleeps until the clock shows `at`. Never returns if the engine sets the clock, or if `at` is
    /// `None`.
    pub(crate) async fn sleep_until(&self, at: Option<Duration>) {
        let Some(at) = at.filter(|_| !matches!(lock(&self.inner).pace, Pace::Set(_))) else {
            return pending().await;
        };
        let _deadline = Deadline::new(self, at);
        loop {
            let moved = self.moved.notified();
            let wait = at.saturating_sub(self.elapsed().unwrap_or(at));
            if wait.is_zero() {
                break;
            }
            tokio::select! {
                biased;
                () = moved => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        self.touch();
    }

    /// Converts turmoil's time to that of this clock.
    pub(crate) fn at(&self, turmoil: Duration) -> Duration {
        match lock(&self.inner).pace {
            Pace::Turmoil { skipped } => turmoil + skipped,
            Pace::Set(at) => at,
        }
    }

    /// Advances the clock to the next deadline, or to `event` if that comes first, after a period
    /// of `settled` without activity. `turmoil` is turmoil's time.
    pub(crate) fn skip(
        &self,
        turmoil: Duration,
        settled: Duration,
        event: Option<Duration>,
    ) -> Idle {
        let mut inner = lock(&self.inner);
        let Pace::Turmoil { skipped } = inner.pace else {
            return Idle::No;
        };
        let now = turmoil + skipped;
        if now < inner.active + settled {
            return Idle::No;
        }
        let deadline = inner.deadlines.first().map(|(at, _)| *at);
        let Some(next) = deadline.into_iter().chain(event).min() else {
            return Idle::ForEver;
        };
        // The next step takes a tick itself; whole ticks keep the clock on turmoil's grid.
        let ticks = next.saturating_sub(now + TICK).as_nanos() / TICK.as_nanos();
        let ticks = u32::try_from(ticks).unwrap_or(u32::MAX);
        if ticks > 0 {
            inner.pace = Pace::Turmoil {
                skipped: skipped + TICK * ticks,
            };
            drop(inner);
            self.moved.notify_waiters();
        }
        Idle::No
    }
}

/// The result of looking for idle time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Idle {
    /// Activity is possible.
    No,
    /// No packet is in flight and no task sleeps.
    ForEver,
}

/// The deadline of a sleeping task, removed on drop.
struct Deadline<'a> {
    clock: &'a Clock,
    at: (Duration, u64),
}

impl<'a> Deadline<'a> {
    fn new(clock: &'a Clock, at: Duration) -> Self {
        let mut inner = lock(&clock.inner);
        inner.sleepers += 1;
        let at = (at, inner.sleepers);
        inner.deadlines.insert(at);
        drop(inner);
        Deadline { clock, at }
    }
}

impl Drop for Deadline<'_> {
    fn drop(&mut self) {
        lock(&self.clock.inner).deadlines.remove(&self.at);
    }
}

/// turmoil's clock; `None` where it would fall back to the wall clock.
fn turmoil_elapsed() -> Option<Duration> {
    tokio::runtime::Handle::try_current().ok()?;
    turmoil::sim_elapsed()
}
