//! `fourtuple schema`: the JSON Schema of the scenario format.

use std::io::Write as _;

use crate::output::{Failure, Output, Verdict};

/// Prints the JSON Schema of scenario files, for editors.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: fourtuple schema > scenarios/scenario.schema.json\n\nExit status: 0, or 2 if the arguments are invalid."
)]
pub(crate) struct Args {}

impl Args {
    pub(crate) fn run(self, out: &mut Output) -> Result<Verdict, Failure> {
        out.write_all(fourtuple_scenario::schema_text().as_bytes())?;
        Ok(Verdict::Good)
    }
}
