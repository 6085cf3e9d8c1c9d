//! Report formatting for `fourtuple fuzz`.

use fourtuple_kernel::profile::Profile;
use fourtuple_linux::fuzz::{Campaign, End, Tally};
use fourtuple_linux::judge::Counterexample;
use fourtuple_linux::{Program, scenario_text, shrink};

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
) -> String {
    let number = campaign.first + tally.number as u64;
    let mut program = serde_json::json!({
        "name": format!("fuzz-{}-{number}", campaign.seed),
        "kernel": campaign.on.name(),
        "profile": profile.name,
        "calls": tally.calls,
        "end": match &tally.end {
            End::Allowed => "allowed",
            End::Disallowed(_) => "disallowed",
            End::LeftOut(_) => "left-out",
        },
    });
    if let End::LeftOut(why) = &tally.end {
        program["why"] = why.as_str().into();
    }
    if let Some(finding) = finding {
        program["step"] = (finding.found.step + 1).into();
        program["seen"] = finding.found.seen.into();
        program["allowed"] = finding.found.allowed.into();
        program["shortened"] = finding.shortened.into();
        program["scenario"] = finding.scenario.into();
    }
    format!(
        "{}\n",
        serde_json::json!({ "format": 1, "program": program })
    )
}
