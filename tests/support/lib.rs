//! Functions that the tests of the regression suite share. The suite lives in `tests/`; this
//! package exists so that its snapshots sit at the top of the repository, where `cargo insta
//! review` finds them.

pub mod certified;
pub mod flaky;
pub mod index;

use std::path::{Path, PathBuf};

pub use fourtuple_harness::runner::is_full_size;
use fourtuple_harness::{Engine, Model, ScenarioReport, kernels, runner};
use fourtuple_scenario::{Case, expand, load};
use fourtuple_turmoil::engine::{Stock, Turmoil};

/// The top of the repository.
#[must_use]
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The engines that scenarios run on here: all that need nothing but Rust, or the model alone at
/// full size. `fourtuple run` has all engines for all of them.
#[must_use]
pub fn engines(cases: &[Case]) -> Vec<Box<dyn Engine>> {
    if is_full_size(cases) {
        return vec![Box::new(Model)];
    }
    vec![Box::new(Model), Box::new(Turmoil), Box::new(Stock)]
}

/// A scenario's path below the top of the repository.
#[must_use]
pub fn relative(path: &Path) -> PathBuf {
    path.strip_prefix(root()).unwrap_or(path).to_owned()
}

/// Runs a scenario file on its engines.
///
/// # Panics
/// When the file is no valid scenario.
#[must_use]
pub fn run(path: &Path) -> ScenarioReport {
    let mut scenario = load(path).unwrap_or_else(|errors| panic!("{errors}"));
    // Snapshots are the same wherever the repository lies.
    scenario.file = relative(path).to_string_lossy().replace('\\', "/");
    let cases = expand(&scenario, &kernels::names()).unwrap_or_else(|errors| panic!("{errors}"));
    let engines = engines(&cases);
    let engines: Vec<&dyn Engine> = engines.iter().map(AsRef::as_ref).collect();
    runner::run(&scenario, cases, &engines)
}

/// Every scenario of the corpus, sorted by path.
///
/// # Panics
/// When a directory cannot be read.
#[must_use]
pub fn scenarios() -> Vec<PathBuf> {
    let mut found = files(&root().join("scenarios"));
    found.retain(|path| path.extension().is_some_and(|ending| ending == "yaml"));
    found
}

/// Every file below a directory, sorted.
///
/// # Panics
/// When a directory cannot be read.
#[must_use]
pub fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        let entries = std::fs::read_dir(&directory)
            .unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
        for entry in entries {
            let path = entry.expect("a directory entry").path();
            if path.is_dir() {
                directories.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
