//! `fourtuple merge`: joins the parts of a sweep, in any order.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::certificate::Certificates;
use crate::output::{Failure, Output, Verdict, complain};
use crate::shard::{Parts, Seal};

/// Joins the parts that `--shard` made.
///
/// Reads json-lines of `run`, `explore`, `remedies` and `fuzz`, or certificates. The result is
/// byte for byte that of a single machine. Duplicates of a part with the same content count once.
/// Parts with different content, parts of two sweeps and missing parts are errors.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: fourtuple merge part.*.jsonl > all.jsonl\n         fourtuple merge --partial monday/*.jsonl > monday.jsonl\n\nExit status: 0 if all parts are there, 1 if one is missing, 2 if the parts do not belong together or the arguments are invalid."
)]
pub(crate) struct Args {
    /// Files with parts, or merged files of some parts.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Join the parts that exist; a later merge accepts the result as input.
    #[arg(long)]
    partial: bool,
}

impl Args {
    pub(crate) fn run(self, out: &mut Output) -> Result<Verdict, Failure> {
        for file in &self.files {
            match kind(file)? {
                Some(Kind::Certificates) => return self.certificates(out),
                Some(Kind::Lines) => break,
                None => {}
            }
        }
        self.lines(out)
    }

    fn certificates(&self, out: &mut Output) -> Result<Verdict, Failure> {
        let mut read: Vec<(&Path, Certificates)> = Vec::new();
        for file in &self.files {
            let one = Certificates::existing(file)?;
            match read.iter().find(|(_, known)| *known == one) {
                Some((known, _)) => complain(&format!(
                    "note: {} has the same content as {}",
                    file.display(),
                    known.display()
                )),
                None => read.push((file, one)),
            }
        }
        let mut all: Option<Certificates> = None;
        for (file, one) in read {
            match &mut all {
                None => all = Some(one),
                Some(all) => all.join(one).map_err(|problem| wrong(file, problem))?,
            }
        }
        let mut all = all.unwrap_or_default();
        if let Some(verdict) = self.report(all.missing().as_deref()) {
            return Ok(verdict);
        }
        out.write_all(all.to_text()?.as_bytes())?;
        Ok(Verdict::Good)
    }

    fn lines(&self, out: &mut Output) -> Result<Verdict, Failure> {
        let mut sweep = Sweep::default();
        for (n, file) in self.files.iter().enumerate() {
            for part in parts(file)? {
                sweep.add(&self.files, n, part)?;
            }
        }
        let missing = sweep.seen.missing();
        if let Some(verdict) = self.report(missing.as_deref()) {
            return Ok(verdict);
        }
        for (n, place) in sweep.places.values() {
            let file = &self.files[*n];
            copy(file, place, missing.is_none(), out).map_err(|error| unreadable(file, &error))?;
        }
        Ok(Verdict::Good)
    }

    /// Reports missing parts. Returns a verdict if the merge ends with that.
    fn report(&self, missing: Option<&str>) -> Option<Verdict> {
        complain(&format!("missing: {}", missing?));
        (!self.partial).then_some(Verdict::Bad)
    }
}

enum Kind {
    Lines,
    Certificates,
}

/// The kind of a file; none if it is empty.
fn kind(file: &Path) -> Result<Option<Kind>, Failure> {
    let mut start = Vec::new();
    let opened = File::open(file).map_err(|error| unreadable(file, &error))?;
    let mut reader = BufReader::new(opened);
    (reader.read_until(b'\n', &mut start)).map_err(|error| unreadable(file, &error))?;
    Ok(match start.trim_ascii() {
        b"" => None,
        // The whole object is on one line.
        line if line.starts_with(b"{\"format\"") => Some(Kind::Lines),
        _ => Some(Kind::Certificates),
    })
}

/// The lines of one part in a file.
#[derive(Clone, Debug)]
struct Place {
    lines: Range<u64>,
    /// The end of the line that closes the part.
    end: u64,
}

/// The parts that were found, in their order.
#[derive(Default)]
struct Sweep {
    seen: Parts,
    places: BTreeMap<usize, (usize, Place)>,
}

impl Sweep {
    fn add(
        &mut self,
        files: &[PathBuf],
        n: usize,
        (seal, place): (Seal, Place),
    ) -> Result<(), Failure> {
        let file = &files[n];
        if let Some((other, known)) = self.places.get(&seal.part)
            && self.seen.is_of(&seal)
        {
            let other = &files[*other];
            let same = bytes(other, &known.lines).map_err(|error| unreadable(other, &error))?
                == bytes(file, &place.lines).map_err(|error| unreadable(file, &error))?;
            if same {
                complain(&format!(
                    "note: {seal} is in {} and in {}, with the same content",
                    other.display(),
                    file.display()
                ));
                return Ok(());
            }
            return Err(wrong(
                file,
                format!("{seal} is in {} with other content", other.display()),
            ));
        }
        self.seen
            .insert(&seal)
            .map_err(|problem| wrong(file, problem))?;
        self.places.insert(seal.part, (n, place));
        Ok(())
    }
}

/// The parts in a file, each up to the line that closes it.
fn parts(file: &Path) -> Result<Vec<(Seal, Place)>, Failure> {
    let failed = |error: io::Error| unreadable(file, &error);
    let mut reader = BufReader::with_capacity(1 << 16, File::open(file).map_err(failed)?);
    let mut found = Vec::new();
    let mut line = Vec::new();
    let (mut start, mut at) = (0, 0);
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line).map_err(failed)? as u64;
        if read == 0 {
            break;
        }
        if let Some(seal) = Seal::read(&line) {
            let lines = start..at;
            let end = at + read;
            found.push((seal, Place { lines, end }));
            start = end;
        }
        at += read;
    }
    if start < at || found.is_empty() {
        return Err(wrong(
            file,
            "its last line does not close a part: the task has not ended, or ran without `--shard`"
                .to_owned(),
        ));
    }
    Ok(found)
}

fn bytes(file: &Path, range: &Range<u64>) -> io::Result<Vec<u8>> {
    let mut read = Vec::new();
    open_at(file, range)?.read_to_end(&mut read)?;
    Ok(read)
}

fn open_at(file: &Path, range: &Range<u64>) -> io::Result<io::Take<File>> {
    let mut opened = File::open(file)?;
    opened.seek(SeekFrom::Start(range.start))?;
    Ok(opened.take(range.end - range.start))
}

/// Copies the lines of a part; with the line that closes it unless the sweep is whole.
fn copy(file: &Path, place: &Place, whole: bool, out: &mut Output) -> io::Result<()> {
    let end = if whole { place.lines.end } else { place.end };
    io::copy(&mut open_at(file, &(place.lines.start..end))?, out)?;
    Ok(())
}

fn unreadable(file: &Path, error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::Closed,
        kind => Failure::Message(format!("error: failed to merge {}: {kind}", file.display())),
    }
}

fn wrong(file: &Path, problem: String) -> Failure {
    Failure::Message(format!("error: {}: {problem}", file.display()))
}
