//! `fourtuple schema`: the JSON Schemas of the formats.

use std::io::Write as _;

use fourtuple_render::json::{
    CapacityDocument, Comparison, ExploreDocument, ExploreLine, LintDocument, RemediesDocument,
    RemediesLine, RunDocument, RunLine, Versioned,
};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::certify_scenarios::Found;
use super::fuzz_report::FuzzLine;
use crate::certificate::Certificates;
use crate::output::{Failure, Output, Verdict};
use crate::shard::SealLine;

/// Prints the JSON Schema of scenarios and other documents.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: fourtuple schema > scenarios/scenario.schema.json\n         fourtuple schema --of remedies\n\nExit status: 0, or 2 if the arguments are invalid."
)]
pub(crate) struct Args {
    /// The kind of document: scenarios, files, or the verb with `--format json`.
    #[arg(long, value_enum, default_value_t = Of::Scenario, value_name = "KIND")]
    of: Of,
    /// Print the schema of a line of `--format json-lines` instead.
    #[arg(long)]
    lines: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Of {
    /// Scenarios.
    Scenario,
    /// Outcomes.
    Run,
    /// Fixes that were tried.
    Remedies,
    /// Kernels grouped by outcome.
    Compare,
    /// Every possible outcome.
    Explore,
    /// Connections that fit, and ranges for a load.
    Capacity,
    /// Findings about scenarios.
    Lint,
    /// Reports about hosts.
    Doctor,
    /// Files of `fourtuple capture`.
    Capture,
    /// Files of `certify --data`.
    Certify,
    /// Files of `--certificate`.
    Certificates,
    /// Lines of `fuzz --format json-lines`.
    Fuzz,
}

impl Args {
    pub(crate) fn run(self, out: &mut Output) -> Result<Verdict, Failure> {
        let schema = match (self.of, self.lines) {
            (Of::Scenario, false) => {
                out.write_all(fourtuple_scenario::schema_text().as_bytes())?;
                return Ok(Verdict::Good);
            }
            (Of::Run, true) => line::<RunLine<'_>>(),
            (Of::Remedies, true) => line::<RemediesLine<'_>>(),
            (Of::Explore, true) => line::<ExploreLine<'_>>(),
            (Of::Fuzz, _) => line::<FuzzLine>(),
            (_, true) => {
                return Err(Failure::Message(
                    "error: invalid `--lines`: only `run`, `remedies`, `explore` and `fuzz` have \
                     `--format json-lines`"
                        .to_owned(),
                ));
            }
            (Of::Run, false) => document::<Versioned<RunDocument>>(),
            (Of::Remedies, false) => document::<Versioned<RemediesDocument<'_>>>(),
            (Of::Compare, false) => document::<Versioned<Comparison<'_>>>(),
            (Of::Explore, false) => document::<Versioned<ExploreDocument<'_>>>(),
            (Of::Capacity, false) => document::<Versioned<CapacityDocument<'_>>>(),
            (Of::Lint, false) => document::<Versioned<LintDocument<'_>>>(),
            (Of::Doctor, false) => document::<fourtuple_host::doctor::Report>(),
            (Of::Capture, false) => document::<fourtuple_host::Document>(),
            (Of::Certify, false) => document::<Found>(),
            (Of::Certificates, false) => document::<Certificates>(),
        };
        serde_json::to_writer_pretty(&mut *out, &schema).map_err(std::io::Error::from)?;
        writeln!(out)?;
        Ok(Verdict::Good)
    }
}

/// A generator for what is written, not for what could be read.
fn generator() -> SchemaGenerator {
    let settings = SchemaSettings::draft2020_12();
    settings.for_serialize().into_generator()
}

/// The schema of a document.
fn document<T: JsonSchema>() -> Schema {
    let mut schema = generator().into_root_schema_for::<T>();
    // Words about the Rust type, which no reader knows.
    schema.remove("title");
    schema.remove("description");
    schema
}

/// The schema of a line: content, or the end of a part of a sweep.
fn line<T: JsonSchema>() -> Schema {
    let mut generator = generator();
    let content = generator.subschema_for::<Versioned<T>>();
    let end = generator.subschema_for::<SealLine>();
    json_schema!({
        "$schema": generator.settings().meta_schema,
        "anyOf": [content, end],
        "$defs": generator.take_definitions(true),
    })
}
