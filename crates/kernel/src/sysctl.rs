//! The sysctls that decide about ports: their values, where they live and what may be written.

use crate::Errno;
use crate::port::set::PortSet;
use crate::profile::behaviour::{Scope, TwAge, TwReuse};
use crate::profile::{Behaviours, TrackedBehaviours};
use crate::time::MS;
use crate::unmodelled;

/// The values that hold in one network namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Values {
    range: (u16, u16),
    pub(crate) reserved: PortSet,
    pub(crate) nonlocal_bind: bool,
    pub(crate) nonlocal_bind6: bool,
    pub(crate) unprivileged_start: u16,
    pub(crate) autobind_reuse: bool,
    tw_reuse: i32,
    pub(crate) tw_reuse_delay_ms: u32,
    pub(crate) tw_recycle: bool,
    pub(crate) timestamps: bool,
    /// Seconds.
    pub(crate) fin_timeout: u32,
    pub(crate) max_tw: u32,
    pub(crate) rfc1337: bool,
    syn_retries: u8,
    somaxconn: u32,
    pub(crate) bindv6only: bool,
    pub(crate) step_width: u32,
    /// Milliseconds.
    pub(crate) rto_max_ms: u32,
    /// `tcp_syn_linear_timeouts`: the repetitions of a SYN that come before their distance
    /// doubles.
    syn_linear: u32,
    /// `disable_ipv6` of all interfaces.
    pub(crate) ipv6_off: bool,
    /// `disable_ipv6` of the loopback interface.
    pub(crate) ipv6_off_on_lo: bool,
    /// Keys that have been written, a bit each. The others have the kernel's default.
    written: u32,
}

/// A sysctl.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Range,
    Reserved,
    NonlocalBind,
    NonlocalBind6,
    UnprivilegedStart,
    AutobindReuse,
    TwReuse,
    TwReuseDelay,
    TwRecycle,
    Timestamps,
    FinTimeout,
    MaxTw,
    Rfc1337,
    SynRetries,
    Somaxconn,
    BindV6Only,
    StepWidth,
    RtoMax,
    SynLinear,
    Ipv6Off,
    Ipv6OffOnLo,
}

const KEYS: &[(&str, Key)] = &[
    ("net.ipv4.ip_local_port_range", Key::Range),
    ("net.ipv4.ip_local_reserved_ports", Key::Reserved),
    ("net.ipv4.ip_nonlocal_bind", Key::NonlocalBind),
    ("net.ipv6.ip_nonlocal_bind", Key::NonlocalBind6),
    (
        "net.ipv4.ip_unprivileged_port_start",
        Key::UnprivilegedStart,
    ),
    ("net.ipv4.ip_autobind_reuse", Key::AutobindReuse),
    ("net.ipv4.tcp_tw_reuse", Key::TwReuse),
    ("net.ipv4.tcp_tw_reuse_delay", Key::TwReuseDelay),
    ("net.ipv4.tcp_tw_recycle", Key::TwRecycle),
    ("net.ipv4.tcp_timestamps", Key::Timestamps),
    ("net.ipv4.tcp_fin_timeout", Key::FinTimeout),
    ("net.ipv4.tcp_max_tw_buckets", Key::MaxTw),
    ("net.ipv4.tcp_rfc1337", Key::Rfc1337),
    ("net.ipv4.tcp_syn_retries", Key::SynRetries),
    ("net.core.somaxconn", Key::Somaxconn),
    ("net.ipv6.bindv6only", Key::BindV6Only),
    ("net.ipv4.ip_local_port_step_width", Key::StepWidth),
    ("net.ipv4.tcp_rto_max_ms", Key::RtoMax),
    ("net.ipv4.tcp_syn_linear_timeouts", Key::SynLinear),
    ("net.ipv6.conf.all.disable_ipv6", Key::Ipv6Off),
    ("net.ipv6.conf.lo.disable_ipv6", Key::Ipv6OffOnLo),
];

/// The default of the range's low end; the high one's is a behaviour.
const LOW: u16 = 32768;

/// Names of all sysctls that the model knows, whether or not a given kernel has them.
#[must_use]
pub fn sysctl_names() -> Vec<&'static str> {
    KEYS.iter().map(|(name, _)| *name).collect()
}

/// Returns `true` if Linux has a sysctl of this name that is not modelled, because no port
/// depends on it.
#[must_use]
pub fn sysctl_has_no_effect(key: &str) -> bool {
    KEYS.iter().all(|(name, _)| *name != key) && unmodelled::has_no_effect(key)
}

