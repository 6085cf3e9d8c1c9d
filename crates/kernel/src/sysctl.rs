//! The sysctls that decide about ports: their values, where they live and what may be written.

use crate::Errno;
use crate::portset::PortSet;
use crate::profile::behaviour::{Place, Scope, TwAge, TwReuse};
use crate::profile::{Behaviours, Watched};

/// The values that hold in one network namespace. Where the default is not the same on all kernels, `None` stands for
/// it: only who needs it asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Values {
    range: Option<(u16, u16)>,
    pub(crate) reserved: PortSet,
    pub(crate) any_reserved: bool,
    pub(crate) nonlocal_bind: bool,
    pub(crate) nonlocal_bind6: bool,
    pub(crate) unprivileged_start: u16,
    pub(crate) autobind_reuse: bool,
    tw_reuse: Option<i32>,
    pub(crate) tw_reuse_delay_ms: u32,
    pub(crate) tw_recycle: bool,
    pub(crate) timestamps: bool,
    /// Seconds.
    pub(crate) fin_timeout: u32,
    pub(crate) max_tw: u32,
    pub(crate) rfc1337: bool,
    syn_retries: Option<u8>,
    somaxconn: Option<u32>,
    pub(crate) bindv6only: bool,
    pub(crate) step_width: u32,
}

/// What the kernel calls a key, without the `net.ipv4.` in front.
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
];

/// The least default of `somaxconn` on any kernel.
pub(crate) const SOMAXCONN: u32 = 128;
/// The default of the range's low end; the high one's is a behaviour.
const LOW: u16 = 32768;

/// Names of all sysctls that the model knows, whether or not a given kernel has them.
#[must_use]
pub fn sysctl_names() -> Vec<&'static str> {
    KEYS.iter().map(|(name, _)| *name).collect()
}

/// Where a kernel keeps a sysctl; `None` for a key that the model does not know at all.
#[must_use]
pub fn sysctl_scope(b: &Behaviours, key: &str) -> Option<Scope> {
    scope_of(&Watched::new(*b), key)
}

pub(crate) fn scope_of(b: &Watched, key: &str) -> Option<Scope> {
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
        Key::Somaxconn | Key::BindV6Only => Scope::Netns,
        Key::StepWidth => when(b.port_step_width()),
    })
}

/// Whether a kernel has a sysctl, where that is all that matters.
pub(crate) fn is_present(b: &Watched, key: &str) -> bool {
    let known = KEYS.iter().find(|(name, _)| *name == key);
    let place = match known.map(|(_, key)| *key) {
        Some(Key::Range) => Place::range_scope,
        Some(Key::Reserved) => Place::reserved_ports,
        Some(Key::NonlocalBind) => Place::nonlocal_bind_scope,
        Some(Key::UnprivilegedStart) => Place::unprivileged_port_scope,
        Some(Key::TwReuse) => Place::tw_reuse_scope,
        Some(Key::TwRecycle) => Place::tw_recycle_scope,
        Some(Key::Timestamps) => Place::timestamps_scope,
        Some(Key::FinTimeout | Key::SynRetries) => Place::fin_timeout_scope,
        Some(Key::MaxTw) => Place::max_tw_scope,
        Some(Key::Rfc1337) => Place::rfc1337_scope,
        // Present in the same way wherever it is.
        _ => return scope_of(b, key).is_some_and(|scope| scope != Scope::Absent),
    };
    b.has(place)
}

/// Whether a freshly booted kernel has this value already.
#[must_use]
pub fn sysctl_is_default(b: &Behaviours, key: &str, text: &str) -> bool {
    let b = &Watched::new(*b);
    let fresh = Values::defaults();
    let mut written = fresh.clone();
    written.write(b, key, text).is_ok() && written.spelled_out(b) == fresh.spelled_out(b)
}

impl Values {
    /// What a freshly booted kernel, or a new namespace, has.
    pub(crate) fn defaults() -> Self {
        Values {
            range: None,
            reserved: PortSet::default(),
            any_reserved: false,
            nonlocal_bind: false,
            nonlocal_bind6: false,
            unprivileged_start: 1024,
            autobind_reuse: false,
            tw_reuse: None,
            tw_reuse_delay_ms: 1000,
            tw_recycle: false,
            timestamps: true,
            fin_timeout: 60,
            // Half of the established table's buckets: 65536 of them on a machine of a few GiB.
            max_tw: 32768 * 4,
            rfc1337: false,
            syn_retries: None,
            somaxconn: None,
            bindv6only: false,
            step_width: 0,
        }
    }

