//! Time stamps of all styles on one axis.

use super::line::Stamp;

const DAY: u64 = 86_400_000_000;
/// Stamps below this, in microseconds, are not times since the epoch: `-r` prints the time since
/// the previous line.
const SHORT: u64 = 100_000_000 * 1_000_000;

/// Converts time stamps to microseconds since an arbitrary origin.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clock {
    relative: bool,
    days: u64,
    last: u64,
}

impl Clock {
    /// Detects the style of the stamps. They are relative if they begin at zero, or are small and
    /// not monotonic.
    pub(super) fn of(stamps: impl Iterator<Item = Stamp>) -> Self {
        let mut last = None;
        for stamp in stamps {
            let Stamp::Seconds(now) = stamp else {
                return Self::default();
            };
            if now >= SHORT {
                return Self::default();
            }
            if last.is_none_or(|last| now < last) && (last.is_some() || now == 0) {
                return Self {
                    relative: true,
                    ..Self::default()
                };
            }
            last = Some(now);
        }
        Self::default()
    }

    /// The time of the next line.
    pub(super) fn read(&mut self, stamp: Stamp) -> u64 {
        let now = match stamp {
            Stamp::Seconds(passed) if self.relative => self.last.saturating_add(passed),
            Stamp::Seconds(now) | Stamp::Date(now) => now,
            Stamp::Clock(time) => {
                let now = time.saturating_add(self.days);
                // Lines of several tasks may be slightly out of order; a step back by half a day is
                // midnight.
                if now.saturating_add(DAY / 2) < self.last {
                    self.days = self.days.saturating_add(DAY);
                }
                time.saturating_add(self.days)
            }
        };
        self.last = now;
        now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(stamps: &[Stamp]) -> Vec<u64> {
        let mut clock = Clock::of(stamps.iter().copied());
        stamps.iter().map(|stamp| clock.read(*stamp)).collect()
    }

    #[test]
    fn midnight_is_passed() {
        let times = read(&[
            Stamp::Clock(DAY - 5),
            Stamp::Clock(DAY - 6),
            Stamp::Clock(5),
        ]);
        assert_eq!(times, [DAY - 5, DAY - 6, DAY + 5]);
    }

    #[test]
    fn relative_times_are_summed() {
        let seconds =
            |all: &[u64]| read(&all.iter().map(|n| Stamp::Seconds(*n)).collect::<Vec<_>>());
        assert_eq!(
            seconds(&[0, 100, 70_000_000, 100]),
            [0, 100, 70_000_100, 70_000_200]
        );
        assert_eq!(seconds(&[1_000, 2_000, 3_000]), [1_000, 2_000, 3_000]);
        let epoch = 1_700_000_000_000_000;
        assert_eq!(seconds(&[epoch + 5, epoch]), [epoch + 5, epoch]);
    }
}
