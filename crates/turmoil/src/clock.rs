//! The clock of a simulation, and who waits for it.
//!
//! It shows turmoil's time. An engine that knows that nothing is under way may move it ahead to
//! the next moment at which somebody wants to be woken: turmoil itself would tick through every
//! millisecond of a TIME-WAIT. An engine in whose network packets take no time sets the clock
//! altogether.

use crate::network::lock;
use std::collections::BTreeSet;
use std::future::pending;
use std::sync::Mutex;
use std::time::Duration;
use tokio::sync::Notify;

/// turmoil's smallest step, to which the clock is moved.
const TICK: Duration = Duration::from_millis(1);

/// What the clock follows.
#[derive(Clone, Copy, Debug)]
enum Pace {
    /// turmoil's time, and this much that was skipped.
    Turmoil { skipped: Duration },
    /// Somebody who sets it.
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
    /// When somebody was last at work.
    active: Duration,
    /// When somebody wants to be woken; the numbers tell sleepers apart.
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

    /// The time since the start of the simulation. None outside a running host, unless the clock
    /// is set.
    pub(crate) fn elapsed(&self) -> Option<Duration> {
        lock(&self.inner).now()
    }

    /// The same, noting that somebody is at work.
    pub(crate) fn touch(&self) -> Option<Duration> {
        let mut inner = lock(&self.inner);
        let now = inner.now()?;
        inner.active = now;
        Some(now)
    }

    /// Notes that something happens at `now` from outside all hosts.
    pub(crate) fn note(&self, now: Duration) {
        lock(&self.inner).active = now;
    }

    /// Sets the clock, which from now on follows nobody else. Nobody is woken.
    pub(crate) fn set(&self, at: Duration) {
        lock(&self.inner).pace = Pace::Set(at);
    }

    /// Whether somebody sets the clock: how long a packet is under way then says nothing.
    pub(crate) fn is_set(&self) -> bool {
        matches!(lock(&self.inner).pace, Pace::Set(_))
    }

    /// Sleeps until the clock shows `at`; for ever where it is set by somebody, or without a time.
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

    /// What the clock shows when turmoil's time is `turmoil`.
    pub(crate) fn at(&self, turmoil: Duration) -> Duration {
        match lock(&self.inner).pace {
            Pace::Turmoil { skipped } => turmoil + skipped,
            Pace::Set(at) => at,
        }
    }

    /// Moves the clock ahead to the next deadline, or to `event` if that comes first, when nobody
    /// has been at work for as long as `settled`. `turmoil` is turmoil's time.
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
        // The step that comes now takes a tick itself; whole ticks keep the clock on turmoil's grid.
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

/// Whether anything is left to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Idle {
    /// Something is, or may be.
    No,
    /// Nothing is under way and nobody waits for a time.
    ForEver,
}

/// Somebody who wants to be woken.
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

/// turmoil's clock; none where it would fall back to the wall clock.
fn turmoil_elapsed() -> Option<Duration> {
    tokio::runtime::Handle::try_current().ok()?;
    turmoil::sim_elapsed()
}