/// The scope in which a kernel keeps a sysctl; `None` for a key that the model does not know.
#[must_use]
pub fn sysctl_scope(b: &Behaviours, key: &str) -> Option<Scope> {
    scope_of(&TrackedBehaviours::new(*b), key)
}

pub(crate) fn scope_of(b: &TrackedBehaviours, key: &str) -> Option<Scope> {
    let key = KEYS.iter().find(|(name, _)| *name == key)?.1;
    let when = |present: bool| if present { Scope::Netns } else { Scope::Absent };
    Some(match key {
        Key::Range => b.range_scope(),
        Key::Reserved => b.reserved_ports(),
        Key::NonlocalBind => b.nonlocal_bind_scope(),
        Key::NonlocalBind6 => {
            when(b.v6_foreign_bind() == crate::profile::behaviour::V6Foreign::Sysctl)
        }
        Key::UnprivilegedStart => b.unprivileged_port_scope(),
        Key::AutobindReuse => when(b.autobind_reuse()),
        Key::TwReuse => b.tw_reuse_scope(),
        Key::TwReuseDelay => when(b.tw_age() == TwAge::Millis),
        Key::TwRecycle => b.tw_recycle_scope(),
        Key::Timestamps => b.timestamps_scope(),
        Key::FinTimeout | Key::SynRetries => b.fin_timeout_scope(),
        Key::MaxTw => b.max_tw_scope(),
        Key::Rfc1337 => b.rfc1337_scope(),
        Key::Somaxconn | Key::BindV6Only | Key::Ipv6Off | Key::Ipv6OffOnLo => Scope::Netns,
        Key::StepWidth => when(b.port_step_width()),
        Key::RtoMax => when(b.rto_max_setting()),
        Key::SynLinear => when(b.syn_linear() != 0),
    })
}

/// Returns `true` if a freshly booted kernel has this value already.
#[must_use]
pub fn sysctl_is_default(b: &Behaviours, key: &str, text: &str) -> bool {
    let fresh = Values::defaults(b);
    let mut values = fresh.clone();
    let accepted = values.write(&TrackedBehaviours::new(*b), key, text).is_ok();
    values.written = 0;
    accepted && values == fresh
}

impl Values {
    /// The values of a freshly booted kernel, or of a new namespace.
    pub(crate) fn defaults(b: &Behaviours) -> Self {
        Values {
            range: (LOW, b.range_high),
            reserved: PortSet::default(),
            nonlocal_bind: false,
            nonlocal_bind6: false,
            unprivileged_start: 1024,
            autobind_reuse: false,
            tw_reuse: match b.tw_reuse {
                TwReuse::NonZero => 0,
                TwReuse::Loopback => 2,
            },
            tw_reuse_delay_ms: 1000,
            tw_recycle: false,
            timestamps: true,
            fin_timeout: 60,
            // Half of the established table's buckets: 65536 of them on a machine of a few GiB.
            max_tw: 32768 * 4,
            rfc1337: false,
            syn_retries: if b.syn_rto_ms == 1000 { 6 } else { 5 },
            somaxconn: b.somaxconn,
            bindv6only: false,
            step_width: 0,
            rto_max_ms: 120_000,
            syn_linear: b.syn_linear,
            ipv6_off: false,
            ipv6_off_on_lo: false,
            written: 0,
        }
    }

    fn is_default(&self, key: Key) -> bool {
        self.written >> key as u32 & 1 == 0
    }

    /// `ip_local_port_range`
    pub(crate) fn range(&self, rules: &TrackedBehaviours) -> (u16, u16) {
        if self.is_default(Key::Range) {
            rules.range_high();
        }
        self.range
    }

    /// `tcp_syn_retries`
    pub(crate) fn syn_retries(&self, rules: &TrackedBehaviours) -> u8 {
        if self.is_default(Key::SynRetries) {
            rules.syn_rto_ms();
        }
        self.syn_retries
    }

    /// `tcp_syn_linear_timeouts`
    pub(crate) fn syn_linear(&self, rules: &TrackedBehaviours) -> u32 {
        if self.is_default(Key::SynLinear) {
            rules.syn_linear();
        }
        self.syn_linear
    }

