//! Loads scenario files and expands them to cases.

use std::path::{Path, PathBuf};

use fourtuple_harness::threads;
use fourtuple_scenario::{Errors, KernelNames, KernelSelector, discover, expand, expandable, load};

use crate::budget::Budget;
use crate::output::{Failure, complain};
use crate::selected::Selected;

/// Options that override settings of a scenario, and limits.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Overrides {
    /// Kernels to run on instead of the scenario's own: names, ranges such as linux-4.2..linux-6.1,
    /// all, a release as `uname -r` prints it, or host for the running kernel.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) kernel: Vec<String>,
    /// Seed of everything that is random, instead of the scenario's own.
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Ticks per second (CONFIG_HZ) of every kernel, unless a host or a recording sets it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(24..=1200))]
    pub(crate) hz: Option<u32>,
    #[command(flatten)]
    pub(crate) budget: Budget,
}

/// Reads all scenarios below some paths. Errors from all files are collected and reported before
/// any run.
pub(crate) fn all(paths: &[PathBuf], overrides: &Overrides) -> Result<Vec<Selected>, Failure> {
    let names = fourtuple_harness::kernels::names();
    let overrides = &overrides.resolved()?;
    let mut selected = Vec::new();
    let mut wrong: Option<Errors> = None;
    let read = |file: PathBuf| read(&file, &names, overrides);
    for one in threads::map(threads::cpus(), discover(paths)?, read) {
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
    Ok(read(file, &names, &overrides.resolved()?)?)
}

fn read(file: &Path, names: &KernelNames, overrides: &Overrides) -> Result<Selected, Errors> {
    let mut scenario = load(file)?;
    if !overrides.kernel.is_empty() {
        // The scenario's own kernels are validated even if others are selected.
        expandable(&scenario, names)?;
        scenario.kernel = KernelSelector::of(&overrides.kernel);
    }
    let mut cases = expand(&scenario, names)?;
    if let Some(seed) = overrides.seed {
        for case in &mut cases {
            case.seed = seed;
        }
    }
    if let Some(hz) = overrides.hz {
        for host in cases
            .iter_mut()
            .flat_map(|case| case.hosts_mut().values_mut())
        {
            host.hz.get_or_insert(hz);
        }
    }
    Ok(Selected { scenario, cases })
}

impl Overrides {
    /// Resolves kernels to the names of their profiles.
    fn resolved(&self) -> Result<Self, Failure> {
        Ok(Overrides {
            kernel: kernels(&self.kernel)?,
            ..self.clone()
        })
    }
}

/// Resolves the kernels of a command line to the names of their profiles; a note on standard error
/// reports the profile of a release. They are looked up here because they have no position in a
/// file to point at.
pub(crate) fn kernels(asked: &[String]) -> Result<Vec<String>, Failure> {
    let names = fourtuple_harness::kernels::names();
    let mut found = Vec::with_capacity(asked.len());
    for pattern in asked {
        let mut ends = Vec::new();
        for end in pattern.split("..").map(str::trim) {
            ends.push(match end {
                "" | "all" => end.to_owned(),
                name => kernel(&names, name)?,
            });
        }
        found.push(ends.join(".."));
    }
    Ok(found)
}

/// Resolves one kernel to the name of its profile.
pub(crate) fn kernel(names: &KernelNames, asked: &str) -> Result<String, Failure> {
    if names.contains(asked) {
        return Ok(asked.to_owned());
    }
    let release = match asked {
        "host" => running()?,
        _ => asked.to_owned(),
    };
    if let Some(profile) = fourtuple_linux::profile_of(&release) {
        let branch = profile
            .name
            .rsplit_once('.')
            .map_or("", |(branch, _)| branch);
        let known = || profile.names.iter().filter(|name| names.contains(name));
        let of_branch = format!("{branch}.");
        let mut own = known().filter(|name| name.starts_with(&of_branch));
        if let Some(name) = own.next().or_else(|| known().next()) {
            complain(&format!("note: {release} has the profile {name}"));
            return Ok(name.clone());
        }
        // Few stable releases have names; the end of the branch is the nearest.
        if names.contains(branch) {
            complain(&format!(
                "note: {release} runs as {branch}; its own stable release behaves differently in places"
            ));
            return Ok(branch.to_owned());
        }
    }
    let near = names.nearest(asked);
    let help = match near.as_slice() {
        [] => "`fourtuple kernels` lists the names".to_owned(),
        near => format!("did you mean `{}`?", near.join("` or `")),
    };
    Err(Failure::Message(match asked {
        "host" => format!("error: the running kernel {release} has no profile\n  = help: {help}"),
        _ => format!("error: unknown kernel `{asked}`\n  = help: {help}"),
    }))
}

/// The release of the running kernel.
fn running() -> Result<String, Failure> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").map_err(|error| {
        Failure::Message(format!(
            "error: the release of the running kernel is unknown: {}",
            error.kind()
        ))
    })?;
    Ok(release.trim().to_owned())
}
