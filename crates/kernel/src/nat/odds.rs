//! The probability that the search of one SYN finds no port.

use super::select::{ATTEMPTS, LAST_ROUND, port_at};

/// Starts of a round: 16 random bits.
const STARTS: u32 = 1 << 16;

/// The probability that the search since 5.0 finds no port of `low..=high`, where `taken` says
/// which ports are taken towards the destination and not in a closing flow.
///
/// The rounds begin at independent random numbers, so that the probability is the product of those
/// of the rounds: the share of starts after which all ports of the round are taken. It is exact.
///
/// ```
/// use fourtuple_kernel::nat::loss_probability;
///
/// // Clients whose ports come from 32768-60999 have kept 28,232 of 64,512 ports: 44 %.
/// let block = loss_probability(1024, 65535, |port| (32768..=60999).contains(&port));
/// assert!((block - 0.0147).abs() < 0.0001);
/// // The same number of ports, all even: none is lost.
/// assert_eq!(loss_probability(1024, 65535, |port| port % 2 == 0), 0.0);
/// ```
#[must_use]
pub fn loss_probability(low: u16, high: u16, taken: impl Fn(u16) -> bool) -> f64 {
    let (low, high) = (low.min(high), low.max(high));
    let size = u32::from(high - low) + 1;
    let taken: Vec<bool> = (low..=high).map(taken).collect();
    let taken_at = |start: u32, i: u32| {
        let port = port_at(low, size, start as u16, i);
        taken[usize::from(port - low)]
    };
    let mut attempts = size.min(ATTEMPTS);
    let mut lost = 1.0;
    loop {
        lost *= round(attempts, &taken_at);
        if lost == 0.0 || attempts >= size || attempts < LAST_ROUND {
            return lost;
        }
        attempts /= 2;
    }
}

/// The share of starts after which all ports of a round are taken.
fn round(attempts: u32, taken_at: &dyn Fn(u32, u32) -> bool) -> f64 {
    // The number of taken ports in a row that end at the last one of the round.
    let mut row = 0u32;
    for i in 0..attempts {
        row = if taken_at(0, i) { row + 1 } else { 0 };
    }
    let mut failing = 0u32;
    for start in 0..STARTS {
        failing += u32::from(row >= attempts);
        row = if taken_at(start + 1, attempts - 1) {
            row + 1
        } else {
            0
        };
    }
    f64::from(failing) / f64::from(STARTS)
}