    /// The time until the next repetition of a SYN after `retries` of them, in nanoseconds
    /// (`tcp_retransmit_timer`).
    pub(crate) fn syn_delay_after(&self, rules: &Behaviours, retries: u32) -> u64 {
        let doublings = retries.saturating_sub(self.syn_linear).min(16);
        let delay = (u64::from(rules.syn_rto_ms) * MS) << doublings;
        delay.min(self.rto_max())
    }

    /// The longest distance between two repetitions, in nanoseconds (`tcp_rto_max`).
    fn rto_max(&self) -> u64 {
        u64::from(self.rto_max_ms) * MS
    }

    /// The time after which a SYN with so many repetitions is given up, in nanoseconds
    /// (`tcp_model_timeout`). It does not know of repetitions at equal distance, and ends the
    /// attempt before all of those are made.
    pub(crate) fn syn_time_limit(&self, rules: &Behaviours, limit: u32) -> u64 {
        let first = u64::from(rules.syn_rto_ms) * MS;
        let longest = self.rto_max();
        let doublings = (longest / first).max(1).ilog2();
        let doubled = (2u64 << limit.min(doublings)) - 1;
        doubled * first + u64::from(limit.saturating_sub(doublings)) * longest
    }

    /// The backlog that listen() sets: `somaxconn` at most.
    pub(crate) fn backlog(&self, rules: &TrackedBehaviours, wanted: u32) -> u32 {
        /// The least default of any kernel.
        const LEAST: u32 = 128;
        if self.is_default(Key::Somaxconn) && wanted > LEAST {
            rules.somaxconn();
        }
        wanted.min(self.somaxconn)
    }

    /// Returns `true` if `tcp_tw_reuse` lets ephemeral port selection take a TIME-WAIT socket over
    /// (`tcp_twsk_unique`).
    pub(crate) fn reuses_time_waits(
        &self,
        rules: &TrackedBehaviours,
        loopback: impl Fn() -> bool,
    ) -> bool {
        // The default is 0, or 2 where that means loopback only.
        if self.is_default(Key::TwReuse) {
            return loopback() && rules.tw_reuse() == TwReuse::Loopback;
        }
        match self.tw_reuse {
            0 => false,
            1 => true,
            value => match rules.tw_reuse() {
                TwReuse::NonZero => true,
                TwReuse::Loopback => value == 2 && loopback(),
            },
        }
    }

    /// Writes a value as `echo value > /proc/sys/...` does.
    ///
    /// # Errors
    /// `EINVAL` for what the kernel refuses; `ENOENT` for an unknown key.
    pub(crate) fn write(
        &mut self,
        b: &TrackedBehaviours,
        key: &str,
        text: &str,
    ) -> Result<(), Errno> {
        let found = KEYS.iter().find(|(name, _)| *name == key);
        let key = found.ok_or(Errno::ENOENT)?.1;
        let text = text.trim();
        let number = |low: i64, high: i64| -> Result<i64, Errno> {
            let n: i64 = text.parse().map_err(|_| Errno::EINVAL)?;
            if (low..=high).contains(&n) {
                Ok(n)
            } else {
                Err(Errno::EINVAL)
            }
        };
        let int = || number(i64::from(i32::MIN), i64::from(i32::MAX));
        match key {
            Key::Range => self.write_range(b, text)?,
            Key::Reserved => self.reserved = ports(text).ok_or(Errno::EINVAL)?,
            Key::NonlocalBind => self.nonlocal_bind = int()? != 0,
            Key::NonlocalBind6 => self.nonlocal_bind6 = int()? != 0,
            Key::UnprivilegedStart => {
                let start = number(0, 65535)? as u16;
                // A range may not begin below the first unprivileged port, from either side.
                if self.range.0 < start && b.range_above_unprivileged() {
                    return Err(Errno::EINVAL);
                }
                self.unprivileged_start = start;
            }
            Key::AutobindReuse => self.autobind_reuse = number(0, 1)? != 0,
            Key::TwReuse => {
                let value = int()?;
                if !(0..=2).contains(&value) && b.tw_reuse() == TwReuse::Loopback {
                    return Err(Errno::EINVAL);
                }
                self.tw_reuse = value as i32;
            }
            Key::TwReuseDelay => self.tw_reuse_delay_ms = number(1, 60000)? as u32,
            Key::TwRecycle => self.tw_recycle = int()? != 0,
            Key::Timestamps => self.timestamps = int()? != 0,
            Key::FinTimeout => self.fin_timeout = number(0, i64::from(i32::MAX))? as u32,
            Key::MaxTw => self.max_tw = number(0, i64::from(i32::MAX))? as u32,
            Key::Rfc1337 => self.rfc1337 = int()? != 0,
            Key::SynRetries => self.syn_retries = number(1, 127)? as u8,
            Key::Somaxconn => self.somaxconn = number(0, i64::from(i32::MAX))? as u32,
            Key::BindV6Only => self.bindv6only = int()? != 0,
            Key::StepWidth => self.step_width = number(0, i64::from(u32::MAX))? as u32,
            Key::RtoMax => self.rto_max_ms = number(1000, 120_000)? as u32,
            Key::SynLinear => self.syn_linear = number(0, 127)? as u32,
            Key::Ipv6Off => {
                self.ipv6_off = int()? != 0;
                // The kernel writes the value to every interface.
                self.ipv6_off_on_lo = self.ipv6_off;
            }
            Key::Ipv6OffOnLo => self.ipv6_off_on_lo = int()? != 0,
        }
        self.written |= 1 << key as u32;
        Ok(())
    }

