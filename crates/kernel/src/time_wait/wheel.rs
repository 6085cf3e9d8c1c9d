//! The entries of the wheel that ended TIME-WAITs before Linux 4.1: eight slots of 7.5 s for
//! ordinary ones, and a calendar of 32 short steps for brief ones.

use crate::time::{SEC, Time};

pub(super) const SLOTS: usize = 8;
pub(super) const ROWS: usize = 32;

/// An entry: a TIME-WAIT socket and the number by which it recognises the entry as its own.
pub(crate) type Entry = (u32, u32);

#[derive(Clone, Debug)]
pub(crate) struct Wheel {
    /// Next slot to be emptied.
    pub(super) slot: usize,
    pub(super) cells: [Vec<Entry>; SLOTS],
    /// Time between ticks: an eighth of TIME-WAIT.
    pub(crate) period: u64,
    pub(crate) timer: u32,
    pub(super) rows: [Vec<Entry>; ROWS],
    pub(super) hand: usize,
    /// Time of the row under the hand; `None` while the calendar is empty.
    pub(super) base: Option<Time>,
    pub(crate) calendar_timer: u32,
    /// When that timer fires.
    pub(super) calendar_due: Time,
    pub(super) serial: u32,
}

impl Wheel {
    /// The time of one round: the length of an ordinary TIME-WAIT.
    pub(crate) fn round(&self) -> u64 {
        self.period * SLOTS as u64
    }

    /// The state that later behaviour depends on, besides the timers: slots and rows of live
    /// entries.
    pub(crate) fn fingerprint(
        &self,
        lives: impl Fn(Entry) -> bool,
        identity: impl Fn(u32) -> u64,
    ) -> Vec<u64> {
        let mut words = vec![
            self.slot as u64,
            self.hand as u64,
            self.base.map_or(u64::MAX, |b| b.0),
        ];
        for (n, list) in self.cells.iter().chain(&self.rows).enumerate() {
            let mut cell: Vec<u64> = list
                .iter()
                .filter(|e| lives(**e))
                .map(|e| identity(e.0))
                .collect();
            cell.sort_unstable();
            words.push(n as u64);
            words.extend(cell);
        }
        words
    }
}

impl Default for Wheel {
    fn default() -> Self {
        Wheel {
            slot: 0,
            cells: Default::default(),
            period: 60 * SEC / SLOTS as u64,
            timer: 0,
            rows: Default::default(),
            hand: 0,
            base: None,
            calendar_timer: 0,
            calendar_due: Time::ZERO,
            serial: 0,
        }
    }
}
