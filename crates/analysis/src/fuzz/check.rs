//! Checks of the answers of engines to generated scenarios.

use fourtuple_harness::runner::{self, Folded};
use fourtuple_harness::{
    Agreement, CaseReport, Engine, EngineRun, External, RunReport, SeededRng, Standing, kernels,
    threads,
};
use fourtuple_scenario::{Scenario, expand, parse};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Shape, count, family, scenario};

/// A defect that no engine may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A generated scenario cannot be read back from its text.
    Unreadable,
    /// An engine panics.
    Panic,
    /// An engine answers unlike the reference, or a real kernel gives an answer that its profile
    /// does not allow.
    Disagreement,
    /// An engine answers otherwise after other scenarios, or on another thread.
    Order,
    /// The number of attempts does not follow from the file.
    Count,
    /// The family of a socket does not follow from the file.
    Family,
}

impl Kind {
    /// The kind in a word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Unreadable => "unreadable",
            Kind::Panic => "panic",
            Kind::Disagreement => "disagreement",
            Kind::Order => "order",
            Kind::Count => "count",
            Kind::Family => "family",
        }
    }
}

/// A scenario that shows what no engine may do.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The number of the scenario.
    pub number: u64,
    /// The kind.
    pub kind: Kind,
    /// The engine whose answer is wrong, if it is one engine's.
    pub engine: Option<&'static str>,
    /// In a sentence.
    pub what: String,
    /// The scenario.
    pub scenario: Scenario,
}

/// The engines that are compared.
#[derive(Clone, Copy)]
pub struct Engines<'a> {
    /// All of them.
    pub all: &'a [&'a dyn Engine],
    /// Those of them that run elsewhere.
    pub external: &'a [&'a dyn External],
}

/// Scenarios that are examined together, because each is also run after others of them.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// The seed.
    pub seed: u64,
    /// Number of the first.
    pub first: u64,
    /// The count.
    pub count: u64,
    /// Which scenarios the engines can run.
    pub shape: &'a Shape,
}

/// The result of a batch.
#[derive(Clone, Debug, Default)]
pub struct Examined {
    /// The findings, by number.
    pub findings: Vec<Finding>,
    /// Runs of engines.
    pub runs: u64,
    /// Attempts that were compared.
    pub attempts: u64,
    /// Runs that an engine left out, by its reason.
    pub left_out: std::collections::BTreeMap<String, u64>,
}

/// A generated scenario, read back, with its cases.
struct Ready {
    number: u64,
    scenario: Scenario,
    cases: Vec<Folded>,
}

/// Makes the scenarios of a batch and runs them: each case of its own, in order, and then in a
/// random order on two threads, with the cases of a scenario together.
#[must_use]
pub fn examine(batch: &Batch<'_>, engines: Engines<'_>) -> Examined {
    let mut examined = Examined::default();
    let mut ready = Vec::new();
    for number in batch.first..batch.first + batch.count {
        let made = scenario(batch.seed, number, batch.shape);
        match read_back(number, &made) {
            Ok(one) => ready.push(one),
            Err(what) => examined.findings.push(Finding {
                number,
                kind: Kind::Unreadable,
                engine: None,
                what,
                scenario: made,
            }),
        }
    }
    prepare(&ready, engines.external);
    let together = shuffled(&ready, engines.all, batch.seed ^ batch.first);
    for (one, together) in ready.iter().zip(together) {
        examined.take(one, together, engines.all);
    }
    examined.findings.sort_by_key(|finding| finding.number);
    examined
}

/// Examines a single scenario in the same way. What depends on other scenarios is not found.
pub(super) fn alone(scenario: &Scenario, number: u64, engines: Engines<'_>) -> Option<Finding> {
    let ready = [read_back(number, scenario).ok()?];
    prepare(&ready, engines.external);
    let together = shuffled(&ready, engines.all, 0).pop()?;
    let mut examined = Examined::default();
    examined.take(&ready[0], together, engines.all);
    examined.findings.pop()
}

/// A scenario as a reader of its text sees it.
fn read_back(number: u64, made: &Scenario) -> Result<Ready, String> {
    let text = made.to_yaml();
    let scenario = parse(&made.file, &text).map_err(|e| e.to_string())?;
    let cases = expand(&scenario, &kernels::names()).map_err(|e| e.to_string())?;
    let cases = runner::fold(&scenario, cases);
    Ok(Ready {
        number,
        scenario,
        cases,
    })
}

/// Lets engines that have a real kernel run everything at once.
fn prepare(ready: &[Ready], engines: &[&dyn External]) {
    let cases: Vec<_> = ready
        .iter()
        .flat_map(|one| &one.cases)
        .map(|(case, profile, _)| (&**case, &**profile))
        .collect();
    for engine in engines {
        engine.prepare(&cases);
    }
}

type Caught<T> = Result<T, String>;

fn caught<T>(work: impl FnOnce() -> T) -> Caught<T> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| message(&*payload))
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned());
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "a panic without a message".to_owned())
}

