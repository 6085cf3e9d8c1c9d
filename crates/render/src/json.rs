//! The outcome format: one JSON document, or one line for each run, each comparison and each
//! verdict.
//!
//! Both are written as runs come in, because the outcome of a full-size scenario is large.

use std::io::{self, Write};

use serde::Serialize;

use fourtuple_harness::{Agreement, Assessment, ScenarioReport};

/// Version of the format.
pub const FORMAT: u32 = 1;

/// Writes the document: a run on each line, then the agreement of the engines and the verdicts on
/// scenarios.
#[derive(Debug, Default)]
pub struct Document {
    runs: usize,
    agreement: Vec<Agreement>,
    verdicts: Vec<Assessment>,
}

impl Document {
    /// Starts the document.
    ///
    /// # Errors
    /// When writing the output fails.
    pub fn start(out: &mut impl Write) -> io::Result<Self> {
        write!(out, "{{\"format\":{FORMAT},\"runs\":[")?;
        Ok(Document::default())
    }

    /// Adds the runs of a scenario.
    ///
    /// # Errors
    /// When writing the output fails.
    pub fn add(&mut self, out: &mut impl Write, report: &ScenarioReport) -> io::Result<()> {
        for case in &report.cases {
            for run in case.reports() {
                out.write_all(if self.runs == 0 { b"\n" } else { b",\n" })?;
                serde_json::to_writer(&mut *out, run)?;
                self.runs += 1;
            }
            self.agreement.extend(case.agreement.iter().cloned());
        }
        self.verdicts.push(Assessment::of(report));
        Ok(())
    }

    /// Ends the document.
    ///
    /// # Errors
    /// When writing the output fails.
    pub fn finish(self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(b"\n],\"agreement\":[")?;
        write_list(out, &self.agreement)?;
        out.write_all(b"\n],\"verdicts\":[")?;
        write_list(out, &self.verdicts)?;
        out.write_all(b"\n]}\n")
    }
}

fn write_list(out: &mut impl Write, list: &[impl Serialize]) -> io::Result<()> {
    for (n, one) in list.iter().enumerate() {
        out.write_all(if n == 0 { b"\n" } else { b",\n" })?;
        serde_json::to_writer(&mut *out, one)?;
    }
    Ok(())
}

/// Writes the streamed form: each line is an object with `format` and one of `run`, `agreement` and
/// `verdict`.
///
/// # Errors
/// When writing the output fails.
pub fn write_lines(out: &mut impl Write, report: &ScenarioReport) -> io::Result<()> {
    for case in &report.cases {
        for run in case.reports() {
            write_line(out, "run", run)?;
        }
        for one in &case.agreement {
            write_line(out, "agreement", one)?;
        }
    }
    write_line(out, "verdict", &Assessment::of(report))
}

fn write_line(out: &mut impl Write, word: &str, value: &impl Serialize) -> io::Result<()> {
    write!(out, "{{\"format\":{FORMAT},\"{word}\":")?;
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"}\n")
}