    /// Writes `ip_local_port_range` (`ipv4_local_port_range`).
    fn write_range(&mut self, b: &TrackedBehaviours, text: &str) -> Result<(), Errno> {
        let (low, high) = pair(text).ok_or(Errno::EINVAL)?;
        if low == 0 || high < low {
            return Err(Errno::EINVAL);
        }
        if low < self.unprivileged_start && b.range_above_unprivileged() {
            return Err(Errno::EINVAL);
        }
        self.range = (low, high);
        Ok(())
    }

    /// Takes over the value of one key, for keys that all namespaces share.
    pub(crate) fn copy(&mut self, from: &Values, key: &str) {
        let Some((_, key)) = KEYS.iter().find(|(name, _)| *name == key) else {
            return;
        };
        self.written = self.written & !(1 << *key as u32) | from.written & 1 << *key as u32;
        match key {
            Key::Range => self.range = from.range,
            Key::Reserved => self.reserved = from.reserved.clone(),
            Key::NonlocalBind => self.nonlocal_bind = from.nonlocal_bind,
            Key::NonlocalBind6 => self.nonlocal_bind6 = from.nonlocal_bind6,
            Key::UnprivilegedStart => self.unprivileged_start = from.unprivileged_start,
            Key::AutobindReuse => self.autobind_reuse = from.autobind_reuse,
            Key::TwReuse => self.tw_reuse = from.tw_reuse,
            Key::TwReuseDelay => self.tw_reuse_delay_ms = from.tw_reuse_delay_ms,
            Key::TwRecycle => self.tw_recycle = from.tw_recycle,
            Key::Timestamps => self.timestamps = from.timestamps,
            Key::FinTimeout => self.fin_timeout = from.fin_timeout,
            Key::MaxTw => self.max_tw = from.max_tw,
            Key::Rfc1337 => self.rfc1337 = from.rfc1337,
            Key::SynRetries => self.syn_retries = from.syn_retries,
            Key::Somaxconn => self.somaxconn = from.somaxconn,
            Key::BindV6Only => self.bindv6only = from.bindv6only,
            Key::StepWidth => self.step_width = from.step_width,
            Key::RtoMax => self.rto_max_ms = from.rto_max_ms,
            Key::SynLinear => self.syn_linear = from.syn_linear,
            Key::Ipv6Off => self.ipv6_off = from.ipv6_off,
            Key::Ipv6OffOnLo => self.ipv6_off_on_lo = from.ipv6_off_on_lo,
        }
    }
}

/// `40000 40003` or `40000-40003`.
fn pair(text: &str) -> Option<(u16, u16)> {
    let mut parts = text
        .split(|c: char| c.is_whitespace() || c == '-')
        .filter(|p| !p.is_empty());
    let (low, high) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    parts.next().is_none().then_some((low, high))
}

/// `40000,40002-40005`, or nothing.
fn ports(text: &str) -> Option<PortSet> {
    let mut set = PortSet::default();
    for part in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
        let (low, high) = match part.split_once('-') {
            Some((low, high)) => (
                low.trim().parse::<u16>().ok()?,
                high.trim().parse::<u16>().ok()?,
            ),
            None => (part.parse().ok()?, part.parse().ok()?),
        };
        if low > high {
            return None;
        }
        for port in low..=high {
            set.insert(port);
        }
    }
    Some(set)
}
