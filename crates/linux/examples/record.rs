//! Runs a file of programs on a real kernel and writes the trace.
//!
//! `record PROGRAMS.jsonl TRACE.jsonl [--jobs N | --on IMAGE]`; an image is a file or a name such
//! as `debian:6.1`. Each boot in the file of programs is one boot of the image.

use fourtuple_linux::trace::{self, Boot, Header};
use fourtuple_linux::{Host, Image, Program, RunError, Vm, run_all};
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let r = match args.as_slice() {
        [from, to] => record(from, to, |p| on_host(p, 1)),
        [from, to, "--jobs", n] => record(from, to, |p| on_host(p, n.parse().unwrap_or(1))),
        [from, to, "--on", image] => record(from, to, |p| in_vm(p, image)),
        _ => Err("usage: record PROGRAMS.jsonl TRACE.jsonl [--jobs N | --on IMAGE]".into()),
    };
    match r {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}

type Recorded = (Header, Vec<Result<Program, RunError>>);

fn on_host(programs: &[Program], jobs: usize) -> Result<Recorded, RunError> {
    let release = Host::start()?.release().to_owned();
    Ok((
        Header::new(&release, &release, ""),
        run_all(programs, jobs)?,
    ))
}

fn in_vm(programs: &[Program], image: &str) -> Result<Recorded, RunError> {
    let image = Image::named(image)?;
    let name = image.name.clone();
    let run = Vm::new(image).run(programs)?;
    Ok((Header::new(&name, &run.release, ""), run.answers))
}

fn record(
    from: &str,
    to: &str,
    on: impl Fn(&[Program]) -> Result<Recorded, RunError>,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut recorded = Vec::new();
    for boot in trace::read_file(Path::new(from))? {
        let (header, answers) = on(&boot.programs)?;
        let programs = answers.into_iter().collect::<Result<Vec<_>, RunError>>()?;
        recorded.push(Boot {
            header: Some(header),
            programs,
        });
    }
    let mut text = Vec::new();
    trace::write(&mut text, &recorded)?;
    Ok(std::fs::write(to, text)?)
}
