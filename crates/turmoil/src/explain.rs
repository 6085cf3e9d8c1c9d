//! The reason for the last failed call on a host.

use crate::host::{Failure, current};
use crate::network::START;
use fourtuple_kernel::{Errno, Refusal};
use std::fmt;
use std::time::Duration;

/// A failed call, with the port model's reason. `Display` formats it for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The call, for example `connect(192.168.0.5:3000)`.
    pub call: String,
    /// The errno of the call.
    pub errno: Errno,
    /// The time of the call, since the start of the simulation.
    pub at: Duration,
    /// The rule that decided, the kernel's call path, and the verdict on each port; `None` for a
    /// call that failed before it reached the port model.
    pub refusal: Option<Refusal>,
}

impl From<Failure> for Explanation {
    fn from(failure: Failure) -> Self {
        let Failure {
            call,
            errno,
            refusal,
            at,
        } = failure;
        Explanation {
            call,
            errno,
            at: at - START,
            refusal,
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} = {} ({}) at {}.{:03} s",
            self.call,
            self.errno,
            self.errno.text(),
            self.at.as_secs(),
            self.at.subsec_millis()
        )?;
        let Some(refusal) = &self.refusal else {
            return Ok(());
        };
        write!(f, "\n  {}: {}", refusal.rule, refusal.rule.text())?;
        write!(f, "\n  in {}", refusal.path.join(" > "))?;
        if refusal.tried > 0 {
            let counts: Vec<String> = refusal
                .counts
                .iter()
                .map(|(v, n)| format!("{n} {}", v.name()))
                .collect();
            write!(
                f,
                "\n  {} ports tried: {}",
                refusal.tried,
                counts.join(", ")
            )?;
        }
        for port in &refusal.ports {
            write!(f, "\n  port {}: {}", port.port, port.verdict.name())?;
            if let Some((reuse, reuseport)) = port.bucket {
                write!(f, ", fastreuse {reuse}, fastreuseport {reuseport}")?;
            }
            if !port.owners.is_empty() {
                write!(f, ", held by {}", port.owners.join("; "))?;
            }
        }
        Ok(())
    }
}

/// Explains the last failed call on the calling task's host. `None` if no call has failed, or if
/// the task does not run on a Linux host.
#[must_use]
pub fn explain_last_error() -> Option<Explanation> {
    let kernel = current().ok()?;
    kernel.enter(|s| s.failure.clone()).map(Explanation::from)
}
