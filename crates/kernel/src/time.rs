//! Virtual time: nanoseconds of a machine's monotonic clock.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// A point on a machine's monotonic clock, in nanoseconds since its boot.
///
/// ```
/// use fourtuple_kernel::Time;
/// use std::time::Duration;
///
/// let later = Time::from_millis(100) + Duration::from_secs(60);
/// assert_eq!(later.nanos(), 60_100_000_000);
/// assert_eq!(later - Time::from_millis(100), Duration::from_secs(60));
/// assert_eq!(Time::ZERO - later, Duration::ZERO);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(pub u64);

/// A millisecond in nanoseconds.
pub const MS: u64 = 1_000_000;
/// A second in nanoseconds.
pub const SEC: u64 = 1_000_000_000;

impl Time {
    /// The instant of boot.
    pub const ZERO: Time = Time(0);

    /// The point this many milliseconds after boot.
    #[must_use]
    pub const fn from_millis(ms: u64) -> Self {
        Time(ms * MS)
    }

    /// Nanoseconds since boot.
    #[must_use]
    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// The later point that is `nanos` nanoseconds away, saturating.
    #[must_use]
    pub const fn after(self, nanos: u64) -> Self {
        Time(self.0.saturating_add(nanos))
    }

    /// Nanoseconds since `earlier`, 0 if that is later.
    #[must_use]
    pub const fn since(self, earlier: Time) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Time {
    type Output = Time;
    fn add(self, d: Duration) -> Time {
        self.after(u64::try_from(d.as_nanos()).unwrap_or(u64::MAX))
    }
}

impl Sub for Time {
    type Output = Duration;
    fn sub(self, earlier: Time) -> Duration {
        Duration::from_nanos(self.since(earlier))
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}s", self.0 / SEC, self.0 % SEC)
    }
}
