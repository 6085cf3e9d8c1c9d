//! `fourtuple import`: what other tools captured, as a scenario.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use fourtuple_kernel::profile;
use fourtuple_scenario::import::{self, ImportError, Imported, MAX_CAPTURE_BYTES, Settings};

use crate::files::{self, Existing};
use crate::output::{Failure, Output, Verdict, complain};

/// Makes a scenario of what strace or ss captured on a real machine.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: strace -f -ttt -e trace=network,close -o app.log ./app && fourtuple import strace app.log -o app.yaml\n\nExit status: 0, or 2 if the capture or the call is wrong."
)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// From a log of `strace -f -ttt -e trace=network,close`: the recorded calls, and their answers as expectations.
    ///
    /// What the log does not say (addresses, servers outside of it, the range of ports) is assumed; what is not
    /// understood is left out. Both are listed on standard error and at the top of the scenario.
    #[command(
        after_help = "Example: fourtuple import strace app.log --sysctl sysctl.txt -o app.yaml && fourtuple run app.yaml"
    )]
    Strace(Capture),
    /// From the output of `ss -tan`: the host's sockets as they are, and the question whether there is a port left.
    ///
    /// Whether a port was chosen by bind() or by connect() cannot be seen from outside, so that the scenario asks for
    /// both, as an axis of its matrix.
    #[command(
        after_help = "Example: ss -tan > ss.txt; sysctl -a > sysctl.txt; fourtuple import ss ss.txt --sysctl sysctl.txt -o now.yaml"
    )]
    Ss(Capture),
}

#[derive(Debug, clap::Args)]
struct Capture {
    /// The captured text; `-` for standard input.
    file: PathBuf,
    /// Output of `sysctl -a` on the captured machine, in the same network namespace.
    #[arg(long, value_name = "FILE")]
    sysctl: Option<PathBuf>,
    /// Kernels of the scenario: names, ranges such as linux-4.2..linux-6.1, or all.
    #[arg(long, value_name = "NAME", value_delimiter = ',', default_values_t = ["linux-6.18".to_owned()])]
    kernel: Vec<String>,
    /// Where to write the scenario; standard output if left out. A file that is there already is left alone.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Args {
    pub(crate) fn run(self, out: &mut Output) -> Result<Verdict, Failure> {
        type Import = fn(&str, &Settings) -> Result<Imported, ImportError>;
        let (capture, import): (Capture, Import) = match self.what {
            What::Strace(capture) => (capture, import::strace),
            What::Ss(capture) => (capture, import::ss),
        };
        let kernel = crate::select::kernels(&capture.kernel)?;
        let text = read(&capture.file)?;
        let settings = Settings {
            sysctl: capture.sysctl.as_deref().map(read).transpose()?,
            no_port: have_no_port(&kernel),
            kernel,
        };
        let made = import(&text, &settings).map_err(|error| {
            let file = capture.file.display();
            Failure::Told(format!(
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
        Ok(Verdict::Good)
    }
}

/// Whether every kernel that is asked for has `IP_BIND_ADDRESS_NO_PORT`.
fn have_no_port(kernels: &[String]) -> bool {
    kernels.iter().all(|name| {
        // Of a range, its first kernel is the one that may lack it.
        let first = name.split("..").next().unwrap_or_default();
        profile::find(first).is_some_and(|profile| profile.behaviours.bind_address_no_port)
    })
}

/// Reads a capture. Bytes that are no UTF-8 are replaced: strace prints what programs sent.
fn read(path: &Path) -> Result<String, Failure> {
    let told = |reason: String| {
        Failure::Told(format!(
            "error: {} cannot be read: {reason}",
            path.display()
        ))
    };
    let kind = |error: std::io::Error| told(error.kind().to_string());
    let limit = MAX_CAPTURE_BYTES + 1;
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        std::io::stdin()
            .lock()
            .take(limit)
            .read_to_end(&mut bytes)
            .map_err(kind)?;
    } else {
        let file = File::open(path).map_err(kind)?;
        if file.metadata().map_err(kind)?.is_dir() {
            return Err(told("it is a directory".to_owned()));
        }
        file.take(limit).read_to_end(&mut bytes).map_err(kind)?;
    }
    if bytes.len() as u64 > MAX_CAPTURE_BYTES {
        return Err(told(format!("it has more than {MAX_CAPTURE_BYTES} bytes")));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
