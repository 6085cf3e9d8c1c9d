//! Replacing a TIME-WAIT socket in connect() (`tcp_twsk_unique`).

use crate::chooser::Chooser;
use crate::conn::socket::{PortFrom, Tw};
use crate::profile::behaviour::TwAge;
use crate::tables::Tables;
use crate::time::{MS, SEC};

/// The error of the clock of a recording, in nanoseconds.
pub(crate) const SLACK: u64 = 60 * MS;

/// Returns `true` if `tcp_tw_reuse` lets ephemeral port selection replace any TIME-WAIT socket
/// towards the destination of a socket.
pub(crate) fn selection_may_replace(t: &Tables<'_>, sk: u32) -> bool {
    let s = &t.socks[sk];
    let loopback = || s.rcv_saddr.is_loopback() || s.daddr.is_loopback() || s.dev == 1;
    t.ns.values.reuses_time_waits(t.rules, loopback)
}

/// connect(): may it replace this TIME-WAIT socket?  (`tcp_twsk_unique`)
///
/// The connection must have used timestamps. For a socket that holds the port already that is
/// enough; ephemeral port selection also needs `tcp_tw_reuse` (2, the default of 4.19 and later, is
/// for loopback only) and an age ([`old_enough`]), and from 6.12 on leaves those in FIN-WAIT-2
/// alone.
pub(crate) fn may_replace<C: Chooser>(
    t: &Tables<'_>,
    chooser: &mut C,
    tw: u32,
    from: PortFrom,
) -> bool {
    let w = &t.tws[tw];
    if !w.timestamps {
        return false;
    }
    if from == PortFrom::Socket {
        return !stamp_is_zero(t, chooser, w);
    }
    let loopback = || w.dev == 1 || w.local.is_loopback() || w.remote.is_loopback();
    t.ns.values.reuses_time_waits(t.rules, loopback)
        && !(w.fin_wait2 && t.rules.tw_reuse_not_fin_wait2())
        && !stamp_is_zero(t, chooser, w)
        && old_enough(t, chooser, w)
}

/// On kernels with a monotonic stamp, one from the first second after boot reads as "none".
fn stamp_is_zero<C: Chooser>(t: &Tables<'_>, chooser: &mut C, w: &Tw) -> bool {
    if !t.rules.tw_stamp_monotonic() {
        return false;
    }
    let stamp = w.stamp.nanos();
    let nominal = stamp < SEC;
    if stamp.abs_diff(SEC) <= SLACK + 350 * MS {
        chooser.uncertain(nominal)
    } else {
        nominal
    }
}

/// The age from which ephemeral port selection may replace a TIME-WAIT socket: over one second
/// (4.18 and earlier), in another second (4.19 to 6.13), or after `tcp_tw_reuse_delay`. The chooser
/// decides where the answer depends on the phase of the kernel's seconds or on a tick.
fn old_enough<C: Chooser>(t: &Tables<'_>, chooser: &mut C, w: &Tw) -> bool {
    let now = t.now.nanos();
    let (stamp, entered) = (w.stamp.nanos(), w.entered.nanos());
    let (nominal, certain) = match t.rules.tw_age() {
        // Whole seconds of the wall clock, whose phase cannot be observed.
        TwAge::OverOneSecond => {
            let age = now.saturating_sub(stamp);
            (
                (now / SEC).saturating_sub(stamp / SEC) > 1,
                age + SLACK < SEC || age > 2 * SEC + SLACK,
            )
        }
        TwAge::NextSecond => {
            let early = now.saturating_sub(SLACK) / SEC > stamp.saturating_add(SLACK) / SEC;
            let late = now.saturating_add(SLACK) / SEC > stamp.saturating_sub(SLACK) / SEC;
            (now / SEC > stamp / SEC, early == late)
        }
        TwAge::Millis => {
            let delay = u64::from(t.ns.values.tw_reuse_delay_ms) * MS;
            let age = now.saturating_sub(entered);
            (
                now / MS > entered.saturating_add(delay) / MS,
                age.abs_diff(delay) > SLACK,
            )
        }
    };
    if certain {
        nominal
    } else {
        chooser.uncertain(nominal)
    }
}
