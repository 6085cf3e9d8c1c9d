//! The measured calls, in rounds that leave the machine as it was: "at 90 %" stays at 90 %.

use super::{Bench, RANGE, destination, share};
use fourtuple_kernel::SockId;

/// One kernel of each way in which connect() searches.
pub(crate) const KERNELS: [&str; 3] = ["rhel-6.5", "linux-4.4", "linux-6.18"];

/// The percentages of the range that are taken.
pub(crate) const FILLED: [usize; 5] = [0, 50, 90, 99, 100];

/// The calls of a round. One percent of the range is more than that.
pub(crate) const ROUND: usize = 64;

/// The measured call, and the calls that have filled the range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// connect() to where all others are connected.
    ConnectOne,
    /// connect() to one more destination, where each port in use is connected to so many.
    ConnectAnother(usize),
    /// connect() where bind() has taken the ports, so that it may not use them.
    ConnectPoisoned,
    /// bind() to port 0.
    Bind,
    /// close() of a connection, which leaves a TIME-WAIT socket. The connections of the round fill
    /// a full range.
    Close,
    /// The end of a TIME-WAIT socket, likewise.
    Expiry,
}

/// A machine on which one call is measured.
#[derive(Clone)]
pub(crate) struct Rounds {
    bench: Bench,
    act: Act,
    socks: Vec<SockId>,
}

impl Rounds {
    /// A machine on which this percentage of the range is taken.
    pub(crate) fn new(act: Act, kernel: &str, filled: usize) -> Self {
        let ports = share(filled);
        let bench = match act {
            Act::ConnectOne => Bench::connected(kernel, ports, 1),
            Act::ConnectAnother(others) => Bench::connected(kernel, ports * others, others),
            Act::ConnectPoisoned | Act::Bind => Bench::poisoned(kernel, ports),
            Act::Close | Act::Expiry => Bench::connected(kernel, ports.min(RANGE - ROUND), 1),
        };
        Self::on(bench, act)
    }

    /// The same on a given machine.
    pub(crate) fn on(bench: Bench, act: Act) -> Self {
        let socks = Vec::with_capacity(ROUND);
        Rounds { bench, act, socks }
    }

    /// Prepares this many calls, at most a round.
    pub(crate) fn before(&mut self, calls: usize) {
        if !matches!(self.act, Act::Close | Act::Expiry) {
            return;
        }
        for _ in 0..calls {
            let made = self.bench.connect(destination(0));
            self.socks.push(made.expect("there is a port"));
        }
        if self.act == Act::Expiry {
            self.close();
        }
    }

    /// Makes the calls: the measured part.
    pub(crate) fn calls(&mut self, calls: usize) {
        match self.act {
            Act::ConnectOne | Act::ConnectPoisoned => self.connect(calls, 0),
            Act::ConnectAnother(others) => self.connect(calls, others),
            Act::Bind => {
                for _ in 0..calls {
                    self.socks.extend(self.bench.bind());
                }
            }
            Act::Close => self.close(),
            Act::Expiry => self.expire(),
        }
    }

    /// Undoes the calls, so that the machine is as it was.
    pub(crate) fn after(&mut self) {
        match self.act {
            Act::ConnectOne | Act::ConnectAnother(_) | Act::ConnectPoisoned => {
                for sock in self.socks.drain(..) {
                    self.bench.abort(sock);
                }
            }
            Act::Bind => {
                for sock in self.socks.drain(..) {
                    self.bench.machine.close(sock);
                }
            }
            Act::Close => self.expire(),
            Act::Expiry => {}
        }
    }

    fn connect(&mut self, calls: usize, to: usize) {
        for _ in 0..calls {
            self.socks.extend(self.bench.connect(destination(to)));
        }
    }

    fn close(&mut self) {
        for sock in self.socks.drain(..) {
            self.bench.close(sock);
        }
    }

    /// Two turns of the wheel of old kernels pass.
    fn expire(&mut self) {
        let over = self.bench.machine.now().after(120_000_000_000);
        self.bench.machine.advance(over);
    }
}
