//! The JSON of outcomes and answers: one document, or one object on each line. Their JSON Schemas
//! are derived from the types here.
//!
//! Outcomes are written as runs come in, because that of a full-size scenario is large.
//!
//! - `answers`: the documents of the verbs besides `run`
//! - `comparison`: that of `compare`

mod answers;
mod comparison;

use std::io::{self, Write};

use fourtuple_harness::{Agreement, Assessment, RunReport, ScenarioReport};
use schemars::JsonSchema;
use serde::Serialize;

pub use answers::{
    CapacityDocument, ExploreDocument, ExploreLine, LintDocument, LintEntry, RemediesDocument,
    RemediesLine, Witness,
};
pub use comparison::{ComparedGroup, Comparison};

/// Version of the format.
pub const FORMAT: u32 = 1;

/// A document, or a line of `json-lines`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Versioned<T> {
    /// The version of this format.
    format: u32,
    #[serde(flatten)]
    content: T,
}

impl<T: Serialize> Versioned<T> {
    /// Content in the current version of the format.
    pub fn new(content: T) -> Self {
        Versioned {
            format: FORMAT,
            content,
        }
    }

    /// Writes it on a line.
    ///
    /// # Errors
    /// When writing the output fails.
    pub fn write_line(&self, out: &mut impl Write) -> io::Result<()> {
        serde_json::to_writer(&mut *out, self)?;
        out.write_all(b"\n")
    }
}

/// The document of `run`, which [`Document`] writes part by part.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RunDocument {
    /// The outcomes, one for each kernel, point of the matrix and engine.
    pub runs: Vec<RunReport>,
    /// The engines compared with the reference.
    pub agreement: Vec<Agreement>,
    /// The verdict on each scenario.
    pub verdicts: Vec<Assessment>,
}

/// A line of `run`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RunLine<'a> {
    /// An outcome.
    Run(&'a RunReport),
    /// An engine compared with the reference.
    Agreement(&'a Agreement),
    /// The verdict on a scenario.
    Verdict(&'a Assessment),
}

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
            Versioned::new(RunLine::Run(run)).write_line(out)?;
        }
        for one in &case.agreement {
            Versioned::new(RunLine::Agreement(one)).write_line(out)?;
        }
    }
    Versioned::new(RunLine::Verdict(&Assessment::of(report))).write_line(out)
}
