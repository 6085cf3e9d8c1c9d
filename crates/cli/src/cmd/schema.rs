//! `fourtuple schema`: the JSON Schemas of the formats.

use std::io::Write as _;

use crate::output::{Failure, Output, Verdict};

/// Prints the JSON Schema of scenarios and other documents.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: fourtuple schema > scenarios/scenario.schema.json\n\nExit status: 0, or 2 if the arguments are invalid."
)]
pub(crate) struct Args {
    /// The kind of document.
    #[arg(long, value_enum, default_value_t = Of::Scenario, value_name = "KIND")]
    of: Of,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Of {
    /// Scenarios.
    Scenario,
    /// Files of `fourtuple capture`.
    Capture,
    /// Reports of `fourtuple doctor --format json`.
    Doctor,
}

impl Args {
    pub(crate) fn run(self, out: &mut Output) -> Result<Verdict, Failure> {
        let schema = match self.of {
            Of::Scenario => {
                out.write_all(fourtuple_scenario::schema_text().as_bytes())?;
                return Ok(Verdict::Good);
            }
            Of::Capture => fourtuple_host::Document::schema(),
            Of::Doctor => fourtuple_host::doctor::Report::schema(),
        };
        serde_json::to_writer_pretty(&mut *out, &schema).map_err(std::io::Error::from)?;
        writeln!(out)?;
        Ok(Verdict::Good)
    }
}
