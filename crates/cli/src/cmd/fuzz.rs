//! `fourtuple fuzz`: runs random socket programs on a real kernel, and checks each answer against
//! the kernel's profile.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use fourtuple_kernel::Kind;
use fourtuple_kernel::profile::Profile;
use fourtuple_linux::fuzz::{self, Campaign, End, Findings};
use fourtuple_linux::{Target, profile_of, trace};
use fourtuple_render::text::checked::Certificate;

use super::fuzz_engines::Engines;
use super::fuzz_report::{self, FindingReport};
use crate::certificate::Certificates;
use crate::files::{self, Existing};
use crate::output::{Failure, Output, Verdict, complain};
use crate::progress::Progress;
use crate::shard::{Seal, Sweep};

/// Runs random programs on a real kernel, or on several engines.
///
/// With `--on`, every answer of the kernel must be one that its profile allows. A program with a
/// disallowed answer is shrunk to a short scenario that still shows it. With `--engines`, random
/// scenarios run on several engines, which must agree.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER)]
pub(crate) struct Args {
    /// The kernel: `host` for the running one, an image (bzImage), or a name such as debian:6.1.
    #[arg(long, value_name = "host|IMAGE", required_unless_present = "engines")]
    on: Option<String>,
    /// The engines that must agree on random scenarios, such as model,turmoil or
    /// model,turmoil,linux.
    #[arg(
        long,
        value_name = "NAME",
        value_delimiter = ',',
        conflicts_with_all = ["on", "kernel", "record", "certificate", "shard", "format", "jobs"]
    )]
    engines: Option<Vec<String>>,
    /// The protocol of the sockets.
    #[arg(long, value_enum, default_value_t = Protocol::Tcp, conflicts_with = "engines")]
    protocol: Protocol,
    /// Number of programs or scenarios.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    count: u32,
    /// The seed of the programs: the same seed and number give the same program.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// The number of the first program.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=1_000_000_000_000))]
    first: u64,
    /// Profile to check against [default: the profile of the kernel's release].
    #[arg(long, value_name = "NAME")]
    kernel: Option<String>,
    /// Write all programs and their answers to FILE, for `fourtuple certify --on FILE`.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Write a certificate to FILE, to be added to crates/render/data/certificates.json.
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// Write the scenario of each finding to DIR, named after its program.
    #[arg(long, value_name = "DIR")]
    save: Option<PathBuf>,
    /// Report findings without shrinking them.
    #[arg(long)]
    whole: bool,
    #[command(flatten)]
    sweep: Sweep,
    /// Output format.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Programs or virtual machines to run at a time [default: depends on the number of CPUs].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
}

/// The protocol of the sockets of random programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Protocol {
    /// Stream sockets.
    Tcp,
    /// Datagram sockets.
    Udp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// The findings, then a summary.
    Text,
    /// A JSON object on each line, for each program.
    JsonLines,
}

const AFTER: &str = "\
Example: fourtuple fuzz --on host --count 2000 --seed 1 --save findings
         fourtuple fuzz --engines model,turmoil --count 10000 --seed 7
         fourtuple fuzz --on debian:6.1 --seed 2 --record debian-12.jsonl
         fourtuple fuzz --on host --protocol udp --count 2000
         fourtuple fuzz --on host --seed 1 --first 1234 --count 1    # program 1234 alone
         fourtuple fuzz --on host --count 100000 --shard 2/5 --format json-lines

Exit status: 0 if every answer is allowed and the engines agree, 1 if not, 2 if the kernel is unusable or the arguments are invalid.";

impl Args {
    pub(crate) fn run(self, out: &mut Output) -> Result<Verdict, Failure> {
        match (&self.engines, &self.on) {
            (None, Some(on)) => self.on_kernel(out, on),
            (names, _) => {
                if let Some(directory) = &self.save {
                    fs::create_dir_all(directory).map_err(|e| cannot_write(directory, &e))?;
                }
                let engines = Engines {
                    names: names.as_deref().unwrap_or_default(),
                    seed: self.seed,
                    first: self.first,
                    count: self.count.into(),
                    whole: self.whole,
                    save: self.save.as_deref(),
                };
                engines.run(out)
            }
        }
    }

