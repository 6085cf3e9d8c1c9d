//! Time stamps of all styles on one axis.

use super::line::Stamp;

const DAY: u64 = 86_400_000_000;
/// Stamps below this, in microseconds, are not times since the epoch: `-r` prints the time since
/// the previous line, bpftrace the time since boot.
const SHORT: u64 = 100_000_000 * 1_000_000;

/// Converts time stamps to microseconds since an arbitrary origin.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clock {
    relative: bool,
    /// `true` for times since boot, which may be out of order: bpftrace writes the lines of each
    /// processor in turn.
    pub(super) unordered: bool,
    days: u64,
    last: u64,
}

impl Clock {
    /// Detects the style of the stamps. Small ones that fall are relative if they begin at zero or
    /// differ much, and otherwise times since boot that are out of order.
    pub(super) fn of(stamps: impl Iterator<Item = Stamp>) -> Self {
        let mut last = None;
        let (mut least, mut most, mut falls) = (u64::MAX, 0, false);
        for stamp in stamps {
            let Stamp::Seconds(now) = stamp else {
                return Self::default();
            };
            if now >= SHORT {
                return Self::default();
            }
            falls |= last.is_none_or(|last| now < last) && (last.is_some() || now == 0);
            (least, most) = (least.min(now), most.max(now));
            last = Some(now);
        }
        let relative = falls && (least < most / 2 || most == 0);
        Self {
            relative,
            unordered: last.is_some() && !relative,
            ..Self::default()
        }
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
        assert_eq!(seconds(&[5, 900, 20]), [5, 905, 925]);
        let boot = 31_000_000_000;
        assert_eq!(seconds(&[boot + 5, boot]), [boot + 5, boot]);
        let epoch = 1_700_000_000_000_000;
        assert_eq!(seconds(&[epoch + 5, epoch]), [epoch + 5, epoch]);
    }
}
