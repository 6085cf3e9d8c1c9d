//! The time that a connection waits for a peer that does not answer.
//!
//! Unacknowledged segments are repeated until `tcp_retries2` or `TCP_USER_TIMEOUT` ends
//! the connection, or `tcp_orphan_retries` if no program owns it any more. Keepalive probes ask a
//! peer that has been silent for long.

use super::options::Kept;
use crate::config::Linux;
use fourtuple_kernel::time::{MS, SEC};

/// `TCP_RTO_MIN`
const RTO_MIN: u64 = 200 * MS;
/// `TCP_RTO_MAX`
const RTO_MAX: u64 = 120 * SEC;
/// The retransmissions of an orphan if `tcp_orphan_retries` is 0.
const ORPHAN_RETRIES: u64 = 8;

/// The sysctls of a network namespace, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// The time of `tcp_retries2` retransmissions.
    pub(crate) owned: u64,
    /// The time of `tcp_orphan_retries` retransmissions.
    pub(crate) orphan: u64,
    keepalive: Keepalive,
}

/// `tcp_keepalive_time`, `tcp_keepalive_intvl` and `tcp_keepalive_probes`, or the options of a
/// socket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keepalive {
    pub(crate) idle: u64,
    interval: u64,
    probes: u64,
}

/// The time until a number of retransmissions is over (`tcp_model_timeout`): each timeout is twice
/// the one before, up to [`RTO_MAX`].
fn retransmitting(retries: u64) -> u64 {
    let doubling = u64::from((RTO_MAX / RTO_MIN).ilog2());
    let doubled = retries.min(doubling);
    let slow = (retries - doubled).saturating_mul(RTO_MAX);
    (((2 << doubled) - 1) * RTO_MIN).saturating_add(slow)
}

impl Patience {
    pub(crate) fn of(linux: &Linux) -> Self {
        let value = |name: &str| {
            let written = linux.written(&format!("net.ipv4.{name}"))?;
            written.trim().parse::<u64>().ok()
        };
        let orphan = value("tcp_orphan_retries").unwrap_or(0);
        let seconds = |name, default| value(name).unwrap_or(default).saturating_mul(SEC);
        Patience {
            owned: retransmitting(value("tcp_retries2").unwrap_or(15)),
            orphan: retransmitting(if orphan == 0 { ORPHAN_RETRIES } else { orphan }),
            keepalive: Keepalive {
                idle: seconds("tcp_keepalive_time", 7200),
                interval: seconds("tcp_keepalive_intvl", 75),
                probes: value("tcp_keepalive_probes").unwrap_or(9),
            },
        }
    }

    /// The keepalive times of a socket.
    pub(crate) fn keepalive(&self, kept: &Kept) -> Keepalive {
        let seconds = |option: Option<u32>, sysctl| option.map_or(sysctl, |s| u64::from(s) * SEC);
        Keepalive {
            idle: seconds(kept.keep_idle, self.keepalive.idle),
            interval: seconds(kept.keep_interval, self.keepalive.interval),
            probes: kept.keep_probes.map_or(self.keepalive.probes, u64::from),
        }
    }

    /// The time after which an owned connection is given up; `is_probe` if what is not acknowledged
    /// is a keepalive probe.
    pub(crate) fn of_socket(&self, kept: &Kept, is_probe: bool) -> u64 {
        match kept.user_timeout {
            Some(timeout) => timeout,
            None if is_probe => {
                let keepalive = self.keepalive(kept);
                keepalive.interval.saturating_mul(keepalive.probes)
            }
            None => self.owned,
        }
    }

    /// The shortest time after which any connection is given up, for sockets without options.
    pub(crate) fn shortest(&self) -> u64 {
        self.owned.min(self.orphan)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retransmissions_last_as_long_as_linux_documents() {
        assert_eq!(retransmitting(15), 924_600 * MS);
        assert_eq!(retransmitting(ORPHAN_RETRIES), 102_200 * MS);
        assert_eq!(retransmitting(0), RTO_MIN);
    }

    #[test]
    fn sysctls_change_the_times() {
        let linux = Linux::default()
            .sysctl("net.ipv4.tcp_retries2", "3")
            .unwrap();
        assert_eq!(Patience::of(&linux).owned, 3 * SEC);
        assert_eq!(Patience::of(&linux).shortest(), 3 * SEC);
    }
}
