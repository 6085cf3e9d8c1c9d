//! Runs a file of programs on the running kernel and writes the trace.
//!
//! `record PROGRAMS.jsonl TRACE.jsonl [--jobs N]`

use fourtuple_linux::trace::{self, Boot, Header};
use fourtuple_linux::{Host, RunError, run_all};
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let r = match args.as_slice() {
        [from, to] => record(from, to, 1),
        [from, to, "--jobs", n] => record(from, to, n.parse().unwrap_or(1)),
        _ => Err("usage: record PROGRAMS.jsonl TRACE.jsonl [--jobs N]".into()),
    };
    match r {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}

fn record(from: &str, to: &str, jobs: usize) -> Result<(), Box<dyn std::error::Error>> {
    let release = Host::start()?.release().to_owned();
    let mut recorded = Vec::new();
    for boot in trace::read_file(Path::new(from))? {
        let answers = run_all(&boot.programs, jobs)?;
        let programs = answers.into_iter().collect::<Result<Vec<_>, RunError>>()?;
        recorded.push(Boot { header: Some(Header::new(&release, &release, "")), programs });
    }
    Ok(trace::write_file(Path::new(to), &recorded)?)
}
