//! Report formatting for `fourtuple fuzz`.

use fourtuple_kernel::profile::Profile;
use fourtuple_linux::fuzz::{Campaign, End, Tally};
use fourtuple_linux::judge::Counterexample;
use fourtuple_linux::{Program, scenario_text, shrink};
use fourtuple_render::json::Versioned;
use schemars::JsonSchema;
use serde::Serialize;

use crate::output::Failure;

/// An answer that is not allowed, with the shortest scenario that shows it.
pub(super) struct FindingReport {
    /// The answer in the original program.
    found: Counterexample,
    /// The name of the profile.
    profile: String,
    /// True if the scenario is from a shrunk program, to which the kernel gave the answer again.
    shortened: bool,
    /// True if shrinking failed: the kernel did not give the answer again.
    once: bool,
    /// The scenario, which expects the kernel's answer.
    pub(super) scenario: String,
}

impl FindingReport {
    /// Shrinks the program, unless `whole` is set.
    pub(super) fn new(
        campaign: &Campaign,
        profile: &Profile,
        (program, found): &(Program, Counterexample),
        whole: bool,
    ) -> Result<FindingReport, Failure> {
        let shrunk = if whole {
            None
        } else {
            shrink(&campaign.on, campaign.behaviours, program, found)?
        };
        let shortened = shrunk.is_some();
        let (program, last) = match &shrunk {
            Some(shrunk) => (&shrunk.program, &shrunk.found),
            None => (program, found),
        };
        let about = format!(
            "{} answered {} to the last step. {} allows {}",
            campaign.on.name(),
            last.seen,
            profile.name,
            last.allowed.join(", or ")
        );
        Ok(FindingReport {
            found: found.clone(),
            profile: profile.name.clone(),
            shortened,
            once: !whole && !shortened,
            scenario: scenario_text(program, last.step + 1, &profile.name, &about, true),
        })
    }

    /// The finding as text, with the scenario.
    pub(super) fn text(&self) -> String {
        let found = &self.found;
        let mut text = format!(
            "\n{}, step {}: answered {}; {} allows {}\n",
            found.program,
            found.step + 1,
            found.seen,
            self.profile,
            found.allowed.join(", or ")
        );
        if self.once {
            text.push_str(
                "the kernel did not repeat the answer; this is the program up to that step\n",
            );
        }
        for line in self.scenario.lines() {
            text.push_str("    ");
            text.push_str(line);
            text.push('\n');
        }
        text
    }
}

/// The outcome of a program as a line of JSON, independent of the other programs.
pub(super) fn line(
    campaign: &Campaign,
    profile: &Profile,
    tally: &Tally,
    finding: Option<FindingReport>,
) -> Versioned<FuzzLine> {
    let number = campaign.first + tally.number as u64;
    let (end, why) = match &tally.end {
        End::Allowed => (ProgramEnd::Allowed, None),
        End::Disallowed(_) => (ProgramEnd::Disallowed, None),
        End::LeftOut(why) => (ProgramEnd::LeftOut, Some(why.clone())),
    };
    Versioned::new(FuzzLine::Program(ProgramReport {
        name: format!("fuzz-{}-{number}", campaign.seed),
        kernel: campaign.on.name(),
        profile: profile.name.clone(),
        calls: tally.calls,
        end,
        why,
        finding: finding.map(|finding| Disallowed {
            step: finding.found.step + 1,
            seen: finding.found.seen,
            allowed: finding.found.allowed,
            shortened: finding.shortened,
            scenario: finding.scenario,
        }),
    }))
}

/// A line of `fuzz`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum FuzzLine {
    /// The outcome of a program.
    Program(ProgramReport),
}

/// The outcome of a random program on a real kernel.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ProgramReport {
    /// Its name: the seed and its number.
    name: String,
    /// The kernel that ran it.
    kernel: String,
    /// The profile that it was checked against.
    profile: String,
    /// Calls that were checked.
    calls: u64,
    end: ProgramEnd,
    /// Why it was left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(flatten)]
    finding: Option<Disallowed>,
}

/// The end of a program.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum ProgramEnd {
    /// The profile allows every answer.
    Allowed,
    /// The profile does not allow an answer.
    Disallowed,
    /// It did not run, or not to its end.
    LeftOut,
}

/// An answer that the profile does not allow.
#[derive(Debug, Serialize, JsonSchema)]
struct Disallowed {
    /// The step of the program, counted from 1.
    step: usize,
    /// The answer of the kernel.
    seen: String,
    /// The answers that the profile allows.
    allowed: Vec<String>,
    /// True if the scenario is of a shrunk program.
    shortened: bool,
    /// The scenario that shows it.
    scenario: String,
}
