//! Scenario files to cases.

use std::path::{Path, PathBuf};

use fourtuple_harness::runner;
use fourtuple_scenario::{
    Case, Errors, KernelNames, KernelSelector, Scenario, discover, expand, expandable, load,
};

use crate::budget::Budget;
use crate::output::Failure;
use crate::parallel;

/// Options that change what a scenario says, and how much it may take.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Overrides {
    /// Kernels to run on instead of the scenario's own: names, ranges such as linux-4.2..linux-6.1, or all.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) kernel: Vec<String>,
    /// Seed of everything that is random, instead of the scenario's own.
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    #[command(flatten)]
    pub(crate) budget: Budget,
}

/// A scenario with its cases.
#[derive(Debug)]
pub(crate) struct Selected {
    pub(crate) scenario: Scenario,
    pub(crate) cases: Vec<Case>,
}

/// The cases that have to run.
pub(crate) fn fold(selected: Vec<Selected>) -> Vec<Folded> {
    parallel::map(selected, |one| Folded {
        cases: runner::fold(&one.scenario, one.cases),
        scenario: one.scenario,
    })
}

/// A scenario with the cases of it that have to run.
#[derive(Debug)]
pub(crate) struct Folded {
    pub(crate) scenario: Scenario,
    pub(crate) cases: Vec<runner::Folded>,
}

/// Reads all scenarios under some paths. What is wrong with any of them is told together, before anything runs.
pub(crate) fn all(paths: &[PathBuf], overrides: &Overrides) -> Result<Vec<Selected>, Failure> {
    let names = fourtuple_harness::kernels::names();
    check_kernels(&names, &overrides.kernel)?;
    let mut selected = Vec::new();
    let mut wrong: Option<Errors> = None;
    let read = |file: PathBuf| read(&file, &names, overrides);
    for one in parallel::map(discover(paths)?, read) {
        match one {
            Ok(one) => selected.push(one),
            Err(errors) => {
                wrong = Some(match wrong {
                    None => errors,
                    Some(others) => others.merge(errors),
                });
            }
        }
    }
    match wrong {
        None => Ok(selected),
        Some(errors) => Err(errors.into()),
    }
}

/// Reads one scenario.
pub(crate) fn one(file: &Path, overrides: &Overrides) -> Result<Selected, Failure> {
    let names = fourtuple_harness::kernels::names();
    check_kernels(&names, &overrides.kernel)?;
    Ok(read(file, &names, overrides)?)
}

fn read(file: &Path, names: &KernelNames, overrides: &Overrides) -> Result<Selected, Errors> {
    let mut scenario = load(file)?;
    if !overrides.kernel.is_empty() {
        // The scenario's own kernels are checked even if others are asked for.
        expandable(&scenario, names)?;
        scenario.kernel = KernelSelector::of(&overrides.kernel);
    }
    let mut cases = expand(&scenario, names)?;
    if let Some(seed) = overrides.seed {
        for case in &mut cases {
            case.seed = seed;
        }
    }
    Ok(Selected { scenario, cases })
}

/// Kernels from the command line have no place in a file to point at, so that they are looked up here.
pub(crate) fn check_kernels(names: &KernelNames, asked: &[String]) -> Result<(), Failure> {
    for pattern in asked {
        let ends = pattern
            .split("..")
            .map(str::trim)
            .filter(|name| !name.is_empty() && *name != "all");
        for name in ends {
            if !names.contains(name) {
                let near = names.nearest(name);
                let help = match near.as_slice() {
                    [] => "`fourtuple kernels` lists the names".to_owned(),
                    near => format!("did you mean `{}`?", near.join("` or `")),
                };
                return Err(Failure::Told(format!(
                    "error: unknown kernel `{name}`\n  = help: {help}"
                )));
            }
        }
    }
    Ok(())
}
