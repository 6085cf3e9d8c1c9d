//! The sysctls of connection tracking.

use super::tcp::TcpState;
use crate::Errno;
use crate::time::SEC;

/// The values of `net.netfilter.*` that decide about flows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// `nf_conntrack_tcp_timeout_*`, in nanoseconds, in the order of the states.
    timeouts: [u64; TcpState::ALL.len()],
    /// `nf_conntrack_tcp_timeout_unacknowledged`, in nanoseconds.
    pub(crate) unacknowledged: u64,
    /// `nf_conntrack_tcp_loose`
    pub(crate) loose: bool,
    /// `nf_conntrack_max`; 0 is no limit.
    pub(crate) most: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            timeouts: TcpState::ALL.map(|state| state.timeout().1),
            unacknowledged: 300 * SEC,
            loose: true,
            most: 262_144,
        }
    }
}

/// The names of the sysctls, without the part before the last dot.
const MAX: &str = "nf_conntrack_max";
const LOOSE: &str = "nf_conntrack_tcp_loose";
const TIMEOUT: &str = "nf_conntrack_tcp_timeout_";
const UNACKNOWLEDGED: &str = "unacknowledged";

/// The states whose timeout has a sysctl: all but SYN_SENT2, which comes last.
const SET: &[TcpState] = TcpState::ALL.split_at(TcpState::ALL.len() - 1).0;

/// A sysctl that decides about the flows of a NAT host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Timeout(usize),
    Unacknowledged,
    Loose,
    Most,
}

impl Key {
    fn parse(name: &str) -> Option<Key> {
        let key = match name.split_once('.')? {
            ("net", "nf_conntrack_max") => return Some(Key::Most),
            ("net", rest) => rest.strip_prefix("netfilter.")?,
            _ => return None,
        };
        match key {
            MAX => Some(Key::Most),
            LOOSE => Some(Key::Loose),
            _ => match key.strip_prefix(TIMEOUT)? {
                UNACKNOWLEDGED => Some(Key::Unacknowledged),
                state => SET
                    .iter()
                    .position(|one| one.timeout().0 == state)
                    .map(Key::Timeout),
            },
        }
    }
}

/// Returns `true` if a sysctl decides about the flows of a NAT host.
#[must_use]
pub fn is_nat_sysctl(name: &str) -> bool {
    Key::parse(name).is_some()
}

/// The names of the sysctls that decide about the flows of a NAT host.
#[must_use]
pub fn nat_sysctls() -> Vec<String> {
    let states = SET.iter().map(|state| state.timeout().0);
    let timeouts = states.chain([UNACKNOWLEDGED]);
    let keys = timeouts.map(|state| format!("net.netfilter.{TIMEOUT}{state}"));
    let others = [MAX, LOOSE].map(|key| format!("net.netfilter.{key}"));
    keys.chain(others).collect()
}

impl Settings {
    /// The time for which a flow stays in a state without packets, in nanoseconds.
    pub(crate) fn timeout(&self, state: TcpState) -> u64 {
        self.timeouts[state as usize]
    }

    /// Writes a value as `echo value > /proc/sys/...` does.
    ///
    /// # Errors
    /// `ENOENT` for a key that decides about no flow; `EINVAL` for a value that is no number.
    pub(crate) fn write(&mut self, name: &str, text: &str) -> Result<(), Errno> {
        let key = Key::parse(name).ok_or(Errno::ENOENT)?;
        let value: u32 = text.trim().parse().map_err(|_| Errno::EINVAL)?;
        let time = u64::from(value) * SEC;
        match key {
            Key::Timeout(state) => self.timeouts[state] = time,
            Key::Unacknowledged => self.unacknowledged = time,
            Key::Loose if value > 1 => return Err(Errno::EINVAL),
            Key::Loose => self.loose = value == 1,
            Key::Most => self.most = value,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sysctl_that_is_named_can_be_written() {
        for name in nat_sysctls() {
            assert!(is_nat_sysctl(&name), "{name}");
            let mut settings = Settings::default();
            assert_eq!(settings.write(&name, "0"), Ok(()), "{name}");
            assert_ne!(settings, Settings::default(), "{name}");
            assert_eq!(settings.write(&name, "x"), Err(Errno::EINVAL), "{name}");
        }
        assert!(!is_nat_sysctl("net.netfilter.nf_conntrack_udp_timeout"));
    }
}
