//! `fourtuple fuzz`: random socket programs on a real kernel, each answer checked against the kernel's profile.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use fourtuple_kernel::profile::Profile;
use fourtuple_linux::fuzz::{self, Campaign, Findings};
use fourtuple_linux::judge::Counterexample;
use fourtuple_linux::{On, Program, RunError, profile_of, scenario_text, shrink, trace};

use crate::certificate::{Certificate, Certificates};
use crate::files::{self, Existing};
use crate::output::{Failure, Output, Verdict, complain};
use crate::progress::Progress;

/// Runs random socket programs on a real kernel; every answer must be one that the kernel's profile allows. An answer that is not is
/// made into the shortest scenario that still shows it.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER)]
pub(crate) struct Args {
    /// The kernel: `host` for the running one, a kernel image (bzImage), or a name such as `debian:6.1`.
    #[arg(long, value_name = "host|IMAGE")]
    on: String,
    /// How many programs.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    count: u32,
    /// The seed of the programs: the same seed and number give the same program.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// The number of the first program, to share the work between machines.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=1_000_000_000_000))]
    first: u64,
    /// The profile to check against; the one of the kernel's release if left out.
    #[arg(long, value_name = "NAME")]
    kernel: Option<String>,
    /// Keeps all programs with their answers in this file, for `fourtuple certify --on FILE`.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Takes the result down in this file, from which `fourtuple kernels NAME` tells it.
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// Keeps the scenario of each finding in this directory, under the name of its program.
    #[arg(long, value_name = "DIR")]
    save: Option<PathBuf>,
    /// Tells findings as they are, without a search for a shorter program that shows the same.
    #[arg(long)]
    whole: bool,
    /// How many programs, or virtual machines, run at a time; what suits the machine if left out.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
}

const AFTER: &str = "\
Example: fourtuple fuzz --on host --count 2000 --seed 1 --save findings
         fourtuple fuzz --on debian:6.1 --seed 2 --record debian-12.jsonl
         fourtuple fuzz --on host --seed 1 --first 1234 --count 1    # program 1234 alone

Exit status: 0 if every answer is allowed, 1 if not, 2 if the kernel cannot be used or the call is wrong.";

/// A finding as it is told: the program, shortened if the kernel gave the answer again, and what is wrong with its last step.
struct Told {
    program: Program,
    found: Counterexample,
    shrunk: bool,
}

impl Told {
    fn whole(program: &Program, found: &Counterexample) -> Told {
        Told {
            program: program.clone(),
            found: found.clone(),
            shrunk: false,
        }
    }
}

impl Args {
    pub(crate) fn run(self, out: &mut Output) -> Result<Verdict, Failure> {
        let given = self
            .kernel
            .as_deref()
            .map(super::kernels::find)
            .transpose()?;
        // Better told now than after all programs have run.
        let directories = [
            self.record.as_deref().and_then(Path::parent),
            self.certificate.as_deref().and_then(Path::parent),
            self.save.as_deref(),
        ];
        for directory in directories.into_iter().flatten() {
            fs::create_dir_all(directory).map_err(|e| cannot_write(directory, &e))?;
        }
        let on = On::named(&self.on, self.jobs.map(usize::from)).map_err(told)?;
        let profile = match given {
            Some(profile) => profile,
            None => profile_of(on.release()).ok_or_else(|| {
                Failure::Told(format!(
                    "error: no profile is known for {}\n  = help: name the one to check against with --kernel; `fourtuple kernels` \
                     lists them",
                    on.name()
                ))
            })?,
        };
        writeln!(
            out,
            "{}, profile {}, seed {}, programs {} to {}",
            on.name(),
            profile.name,
            self.seed,
            self.first,
            self.first + u64::from(self.count) - 1
        )?;
        out.flush()?;
        let campaign = Campaign {
            on,
            behaviours: profile.behaviours,
            seed: self.seed,
            first: self.first,
            count: self.count as usize,
            keep: self.record.is_some(),
        };
        let findings = {
            let progress = Progress::of(campaign.count);
            let say = |done| progress.at(done, "programs");
            fuzz::run(&campaign, &say).map_err(told)?
        };
        if let Some(file) = &self.record {
            record(file, &campaign.on, &profile, &findings)?;
        }
        if let Some(file) = &self.certificate {
            certify(file, &campaign.on, &profile, &findings)?;
        }
        self.tell(out, &campaign, &profile, &findings)
    }