    fn on_kernel(&self, out: &mut Output, on: &str) -> Result<Verdict, Failure> {
        let given = self
            .kernel
            .as_deref()
            .map(super::kernels::find)
            .transpose()?;
        let part = self.sweep.shard.range(self.count as usize);
        if self.record.is_some() && part.len() > trace::MAX_PROGRAMS {
            return Err(Failure::Message(format!(
                "error: {} programs are more than the limit of {} in a recording\n  = help: record fewer with `--count`, or parts of them \
                 with `--shard`",
                part.len(),
                trace::MAX_PROGRAMS
            )));
        }
        // Fails now rather than after all programs have run.
        let directories = [
            self.record.as_deref().and_then(Path::parent),
            self.certificate.as_deref().and_then(Path::parent),
            self.save.as_deref(),
        ];
        for directory in directories.into_iter().flatten() {
            fs::create_dir_all(directory).map_err(|e| cannot_write(directory, &e))?;
        }
        let on = Target::named(on, self.jobs.map(usize::from))?;
        let profile = match given {
            Some(profile) => profile,
            None => profile_of(on.release()).ok_or_else(|| {
                Failure::Message(format!(
                    "error: no profile of kernel {}\n  = help: select one with --kernel; `fourtuple kernels` lists them",
                    on.name()
                ))
            })?,
        };
        let campaign = Campaign {
            on,
            behaviours: profile.behaviours,
            sockets: match self.protocol {
                Protocol::Tcp => Kind::Stream,
                Protocol::Udp => Kind::Datagram,
            },
            seed: self.seed,
            first: self.first + part.start as u64,
            count: part.len(),
            keep: self.record.is_some(),
        };
        if self.format == Format::Text {
            let programs = match campaign.count {
                0 => "no programs".to_owned(),
                n => format!(
                    "programs {} to {}",
                    campaign.first,
                    campaign.first + n as u64 - 1
                ),
            };
            writeln!(
                out,
                "{}, profile {}, seed {}, {programs}",
                campaign.on.name(),
                profile.name,
                self.seed
            )?;
            out.flush()?;
        }
        let findings = {
            let progress = Progress::of(campaign.count);
            let say = |done| progress.at(done, "programs");
            fuzz::run(&campaign, &say)?
        };
        if let Some(file) = &self.record {
            record(file, &campaign.on, &profile, &findings)?;
        }
        let seal = self.seal(&campaign, &profile);
        if let Some(file) = &self.certificate {
            certify(file, &campaign.on, &profile, &findings, seal.as_ref())?;
        }
        let verdict = self.print(out, &campaign, &profile, &findings)?;
        if let (Format::JsonLines, Some(seal)) = (self.format, seal) {
            seal.write(out)?;
        }
        Ok(verdict)
    }

    /// The seal of this part of the campaign.
    fn seal(&self, campaign: &Campaign, profile: &Profile) -> Option<Seal> {
        let numbers = [self.seed, self.first, self.count.into()];
        let items = (numbers.iter().map(u64::to_string))
            .chain([campaign.on.name(), profile.name.clone()])
            .chain(self.whole.then(|| "whole".to_owned()))
            .chain((self.protocol == Protocol::Udp).then(|| "udp".to_owned()));
        self.sweep.shard.seal("fuzz", items)
    }

