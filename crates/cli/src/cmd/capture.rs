//! `fourtuple capture`: the TCP sockets of the running host, as a file.

use std::io::Write as _;
use std::path::PathBuf;

use fourtuple_host::{Document, Namespace, Source};

use crate::files::{self, Existing};
use crate::output::{Failure, Output, Verdict, complain};

/// Captures the sockets and sysctls of the running host.
///
/// Reads the TCP sockets of a network namespace, the sysctls that affect ports, and addresses.
/// Needs no privileges and changes nothing; with root it names the processes of all users.
/// `fourtuple schema --of capture` prints the schema of the file.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: fourtuple capture -o host.json && fourtuple doctor host.json\n\nExit status: 0, or 2 if the host cannot be read."
)]
pub(crate) struct Args {
    /// Output file; standard output if left out. An existing file is left alone.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
    /// Replace addresses, users, processes and cgroups, the same by the same everywhere.
    #[arg(long)]
    anonymise: bool,
}

/// The network namespace to capture.
#[derive(Debug, clap::Args)]
pub(crate) struct Place {
    /// The network namespace of this process, such as one of a container.
    #[arg(long, value_name = "PID", conflicts_with = "netns")]
    pub(crate) pid: Option<u32>,
    /// The network namespace with this name, as `ip netns` lists it, or a file of one.
    #[arg(long, value_name = "NAME")]
    pub(crate) netns: Option<String>,
}

impl Place {
    /// Captures the namespace.
    pub(crate) fn capture(&self) -> Result<Document, Failure> {
        let namespace = match (self.pid, &self.netns) {
            (Some(pid), _) => Namespace::File(format!("/proc/{pid}/ns/net").into()),
            (None, Some(name)) if name.contains('/') => Namespace::File(name.into()),
            (None, Some(name)) => Namespace::File(PathBuf::from("/run/netns").join(name)),
            (None, None) => Namespace::Own,
        };
        let found = fourtuple_host::capture(&namespace)
            .map_err(|reason| Failure::Message(format!("error: {reason}")))?;
        if found.source == Source::Proc {
            complain(
                &"note: netlink is not allowed here: /proc/net/tcp has neither socket options nor bound-only sockets",
            );
        }
        Ok(found)
    }
}

impl Args {
    pub(crate) fn run(self, out: &mut Output) -> Result<Verdict, Failure> {
        let mut document = self.place.capture()?;
        if self.anonymise {
            document.anonymise();
        }
        let text = serde_json::to_string(&document).map_err(std::io::Error::from)?;
        match &self.output {
            None => writeln!(out, "{text}")?,
            Some(path) => {
                files::write(path, format!("{text}\n"), Existing::Keep)?;
                writeln!(
                    out,
                    "{}: {} sockets",
                    path.display(),
                    document.sockets.len()
                )?;
            }
        }
        Ok(Verdict::Good)
    }
}