    /// Shrinks and tells the findings, and sums up.
    fn tell(
        &self,
        out: &mut Output,
        campaign: &Campaign,
        profile: &Profile,
        findings: &Findings,
    ) -> Result<Verdict, Failure> {
        let all = findings.disallowed.len();
        let progress = Progress::of(all);
        for (n, (program, found)) in findings.disallowed.iter().enumerate() {
            progress.at(n, format!("shortening {}", program.program));
            let finding = if self.whole {
                Told::whole(program, found)
            } else {
                shortest(campaign, program, found)?
            };
            let scenario = self.scenario(campaign, profile, &finding);
            let allowed = found.allowed.join(", or ");
            let mut text = format!(
                "\n{}, step {}: answered {}; {} allows {allowed}\n",
                found.program,
                found.step + 1,
                found.seen,
                profile.name,
            );
            if !finding.shrunk && !self.whole {
                text.push_str(
                    "the kernel did not answer so again; this is the program up to that step\n",
                );
            }
            for line in scenario.lines() {
                text.push_str("    ");
                text.push_str(line);
                text.push('\n');
            }
            progress.aside(|| out.write_all(text.as_bytes()).and_then(|()| out.flush()))?;
            if let Some(directory) = &self.save {
                let file = directory.join(format!("{}.yaml", found.program));
                files::write(&file, &scenario, Existing::Replace)?;
            }
        }
        drop(progress);
        // Many programs may be left out for one reason.
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        for reason in &findings.left_out {
            *reasons.entry(reason).or_default() += 1;
        }
        for (reason, count) in &reasons {
            complain(&format!("left out ({count}): {reason}"));
        }
        writeln!(
            out,
            "\n{} programs, {} calls: {all} answers that {} does not allow, {} programs left out",
            findings.programs,
            findings.calls,
            profile.name,
            findings.left_out.len()
        )?;
        // A campaign in which nothing could be judged has not shown anything.
        Ok(if all == 0 && findings.calls > 0 {
            Verdict::Good
        } else {
            Verdict::Bad
        })
    }

    /// A finding as a scenario, which expects what the kernel answered.
    fn scenario(&self, campaign: &Campaign, profile: &Profile, finding: &Told) -> String {
        let about = format!(
            "{} answered {} to the last step. {} allows {}",
            campaign.on.name(),
            finding.found.seen,
            profile.name,
            finding.found.allowed.join(", or ")
        );
        scenario_text(
            &finding.program,
            finding.found.step + 1,
            &profile.name,
            &about,
            true,
        )
    }
}

fn shortest(
    campaign: &Campaign,
    program: &Program,
    found: &Counterexample,
) -> Result<Told, Failure> {
    let shrunk = shrink(&campaign.on, campaign.behaviours, program, found).map_err(told)?;
    Ok(match shrunk {
        Some(shrunk) => Told {
            program: shrunk.program,
            found: shrunk.found,
            shrunk: true,
        },
        None => Told::whole(program, found),
    })
}

/// Takes down what was found about the kernel.
fn certify(file: &Path, on: &On, profile: &Profile, findings: &Findings) -> Result<(), Failure> {
    let mut all = Certificates::read(file)?;
    let certificate = Certificate {
        programs: findings.programs,
        calls: findings.calls,
        disallowed: findings.disallowed.len() as u64,
        ..Certificate::new(on.release(), on.how())
    };
    all.put(&profile.name, certificate);
    all.write(file)
}

/// Writes the programs, each boot of the kernel with a header of its own.
fn record(file: &Path, on: &On, profile: &Profile, findings: &Findings) -> Result<(), Failure> {
    let header = trace::Header::new(&on.name(), on.release(), &profile.name);
    let mut boots: Vec<trace::Boot> = Vec::new();
    for (n, program) in &findings.kept {
        if boots.is_empty() || on.begins_boot(*n) {
            boots.push(trace::Boot {
                header: Some(header.clone()),
                programs: Vec::new(),
            });
        }
        if let Some(boot) = boots.last_mut() {
            boot.programs.push(program.clone());
        }
    }
    let mut lines = Vec::new();
    trace::write(&mut lines, &boots)?;
    files::write(file, lines, Existing::Replace)
}

fn told(error: RunError) -> Failure {
    Failure::Told(format!("error: {error}"))
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    let kind = error.kind();
    Failure::Told(format!(
        "error: {} cannot be written: {kind}",
        path.display()
    ))
}
