//! `fourtuple doctor`: the connections that a host can still make.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use fourtuple_host::Document;
use fourtuple_host::doctor::{self, Report, Unknown};
use fourtuple_kernel::profile::{self, Profile};

use super::capture::Place;
use crate::files::{self, Existing};
use crate::input;
use crate::output::{Failure, Output, Verdict};

/// Computes how many more connections a host can make.
///
/// The sockets of the running host, or of a file of `fourtuple capture`, are entered into the port
/// model, which answers for each source address and destination how many further connect() calls
/// succeed. Where the capture does not show whether bind() or connect() chose a port, the answer is
/// an interval. Changes are tried on the same state.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: fourtuple doctor --threshold 80 --format prometheus -o /var/lib/node_exporter/fourtuple.prom\n\nExit status: 0, 1 if more of the range is used than --threshold allows, 2 if the host or the file cannot be read."
)]
pub(crate) struct Args {
    /// A file of `fourtuple capture`; `-` for standard input, the running host if left out.
    #[arg(conflicts_with_all = ["pid", "netns", "watch"])]
    file: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
    /// The kernel, instead of that of the capture: a name, or a release.
    #[arg(long, value_name = "NAME")]
    kernel: Option<String>,
    /// The call that chose ports whose origin is unknown.
    #[arg(long, value_enum, value_name = "CALL")]
    assume: Option<Assume>,
    /// Captures twice, and computes how long the ports last at the rate in between.
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    watch: Option<Duration>,
    /// The largest part of the range, in percent, that may be used towards one destination.
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u32).range(0..=100))]
    threshold: Option<u32>,
    /// Most destinations to report, those with the most sockets.
    #[arg(long, value_name = "N", default_value_t = 20)]
    destinations: usize,
    /// The form of the report.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Text)]
    format: Format,
    /// Output file, which is replaced; standard output if left out.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Assume {
    /// bind() to port 0, before connect().
    Bind,
    /// connect() without bind(), or with `IP_BIND_ADDRESS_NO_PORT`.
    Connect,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// One JSON document.
    Json,
    /// Metrics for node_exporter's textfile collector.
    Prometheus,
}

/// Reads a time such as `10s` or `2m`.
fn seconds(text: &str) -> Result<Duration, String> {
    let expected = || "expected a time from 1s to 60m, such as `10s`".to_owned();
    let (number, unit) = match (text.strip_suffix('s'), text.strip_suffix('m')) {
        (Some(number), _) => (number, 1),
        (_, Some(number)) => (number, 60),
        _ => return Err(expected()),
    };
    let number: u64 = number.parse().map_err(|_| expected())?;
    match number.saturating_mul(unit) {
        all @ 1..=3600 => Ok(Duration::from_secs(all)),
        _ => Err(expected()),
    }
}

impl Args {
    pub(crate) fn run(self, out: &mut Output) -> Result<Verdict, Failure> {
        let start = Instant::now();
        let mut document = match &self.file {
            Some(file) => input::document(file, &input::read(file)?)?,
            None => self.place.capture()?,
        };
        let mut earlier = None;
        if let Some(time) = self.watch {
            std::thread::sleep(time);
            let now = self.place.capture()?;
            let seconds = start.elapsed().as_secs_f64();
            earlier = Some((std::mem::replace(&mut document, now), seconds));
        }
        let kernel = self.profile(&document)?;
        let settings = doctor::Settings {
            unknown: match self.assume {
                None => Unknown::Either,
                Some(Assume::Bind) => Unknown::Bind,
                Some(Assume::Connect) => Unknown::Connect,
            },
            destinations: self.destinations,
        };
        let mut report = doctor::report(&document, &kernel, &settings);
        if let Some((earlier, seconds)) = &earlier {
            report.watch(earlier, &kernel, *seconds);
        }
        self.write(out, &report)?;
        Ok(match self.threshold {
            Some(most) if report.used_percent() > most => Verdict::Bad,
            _ => Verdict::Good,
        })
    }

    fn write(&self, out: &mut Output, report: &Report) -> Result<(), Failure> {
        let text = match self.format {
            Format::Text => report.to_text(),
            Format::Prometheus => report.to_prometheus(),
            Format::Json => {
                let text = serde_json::to_string_pretty(report).map_err(std::io::Error::from)?;
                format!("{text}\n")
            }
        };
        match &self.output {
            Some(path) => files::write(path, &text, Existing::Replace)?,
            None if self.format == Format::Text => out.text(&text)?,
            None => out.write_all(text.as_bytes())?,
        }
        Ok(())
    }

    fn profile(&self, document: &Document) -> Result<Profile, Failure> {
        let release = self.kernel.as_deref().unwrap_or(&document.kernel);
        if self.kernel.is_none()
            && let Some(profile) = fourtuple_linux::profile_of(release)
        {
            return Ok(profile);
        }
        let names = fourtuple_harness::kernels::names();
        let name = crate::select::kernel(&names, release)?;
        profile::find(&name)
            .ok_or_else(|| Failure::Message(format!("error: unknown kernel `{release}`")))
    }
}
