//! The order in which a search of connect() visits ports (`__inet_hash_connect`).

use crate::chooser::Chooser;
use crate::port::set::{Run, runs_by_one, runs_by_two};
use crate::profile::behaviour::ConnectScan;

/// The start of a search, and the cell that remembers it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start {
    pub(super) cell: Option<u32>,
    pub(super) offset: u32,
    /// The search steps over one port after the other where others step over two.
    pub(super) by_one: bool,
    /// The distance between two candidates where `ip_local_port_step_width` sets one.
    pub(super) width: Option<u32>,
}

/// The order in which a search visits the ports of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    pub(super) passes: Passes,
    /// Steps that the first port of a pass counts, and each further one.
    pub(super) first: u32,
    pub(super) step: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Passes {
    /// One pass or two; a second one may be empty.
    Runs([[Run; 2]; 2]),
    /// From a start so high that the kernel's 32-bit sum wraps inside the search, and the order
    /// jumps.
    Wrapping { low: u16, n: u32, base: u32 },
    /// With `ip_local_port_step_width`: a pass, or two of them, whose candidates are `width` ports
    /// apart.
    Wide {
        low: u16,
        n: u32,
        offset: u32,
        width: u32,
    },
}

impl Order {
    /// The order of a search from `start` over `low..=high`.
    pub(crate) fn new(scan: ConnectScan, low: u16, high: u16, start: Start) -> Order {
        let n = u32::from(high - low) + 1;
        let order = |passes, first, step| Order {
            passes,
            first,
            step,
        };
        let by_one = |base: u32, first: u32| {
            let passes = if base.checked_add(n).is_none() {
                Passes::Wrapping { low, n, base }
            } else {
                Passes::Runs([runs_by_one(low, high, (base + first) % n), [Run::EMPTY; 2]])
            };
            order(passes, first, 1)
        };
        match scan {
            ConnectScan::FromNext => by_one(start.offset, 1),
            ConnectScan::EvenStart => by_one(start.offset & !1, 0),
            ConnectScan::Parity if start.by_one => match start.width {
                Some(width) => {
                    let offset = start.offset % n;
                    order(wide(low, n, offset, width), 0, 1)
                }
                None => by_one(start.offset % n, 0),
            },
            ConnectScan::Parity => {
                let rem = if n > 1 { n & !1 } else { n };
                let even = (start.offset % rem) & !1;
                if let Some(width) = start.width {
                    return order(wide(low, n, even, width), 0, 2);
                }
                let pass = |offset| runs_by_two(low, high, offset, rem);
                let second = if rem > 1 {
                    pass(even + 1)
                } else {
                    [Run::EMPTY; 2]
                };
                order(Passes::Runs([pass(even), second]), 0, 2)
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn from_offset(scan: ConnectScan, low: u16, high: u16, offset: u32) -> Order {
        let start = Start {
            cell: None,
            offset,
            by_one: false,
            width: None,
        };
        Order::new(scan, low, high, start)
    }

    /// The ports in this order, each with the steps that it counts.
    pub(super) fn steps(&self) -> impl Iterator<Item = (u16, u32)> {
        let (first, step) = (self.first, self.step);
        let (runs, wrapping, wide) = match &self.passes {
            Passes::Runs(passes) => (&passes[..], None, None),
            Passes::Wrapping { low, n, base } => (&[][..], Some((*low, *n, *base)), None),
            Passes::Wide {
                low,
                n,
                offset,
                width,
            } => (&[][..], None, Some((*low, *n, *offset, *width))),
        };
        let by_runs = runs.iter().flat_map(move |pass| {
            let ports = pass.iter().flat_map(Run::ports);
            ports.zip((first..).step_by(step as usize))
        });
        let literally = wrapping.into_iter().flat_map(move |(low, n, base)| {
            let port = move |k: u32| low + (base.wrapping_add(k) % n) as u16;
            (first..n + first).map(move |k| (port(k), k))
        });
        let widely = wide.into_iter().flat_map(move |(low, n, offset, width)| {
            let rem = n - n % step;
            (0..step).flat_map(move |pass| {
                let next =
                    move |at: &u32| Some(at + width).map(|to| if to >= n { to - rem } else { to });
                let offsets = std::iter::successors(Some(offset + pass), next);
                // What moves the next search is how many were tried, however far apart they were.
                let tries = (0..rem).step_by(step as usize);
                offsets
                    .zip(tries)
                    .map(move |(offset, k)| (low + offset as u16, k))
            })
        });
        by_runs.chain(literally).chain(widely)
    }

    /// The ports in this order.
    pub(crate) fn ports(&self) -> impl Iterator<Item = u16> {
        self.steps().map(|(port, _)| port)
    }

    /// The runs that make up the order, unless it jumps.
    pub(crate) fn runs(&self) -> Option<&[Run]> {
        match &self.passes {
            Passes::Runs(passes) => Some(passes.as_flattened()),
            Passes::Wrapping { .. } | Passes::Wide { .. } => None,
        }
    }
}

fn wide(low: u16, n: u32, offset: u32, width: u32) -> Passes {
    Passes::Wide {
        low,
        n,
        offset,
        width,
    }
}

/// The distance between two candidates of a search with `ip_local_port_step_width`, drawn anew for
/// every search; `most` is the sysctl, and `range` the number of ports that a pass visits. A factor
/// that has no divisor in common with it visits them all.
pub(super) fn draw_width<C: Chooser>(
    chooser: &mut C,
    most: u32,
    range: u32,
    step: u32,
) -> Option<u32> {
    let most = most.min(range);
    if most == 0 || range * step <= 1 {
        return None;
    }
    let mut factor = chooser.step_factor(most);
    while gcd(factor, range) != 1 {
        factor += 1;
        if factor.is_multiple_of(2) && range.is_multiple_of(2) {
            factor += 1;
        }
        if factor > most {
            factor = 1;
        }
    }
    Some(factor * step)
}

fn gcd(a: u32, b: u32) -> u32 {
    match b {
        0 => a,
        _ => gcd(b, a % b),
    }
}
