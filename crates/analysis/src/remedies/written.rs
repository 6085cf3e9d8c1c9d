//! A row of the table as a scenario that stands by itself.

use fourtuple_harness::tally;
use fourtuple_scenario::{
    Answer, Case, Check, ExpectBlock, Expected, KernelNames, Program, Scenario, Step, expand, parse,
};
use indexmap::IndexMap;

use super::{Remedies, Remedy};

/// The changed scenario as YAML, with what the row says as its expectations, so that `run` on it
/// succeeds exactly if the row is right. Nothing for a row that has no changed case.
#[must_use]
pub fn scenario_of(
    all: &Remedies,
    remedy: &Remedy,
    source: &[String],
    names: &KernelNames,
) -> Option<String> {
    let mut case = changed_case(remedy)?;
    case.about = format!("{} With this change: {}", all.about, sentence(remedy));
    let mut scenario = Scenario::from_case(&case);
    scenario.source = source.to_vec();
    let plain = scenario.clone();

    let mut body = case.body();
    let mut checks = Vec::new();
    for tally in tally(&remedy.attempts) {
        let mut counts: IndexMap<Answer, u32> = IndexMap::new();
        for (answer, count) in &tally.answers {
            counts.insert(Answer::from_name(answer.word())?, *count);
        }
        let check = Check {
            process: tally.process.to_string(),
            op: tally.op,
            expected: Expected::Counts(counts),
        };
        checks.push(check.into());
    }
    body.expect = vec![ExpectBlock {
        kernel: None,
        checks,
    }];
    let mut scenario = Scenario::new(case.about.clone(), scenario.kernel.clone(), body);
    scenario.source = source.to_vec();
    // What a tool made is checked by reading it; expectations that the format has no words for are
    // left out.
    let reads =
        |text: &str| parse("remedy.yaml", text).is_ok_and(|read| expand(&read, names).is_ok());
    let text = scenario.to_yaml();
    if reads(&text) {
        return Some(text);
    }
    Some(plain.to_yaml())
}

/// The changed case without expectations, which were about the unchanged one. Nothing for a row
/// that has no changed case.
fn changed_case(remedy: &Remedy) -> Option<Case> {
    remedy.case.as_ref().map(without_expectations)
}

fn without_expectations(case: &Case) -> Case {
    let mut case = case.clone();
    case.expect.clear();
    forget_expectations(&mut case);
    case
}

/// A scenario's text with a fix.
#[derive(Clone, Debug)]
pub struct Edited {
    /// The text with the fix.
    pub text: String,
    /// The text without it, in the same layout.
    pub before: String,
    /// True for an edit of the scenario's own text; false if all of it is written anew, without
    /// comments and at one point of the matrix.
    pub keeps_layout: bool,
}

/// The scenario with the fix that was tried on one of its cases: its question, its sources, its
/// kernels and its seed stay, expectations of the old outcome do not. Nothing for a fix that
/// changes nothing in the scenario, such as another kernel.
#[must_use]
pub fn edited(scenario: &Scenario, case: &Case, remedy: &Remedy) -> Option<Edited> {
    let mut changed = changed_case(remedy)?.body();
    let points = scenario.points();
    let point = points.iter().position(|one| one.axes == *case.axes)?;
    // Fixes are tried at several seeds, and the page may override that of the scenario.
    changed.seed = points[point].body.seed;
    let mut plain = without_expectations(case).body();
    plain.seed = changed.seed;
    if plain == changed {
        return None;
    }
    let rewritten = scenario.rewritten(&changed).to_yaml();
    // A change may leave a step without its socket, which no text of a scenario may have.
    parse("rewritten.yaml", &rewritten).ok()?;
    if let Some(text) = scenario.edited(point, &changed) {
        return Some(Edited {
            text,
            before: scenario.text().to_owned(),
            keeps_layout: true,
        });
    }
    let mut body = case.body();
    body.seed = changed.seed;
    Some(Edited {
        text: rewritten,
        before: scenario.rewritten(&body).to_yaml(),
        keeps_layout: false,
    })
}

fn sentence(remedy: &Remedy) -> String {
    if remedy.change.is_empty() {
        remedy.name.clone()
    } else {
        format!("{} ({})", remedy.name, remedy.change)
    }
}

/// The steps' own expectations were about the unchanged scenario.
fn forget_expectations(case: &mut Case) {
    let Program::Steps(steps) = case.program_mut() else {
        return;
    };
    for step in steps {
        match &mut step.value {
            Step::Socket(step) => step.expect.clear(),
            Step::Set(step) => step.expect.clear(),
            Step::Bind(step) => {
                step.expect.clear();
                step.expect_port = None;
                step.expect_local = None;
            }
            Step::Listen(step) => {
                step.expect.clear();
                step.expect_port = None;
                step.expect_local = None;
            }
            Step::Connect(step) => {
                step.expect.clear();
                step.expect_port = None;
                step.expect_local = None;
                step.expect_peer = None;
            }
            Step::Accept(step) => {
                step.expect.clear();
                step.expect_local = None;
                step.expect_peer = None;
            }
            Step::Send(step) | Step::Recv(step) => step.expect.clear(),
            Step::Sendto(step) => {
                step.expect.clear();
                step.expect_port = None;
                step.expect_local = None;
            }
            Step::Recvfrom(step) => {
                step.expect.clear();
                step.expect_port = None;
                step.expect_peer = None;
            }
            Step::Shutdown(step) => step.expect.clear(),
            Step::Disconnect(step) | Step::Close(step) => step.expect.clear(),
            Step::Getsockname(step) | Step::Getpeername(step) => {
                step.expect.clear();
                step.expect_port = None;
                step.expect_address = None;
            }
            Step::Sysctl(_) | Step::Sleep(_) => {}
        }
    }
}