    /// The same values, defaults as what they are.
    fn spelled_out(mut self, b: &Watched) -> Self {
        self.range = Some(self.range(b));
        self.tw_reuse.get_or_insert(match b.tw_reuse() {
            TwReuse::NonZero => 0,
            TwReuse::Loopback => 2,
        });
        self.syn_retries = Some(self.syn_retries(b));
        self.somaxconn.get_or_insert(b.somaxconn());
        self
    }

    /// `ip_local_port_range`
    pub(crate) fn range(&self, b: &Watched) -> (u16, u16) {
        self.range.unwrap_or_else(|| (LOW, b.range_high()))
    }

    /// `tcp_syn_retries`
    pub(crate) fn syn_retries(&self, b: &Watched) -> u8 {
        let default = || if b.syn_rto_ms() == 1000 { 6 } else { 5 };
        self.syn_retries.unwrap_or_else(default)
    }

    /// What listen() makes of a backlog; `None` for a longer one than any kernel's `somaxconn` surely allows.
    pub(crate) fn backlog(&self, wanted: u32) -> Option<u32> {
        match self.somaxconn {
            Some(most) => Some(wanted.min(most)),
            None => (wanted <= SOMAXCONN).then_some(wanted),
        }
    }

    /// Whether `tcp_tw_reuse` lets a search take a stand-in over (`tcp_twsk_unique`).
    pub(crate) fn reuses_time_waits(&self, b: &Watched, loopback: impl Fn() -> bool) -> bool {
        match self.tw_reuse {
            Some(0) => false,
            Some(1) => true,
            Some(2) => loopback() || b.tw_reuse() == TwReuse::NonZero,
            // Other values are for kernels that know no difference.
            Some(_) => b.tw_reuse() == TwReuse::NonZero,
            // By default 2 where that means something, else 0.
            None => loopback() && b.tw_reuse() == TwReuse::Loopback,
        }
    }

    /// Writes a value as `echo value > /proc/sys/...` does.
    ///
    /// # Errors
    /// `EINVAL` for what the kernel refuses; `ENOENT` for a key nobody knows.
    pub(crate) fn write(&mut self, b: &Watched, key: &str, text: &str) -> Result<(), Errno> {
        let key = KEYS
            .iter()
            .find(|(name, _)| *name == key)
            .ok_or(Errno::ENOENT)?
            .1;
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
            Key::Range => {
                let (low, high) = pair(text).ok_or(Errno::EINVAL)?;
                if low == 0 || high < low {
                    return Err(Errno::EINVAL);
                }
                if low < self.unprivileged_start && b.range_above_unprivileged() {
                    return Err(Errno::EINVAL);
                }
                self.range = Some((low, high));
            }
            Key::Reserved => {
                let set = ports(text).ok_or(Errno::EINVAL)?;
                self.any_reserved = !text.is_empty();
                self.reserved = set;
            }
            Key::NonlocalBind => self.nonlocal_bind = int()? != 0,
            Key::NonlocalBind6 => self.nonlocal_bind6 = int()? != 0,
            Key::UnprivilegedStart => {
                let start = number(0, 65535)? as u16;
                // A range may not begin below the first unprivileged port, from either side.
                let low = self.range.map_or(LOW, |range| range.0);
                if low < start && b.range_above_unprivileged() {
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
                self.tw_reuse = Some(value as i32);
            }
            Key::TwReuseDelay => self.tw_reuse_delay_ms = number(1, 60000)? as u32,
            Key::TwRecycle => self.tw_recycle = int()? != 0,
            Key::Timestamps => self.timestamps = int()? != 0,
            Key::FinTimeout => self.fin_timeout = number(0, i64::from(i32::MAX))? as u32,
            Key::MaxTw => self.max_tw = number(0, i64::from(i32::MAX))? as u32,
            Key::Rfc1337 => self.rfc1337 = int()? != 0,
            Key::SynRetries => self.syn_retries = Some(number(1, 127)? as u8),
            Key::Somaxconn => self.somaxconn = Some(number(0, i64::from(i32::MAX))? as u32),
            Key::BindV6Only => self.bindv6only = int()? != 0,
            Key::StepWidth => self.step_width = number(0, i64::from(i32::MAX))? as u32,
        }
        Ok(())
    }

    /// Takes over the value of one key, for keys that all namespaces share.
    pub(crate) fn copy(&mut self, from: &Values, key: &str) {
        let Some((_, key)) = KEYS.iter().find(|(name, _)| *name == key) else {
            return;
        };
        match key {
            Key::Range => self.range = from.range,
            Key::Reserved => {
                self.reserved = from.reserved.clone();
                self.any_reserved = from.any_reserved;
            }
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
