//! `fourtuple import`: makes a scenario of the output of other tools.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Subcommand;
use fourtuple_analysis::{have_no_port, import_log, import_table};
use fourtuple_scenario::import::{ImportError, Imported, Note, Settings};

use crate::files::{self, Existing};
use crate::input::{self, read};
use crate::output::{Failure, Output, Verdict, complain};

/// Makes a scenario of an strace log, ss, netstat or a capture.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: strace -f -ttt -e trace=network,close -o app.log ./app && fourtuple import strace app.log -o app.yaml\n\nExit status: 0, 1 if the model does not reproduce a recorded answer, 2 if the capture or the arguments are invalid."
)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Imports an strace log: its calls, with their answers expected.
    ///
    /// Record it with `strace -f -ttt -e trace=network,close`.
    ///
    /// Facts that the log lacks (addresses, servers outside of it, the range of ports) are assumed;
    /// calls that are not understood are left out. Both are listed on standard error and at the top
    /// of the scenario. The scenario is run on its kernels: recorded answers that the model does
    /// not reproduce are listed with their lines. Logs of `perf trace` and of `tools/ports.bt`
    /// (bpftrace) are read as well. With `clone,clone3,fork,vfork` and `read,readv` in the filter
    /// less is assumed.
    #[command(
        visible_alias = "bpftrace",
        after_help = "Example: fourtuple import strace app.log --sysctl sysctl.txt -o app.yaml && fourtuple run app.yaml"
    )]
    Strace(Strace),
    /// Imports the output of `ss -tan`: is there a port left?
    ///
    /// The scenario has the sockets of the host. An axis of its matrix says whether bind() or
    /// connect() selected their ports, which the output does not show.
    #[command(after_help = "Example: ss -tano | fourtuple import ss - | fourtuple remedies -")]
    Ss(Capture),
    /// Imports the output of `netstat -tan`, as `import ss` does.
    #[command(
        after_help = "Example: netstat -tano > sockets.txt; fourtuple import netstat sockets.txt -o now.yaml"
    )]
    Netstat(Capture),
    /// Imports `/proc/net/tcp` and `/proc/net/tcp6`, as `import ss` does.
    #[command(
        after_help = "Example: cat /proc/net/tcp /proc/net/tcp6 | fourtuple import proc - -o now.yaml"
    )]
    Proc(Capture),
    /// Imports a file of `fourtuple capture`, as `import ss` does.
    ///
    /// The sysctls and the kernel are those of the captured host.
    #[command(
        after_help = "Example: fourtuple capture | fourtuple import capture - | fourtuple remedies -"
    )]
    Capture(Capture),
}

#[derive(Debug, clap::Args)]
struct Strace {
    #[command(flatten)]
    capture: Capture,
    /// Output of `ss -tan` on the captured machine from before the log begins: ports that other
    /// programs hold.
    #[arg(long, value_name = "FILE")]
    ss: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct Capture {
    /// The captured text; `-` for standard input.
    file: PathBuf,
    /// Output of `sysctl -a` on the captured machine, in the same network namespace.
    #[arg(long, value_name = "FILE")]
    sysctl: Option<PathBuf>,
    /// Kernels of the scenario: names, ranges such as linux-4.2..linux-6.1, or all. If left out,
    /// the captured kernel, or linux-6.18 where the capture does not name it.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    kernel: Vec<String>,
    /// Output file, which must not exist [default: standard output].
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Args {
    pub(crate) fn run(self, out: &mut Output) -> Result<Verdict, Failure> {
        type Import = fn(&str, &Settings) -> Result<Imported, ImportError>;
        let of_host = matches!(self.what, What::Capture(_));
        let (mut capture, before, import): (Capture, Option<PathBuf>, Import) = match self.what {
            What::Strace(one) => (one.capture, one.ss, import_log),
            What::Ss(capture)
            | What::Netstat(capture)
            | What::Proc(capture)
            | What::Capture(capture) => (capture, None, import_table),
        };
        let mut text = read(&capture.file)?;
        let mut sysctl = capture.sysctl.as_deref().map(read).transpose()?;
        let mut release = "linux-6.18".to_owned();
        if of_host {
            let host = input::document(&capture.file, &text)?;
            text = host.table();
            sysctl = sysctl.or_else(|| Some(host.sysctls()));
            release = host.kernel;
        }
        if capture.kernel.is_empty() {
            capture.kernel.push(release);
        }
        let kernel = crate::select::kernels(&capture.kernel)?;
        let settings = Settings {
            sysctl,
            before: before.as_deref().map(read).transpose()?,
            no_port: have_no_port(&kernel),
            kernel,
        };
        let made = import(&text, &settings).map_err(|error| {
            let file = capture.file.display();
            Failure::Message(format!(
                "error: {error}\n --> {file}\n  = help: {}",
                error.help
            ))
        })?;
        for note in &made.notes {
            complain(note);
        }
        match &capture.output {
            None => out.write_all(made.yaml.as_bytes())?,
            Some(path) => {
                files::write(path, &made.yaml, Existing::Keep)?;
                writeln!(out, "{}", path.display())?;
            }
        }
        let reproduced = |note: &Note| !matches!(note, Note::NotReproduced(_));
        Ok(if made.notes.iter().all(reproduced) {
            Verdict::Good
        } else {
            Verdict::Bad
        })
    }
}