    /// Shrinks and prints the findings, then a summary.
    fn print(
        &self,
        out: &mut Output,
        campaign: &Campaign,
        profile: &Profile,
        findings: &Findings,
    ) -> Result<Verdict, Failure> {
        let all = findings.disallowed().count();
        let progress = Progress::of(all);
        let mut done = 0;
        for tally in &findings.tallies {
            let finding = match &tally.end {
                End::Disallowed(found) => {
                    progress.at(done, format!("shrinking {}", found.0.program));
                    done += 1;
                    let finding = FindingReport::new(campaign, profile, found, self.whole)?;
                    if let Some(directory) = &self.save {
                        let file = directory.join(format!("{}.yaml", found.0.program));
                        files::write(&file, &finding.scenario, Existing::ReplaceFile)?;
                    }
                    Some(finding)
                }
                _ => None,
            };
            let text = match (self.format, finding) {
                (Format::Text, Some(finding)) => finding.text().into_bytes(),
                (Format::Text, None) => continue,
                (Format::JsonLines, finding) => {
                    let mut line = Vec::new();
                    fuzz_report::line(campaign, profile, tally, finding).write_line(&mut line)?;
                    line
                }
            };
            progress.aside(|| out.write_all(&text).and_then(|()| out.flush()))?;
        }
        drop(progress);
        if self.format == Format::Text {
            sum_up(out, profile, findings)?;
        }
        // A campaign without a checked answer is no evidence, unless it is a part without programs.
        if findings.calls == 0 && campaign.count > 0 {
            out.flush()?;
            return Err(Failure::Message(
                "error: no answer could be checked".to_owned(),
            ));
        }
        Ok(if all == 0 {
            Verdict::Good
        } else {
            Verdict::Bad
        })
    }
}

/// Prints the totals, and the reasons why programs were left out.
fn sum_up(out: &mut Output, profile: &Profile, findings: &Findings) -> Result<(), Failure> {
    // Many programs may be left out for one reason.
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for reason in findings.left_out() {
        *reasons.entry(reason).or_default() += 1;
    }
    for (reason, count) in &reasons {
        complain(&format!("left out ({count}): {reason}"));
    }
    writeln!(
        out,
        "\n{} programs, {} calls: {} answers that {} does not allow, {} programs left out",
        findings.programs,
        findings.calls,
        findings.disallowed().count(),
        profile.name,
        findings.left_out().count()
    )?;
    Ok(())
}

/// Writes the certificate of the kernel.
fn certify(
    file: &Path,
    on: &Target,
    profile: &Profile,
    findings: &Findings,
    seal: Option<&Seal>,
) -> Result<(), Failure> {
    let mut all = Certificates::to_extend(file, seal)?;
    let certificate = Certificate {
        programs: findings.programs,
        calls: findings.calls,
        disallowed: findings.disallowed().count() as u64,
        ..Certificate::new(on.release(), on.how())
    };
    all.put(&profile.name, certificate);
    all.write(file)
}

/// Writes the programs, each boot of the kernel with a header of its own.
fn record(file: &Path, on: &Target, profile: &Profile, findings: &Findings) -> Result<(), Failure> {
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
    let size = lines.len() as u64;
    files::write(file, lines, Existing::Replace)?;
    // A recording may have taken long, so it is kept even if it is too large.
    if let Some(words) = too_large(size) {
        complain(&format!("{}: {words}", file.display()));
    }
    Ok(())
}

/// The warning about a recording that is too large for `certify`, if it is. `size` is in bytes.
fn too_large(size: u64) -> Option<String> {
    let most = trace::MAX_FILE_BYTES;
    (size > most).then(|| {
        format!(
            "`certify` reads at most {most} bytes, but the recording has {size}; split it where a boot begins, or \
             record parts with `--shard`"
        )
    })
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    let kind = error.kind();
    Failure::Message(format!("error: failed to write {}: {kind}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_that_cannot_be_read_again_is_reported() {
        assert_eq!(too_large(trace::MAX_FILE_BYTES), None);
        let words = too_large(trace::MAX_FILE_BYTES + 1).expect("a message");
        assert!(
            words.contains("268435456") && words.contains("--shard"),
            "{words}"
        );
    }
}
