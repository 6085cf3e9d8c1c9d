//! Configuration of a Linux host.

use fourtuple_kernel::nat::NatRules;
use fourtuple_kernel::profile::{self, Behaviours};
use fourtuple_kernel::{Errno, Machine, Seeded};
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// The kernel of hosts that do not choose another one.
pub const DEFAULT_KERNEL: &str = "linux-6.18";

/// The Linux of a simulated host: kernel, sysctls, addresses, seed.
///
/// ```
/// # fn main() -> Result<(), fourtuple_turmoil::ConfigError> {
/// use fourtuple_turmoil::Linux;
///
/// let old = Linux::kernel("rhel-6.5")?
///     .sysctl("net.ipv4.ip_local_port_range", "40000 40003")?
///     .address([10, 0, 0, 7])
///     .seed(7);
/// # drop(old);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Linux {
    pub(crate) kernel: String,
    pub(crate) behaviours: Behaviours,
    pub(crate) sysctls: Vec<(String, String)>,
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) own_address: bool,
    pub(crate) seed: u64,
    pub(crate) time_wait: Option<Duration>,
    pub(crate) tentative: Duration,
    /// No network joins the host to others ([`Machine::set_alone`]).
    pub(crate) alone: bool,
    /// The rules by which the host translates the packets that pass it.
    pub(crate) nat: Option<NatRules>,
    pub(crate) window: Option<u32>,
    pub(crate) loopback: Duration,
}

/// Default of [`Linux::loopback`].
const LOOPBACK: Duration = Duration::from_micros(25);

impl Default for Linux {
    /// The default kernel with its default sysctls and the address that turmoil gives the host.
    fn default() -> Self {
        Linux::kernel(DEFAULT_KERNEL).expect("the default kernel is in the table")
    }
}

impl Linux {
    /// Selects a kernel by name: `linux-A.B` for any mainline release from 2.6.32, `linux-A.B.C`,
    /// `rhel-A.B`, `debian-N`, `ubuntu-YY.MM`.
    ///
    /// # Errors
    ///
    /// If there is no profile of that name.
    pub fn kernel(name: &str) -> Result<Self, ConfigError> {
        let profile = profile::find(name).ok_or_else(|| ConfigError::Kernel(name.to_owned()))?;
        Ok(Linux::with_behaviours(name, profile.behaviours))
    }

    pub(crate) fn with_behaviours(kernel: &str, behaviours: Behaviours) -> Self {
        Linux {
            kernel: kernel.to_owned(),
            behaviours,
            sysctls: Vec::new(),
            addresses: Vec::new(),
            own_address: true,
            seed: 1,
            time_wait: None,
            tentative: Duration::ZERO,
            alone: false,
            nat: None,
            window: None,
            loopback: LOOPBACK,
        }
    }

    /// Writes a sysctl at boot, as `sysctl -w` does. Later writes override earlier ones.
    ///
    /// # Errors
    ///
    /// If this kernel does not have the sysctl or rejects the value.
    pub fn sysctl(mut self, key: &str, value: &str) -> Result<Self, ConfigError> {
        let mut trial = Machine::new(self.behaviours, Seeded::new(0, ""));
        let ns = trial.add_namespace();
        for (key, value) in &self.sysctls {
            let _ = trial.sysctl(ns, key, value);
        }
        trial
            .sysctl(ns, key, value)
            .map_err(|errno| ConfigError::Sysctl {
                kernel: self.kernel.clone(),
                key: key.to_owned(),
                value: value.to_owned(),
                errno,
            })?;
        self.sysctls.push((key.to_owned(), value.to_owned()));
        Ok(self)
    }

    /// The value of a sysctl that was written last.
    pub(crate) fn written(&self, key: &str) -> Option<&str> {
        let mut last = self.sysctls.iter().rev();
        last.find_map(|(name, value)| (name == key).then_some(&**value))
    }

    /// Adds an address to the host. turmoil's own address of the host stays the first one, which is
    /// the source of connections that do not bind.
    #[must_use]
    pub fn address(mut self, ip: impl Into<IpAddr>) -> Self {
        self.addresses.push(ip.into());
        self
    }

    /// Replaces turmoil's own address by these addresses.
    #[must_use]
    pub fn only_addresses(mut self, ips: impl IntoIterator<Item = IpAddr>) -> Self {
        self.addresses = ips.into_iter().collect();
        self.own_address = false;
        self
    }

    /// Sets the seed of the kernel's random choices. Equal seeds give equal ports; the default is
    /// 1.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets the length of TIME-WAIT, which real kernels fix at 60 seconds.
    #[must_use]
    pub fn time_wait(mut self, length: Duration) -> Self {
        self.time_wait = Some(length);
        self
    }

    /// Fixes the maximum number of bytes that are sent and not yet read in one direction of a
    /// connection; writes wait beyond it. Without it, connections begin with 256 KiB and double it
    /// with each round trip that fills it, up to the smaller one of the maxima of the writer's
    /// `net.ipv4.tcp_wmem` and the reader's `net.ipv4.tcp_rmem`: 4 MiB unless these sysctls are
    /// written. `SO_SNDBUF` fixes it for one socket, and `SO_RCVBUF` bounds what is sent to one.
    #[must_use]
    pub fn window(mut self, bytes: u32) -> Self {
        self.window = Some(bytes.max(1));
        self
    }

    /// Sets the time of a packet over the loopback interface, so that a loop of requests within a
    /// host does not last for ever in no time. The default is 25 microseconds: 50 for a round trip
    /// and for a connect. turmoil's clock moves in milliseconds, so packets arrive at once until
    /// they make a millisecond, and the next one waits for the clock.
    #[must_use]
    pub fn loopback(mut self, packet: Duration) -> Self {
        self.loopback = packet;
        self
    }
}

/// An invalid configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// No profile of that name.
    Kernel(String),
    /// A sysctl that the kernel does not have, or a value that it rejects.
    Sysctl {
        /// The name of the kernel.
        kernel: String,
        /// The name of the sysctl.
        key: String,
        /// The rejected value.
        value: String,
        /// The errno of the write.
        errno: Errno,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::Kernel(name) => {
                write!(
                    f,
                    "unknown kernel `{name}` (examples: {DEFAULT_KERNEL}, rhel-6.5)"
                )
            }
            ConfigError::Sysctl {
                kernel,
                key,
                errno: Errno::ENOENT,
                ..
            } => {
                write!(f, "{kernel} has no sysctl `{key}` (ENOENT)")
            }
            ConfigError::Sysctl {
                kernel,
                key,
                value,
                errno,
            } => {
                write!(
                    f,
                    "invalid value `{value}` for `{key}` on {kernel} ({errno})"
                )
            }
        }
    }
}

impl std::error::Error for ConfigError {}
