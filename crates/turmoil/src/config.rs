//! Which Linux a host runs.

use fourtuple_kernel::profile::{self, Behaviours};
use fourtuple_kernel::{Errno, Machine, Seeded};
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// The kernel that hosts get unless they ask for another one.
pub const DEFAULT_KERNEL: &str = "linux-6.18";

/// What kind of Linux a host of the simulation is: kernel, sysctls, addresses, seed.
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
    pub(crate) window: u32,
}

/// Bytes that may be under way or unread in one direction of a connection.
const WINDOW: u32 = 256 * 1024;

impl Default for Linux {
    /// A current kernel with its default sysctls and the address that turmoil gives the host.
    fn default() -> Self {
        Linux::kernel(DEFAULT_KERNEL).expect("the default kernel is in the table")
    }
}

impl Linux {
    /// A kernel by name: `linux-A.B` for any mainline release from 2.6.32, `linux-A.B.C`,
    /// `rhel-A.B`, `debian-N`, `ubuntu-YY.MM`.
    ///
    /// # Errors
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
            window: WINDOW,
        }
    }

    /// Writes a sysctl at boot, as `sysctl -w` would. The last word counts.
    ///
    /// # Errors
    /// If this kernel does not have the sysctl or refuses the value.
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

    /// Gives the host a further address. turmoil's own address of the host stays the first one,
    /// which is the source of connections that do not bind.
    #[must_use]
    pub fn address(mut self, ip: impl Into<IpAddr>) -> Self {
        self.addresses.push(ip.into());
        self
    }

    /// Gives the host these addresses instead of turmoil's own.
    #[must_use]
    pub fn only_addresses(mut self, ips: impl IntoIterator<Item = IpAddr>) -> Self {
        self.addresses = ips.into_iter().collect();
        self.own_address = false;
        self
    }

    /// Seed of everything that a kernel decides by chance. Equal seeds give equal ports; the
    /// default is 1.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Length of TIME-WAIT, which real kernels fix at 60 seconds.
    #[must_use]
    pub fn time_wait(mut self, length: Duration) -> Self {
        self.time_wait = Some(length);
        self
    }

    /// How many bytes fit into one direction of a connection, sent and not yet read, before
    /// writing has to wait. The default is 256 KiB; `SO_SNDBUF` sets it for one socket.
    #[must_use]
    pub fn window(mut self, bytes: u32) -> Self {
        self.window = bytes.max(1);
        self
    }
}

/// Why a configuration is not possible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// No profile of that name.
    Kernel(String),
    /// A sysctl that the kernel does not have, or a value that it refuses.
    Sysctl {
        /// The kernel.
        kernel: String,
        /// The sysctl.
        key: String,
        /// The value.
        value: String,
        /// What writing it returns.
        errno: Errno,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::Kernel(name) => {
                write!(
                    f,
                    "there is no kernel profile named `{name}` (examples: {DEFAULT_KERNEL}, rhel-6.5)"
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
                write!(f, "{kernel} refuses `{value}` for `{key}` ({errno})")
            }
        }
    }
}

impl std::error::Error for ConfigError {}