/// Runs scenarios as the runner does, in a random order, on two threads.
fn shuffled(ready: &[Ready], engines: &[&dyn Engine], seed: u64) -> Vec<Caught<Vec<CaseReport>>> {
    let order = SeededRng::new(seed, 0).shuffled(ready.len());
    let mut done = threads::map(2, order, |n| {
        let one = &ready[n];
        let reports = caught(|| runner::run_folded(&one.scenario, &one.cases, engines).cases);
        (n, reports)
    });
    done.sort_by_key(|(n, _)| *n);
    done.into_iter().map(|(_, reports)| reports).collect()
}

impl Examined {
    /// Adds the result of another batch.
    pub fn add(&mut self, other: Examined) {
        self.findings.extend(other.findings);
        self.runs += other.runs;
        self.attempts += other.attempts;
        for (reason, count) in other.left_out {
            *self.left_out.entry(reason).or_default() += count;
        }
    }

    /// Judges a scenario: `together` is what the engines answered in another order.
    fn take(&mut self, one: &Ready, together: Caught<Vec<CaseReport>>, engines: &[&dyn Engine]) {
        let mut found = None;
        match together {
            Err(what) => found = Some((Kind::Panic, None, what)),
            Ok(reports) => {
                for (report, (case, profile, _)) in reports.iter().zip(&one.cases) {
                    self.tally(report);
                    found = found.or_else(|| wrong(report));
                    for (engine, run) in engines.iter().zip(&report.runs) {
                        // A real kernel's ports are its own each time.
                        if engine.standing(case) == Standing::MustBeAllowed {
                            continue;
                        }
                        let again = caught(|| engine.run(case, profile));
                        let differs = match &again {
                            Err(what) => Some((Kind::Panic, Some(engine.name()), what.clone())),
                            Ok(again) => {
                                let again = again.as_ref().ok();
                                let what = differs(run.report(), again);
                                what.map(|what| (Kind::Order, Some(engine.name()), what))
                            }
                        };
                        found = found.or(differs);
                    }
                }
            }
        }
        if let Some((kind, engine, what)) = found {
            self.findings.push(Finding {
                number: one.number,
                kind,
                engine,
                what,
                scenario: one.scenario.clone(),
            });
        }
    }

    fn tally(&mut self, report: &CaseReport) {
        for run in &report.runs {
            match run {
                EngineRun::Ran(report) => {
                    self.runs += 1;
                    self.attempts += report.attempts.len() as u64;
                }
                EngineRun::NotRun { engine, reason } => {
                    let reason = format!("{engine}: {reason}");
                    *self.left_out.entry(reason).or_default() += 1;
                }
            }
        }
    }
}

type Wrong = (Kind, Option<&'static str>, String);

/// Finds what is wrong with the runs of a case as they are.
fn wrong(report: &CaseReport) -> Option<Wrong> {
    let disagrees = |one: &&Agreement| one.fails();
    if let Some(one) = report.agreement.iter().find(disagrees) {
        let first = one.first.as_ref().map_or_else(String::new, |first| {
            let answer =
                |answer: &Option<String>| answer.clone().unwrap_or_else(|| "nothing".into());
            format!(
                ": attempt {}, {}: {} answers {}, {} {}",
                first.n,
                first.call,
                one.engine,
                answer(&first.got),
                one.with,
                answer(&first.reference)
            )
        });
        let what = format!("on {}{first}", one.kernel);
        return Some((Kind::Disagreement, Some(one.engine), what));
    }
    report.reports().find_map(|run| {
        let (kind, what) = match family::wrong(&report.case, &run.attempts) {
            Some(what) => (Kind::Family, what),
            // A real kernel may be waited for no longer.
            None if run.conformance.is_some() => return None,
            None => (Kind::Count, count::wrong(&report.case, &run.attempts)?),
        };
        let what = format!("on {}: {what}", run.kernel);
        Some((kind, Some(run.engine), what))
    })
}

/// The difference between two runs of one case.
fn differs(one: Option<&RunReport>, again: Option<&RunReport>) -> Option<String> {
    let (one, again) = match (one, again) {
        (Some(one), Some(again)) => (one, again),
        (None, None) => return None,
        _ => return Some("once it runs, once it does not".to_owned()),
    };
    if one.attempts == again.attempts && one.notes == again.notes {
        return None;
    }
    let on = &again.kernel;
    let mut pairs = one.attempts.iter().zip(again.attempts.iter());
    let what = match pairs.find(|(one, again)| !one.same_as(*again)) {
        Some((one, again)) => format!(
            "on {on}: attempt {}, {}: in another order it answers {}, alone {}",
            one.n(),
            one.call(),
            one.answer(),
            again.answer()
        ),
        None => format!(
            "on {on}: {} attempts in another order, {} alone, or other times, reasons or notes",
            one.attempts.len(),
            again.attempts.len()
        ),
    };
    Some(what)
}
