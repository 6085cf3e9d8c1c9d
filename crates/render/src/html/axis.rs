//! The time axis of the pictures: a fixed step for each event, and room for the time that passes
//! between two of them.

/// Width that the whole duration takes besides the steps.
const DURATION: u64 = 480;

/// Places of events along the axis.
pub(super) struct Axis {
    step: usize,
    at: Vec<u64>,
}

impl Axis {
    /// An axis for events at these times, in order.
    pub(super) fn new(step: usize, at: Vec<u64>) -> Self {
        Axis { step, at }
    }

    /// The left edge of the n-th event. The edge after the last one is the end of the axis.
    pub(super) fn x(&self, n: usize) -> usize {
        let first = self.at.first().copied().unwrap_or(0);
        let last = self.at.last().copied().unwrap_or(0);
        let whole = u128::from(last.saturating_sub(first)).max(1);
        let here = self.at.get(n).copied().unwrap_or(last);
        let passed = u128::from(here.saturating_sub(first)) * u128::from(DURATION) / whole;
        self.step * n + usize::try_from(passed).unwrap_or(0)
    }

    /// The width of the whole axis.
    pub(super) fn width(&self) -> usize {
        self.x(self.at.len())
    }

    /// The width of the n-th event, up to the next one.
    pub(super) fn width_of(&self, n: usize) -> usize {
        self.x(n + 1) - self.x(n)
    }

    /// Events whose time gets a label: the first of each time, none closer to the one before it
    /// than a label is wide, and none that would be cut off at the right edge.
    pub(super) fn labels(&self) -> Vec<(usize, u64)> {
        let mut kept: Vec<(usize, u64)> = vec![(0, self.at.first().copied().unwrap_or(0))];
        for n in 1..self.at.len() {
            let room = kept
                .last()
                .is_none_or(|last| self.x(n) - self.x(last.0) >= 64);
            if self.at[n] > self.at[n - 1] && room {
                kept.push((n, self.at[n]));
            }
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_minute_is_wide_and_an_instant_is_not() {
        let second = 1_000_000_000;
        let axis = Axis::new(10, vec![0, 0, 60 * second, 61 * second]);
        assert_eq!(axis.width_of(0), 10);
        assert!(axis.width_of(1) > 400);
        assert!(axis.width_of(2) < 30);
        assert_eq!(axis.width(), 10 * 4 + 480);
    }

    #[test]
    fn without_time_only_steps_are_left() {
        let axis = Axis::new(10, vec![5; 3]);
        assert_eq!((axis.x(2), axis.width()), (20, 30));
        assert_eq!(axis.labels(), [(0, 5)]);
    }
}
