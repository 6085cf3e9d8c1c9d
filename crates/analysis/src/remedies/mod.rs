//! The fixes for a shortage or a conflict of ports, each one tried on the scenario at hand.
//!
//! A list of workarounds is no answer to an operator whose connections fail: which one fits depends
//! on which program binds, which end closes and which kernel it is. Here every known fix is applied
//! to the case as a typed change and run on the model engine, so that each row of the table is an
//! experiment that can be repeated. A fix counts as working only if it works whatever ports are
//! chosen.
//!
//! - `situation`: the programs that are refused, those that hold the ports, and the cause
//! - `catalogue`: the known fixes
//! - `allowance`: the calls that experiments may make in all
//! - `lab`: runs a changed case at many seeds; `kernel`: other kernels, and regressions of kernels
//! - [`examine`]: tries the fixes alone, then in pairs where none works alone (`examination`)
//! - [`scenario_of`]: a fix as a scenario of its own; [`edited`]: as an edit of the scenario

mod allowance;
mod catalogue;
mod examination;
mod kernel;
mod lab;
pub(crate) mod situation;
mod written;

use std::cell::Cell;
use std::sync::Arc;

use fourtuple_harness::{Attempts, Engine as _, EngineError, Model};
use fourtuple_kernel::profile::Profile;
use fourtuple_scenario::Case;
use schemars::JsonSchema;
use serde::Serialize;

use crate::exists::History;
use crate::findings::{Finding, findings};
use examination::Examination;
use lab::{Certainty, Lab};
use situation::Situation;

pub use allowance::Allowance;
pub use lab::Seeds;
pub use situation::{Cause, SocketCounts};
pub use written::{Edited, edited, scenario_of};

/// The effect of a fix on the scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Every socket gets its port, whatever ports are chosen, and nothing else breaks.
    Always,
    /// Every socket gets its port at nearly every seed.
    Usually,
    /// Every socket gets its port at some seeds: other ports are chosen.
    ByLuck,
    /// More sockets get a port, though not all.
    HelpsPartly,
    /// As many as before.
    Nothing,
    /// Fewer than before.
    Harms,
    /// This kernel does not have it.
    Absent,
    /// Not tried: the calls that experiments may make were used up.
    Untried,
    /// The scenario has nothing that it could be applied to.
    DoesNotApply,
}

impl Effect {
    /// In words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Effect::Always => "always works",
            Effect::Usually => "usually works",
            Effect::ByLuck => "works by luck only",
            Effect::HelpsPartly => "helps partly",
            Effect::Nothing => "has no effect",
            Effect::Harms => "makes it worse",
            Effect::Absent => "does not exist on this kernel",
            Effect::Untried => "was not tried",
            Effect::DoesNotApply => "does not apply here",
        }
    }

    /// Returns whether it can be recommended.
    #[must_use]
    pub fn works(self) -> bool {
        matches!(self, Effect::Always | Effect::Usually)
    }
}

impl From<Certainty> for Effect {
    fn from(certainty: Certainty) -> Self {
        match certainty {
            Certainty::Always => Effect::Always,
            Certainty::Usually => Effect::Usually,
            Certainty::ByLuck => Effect::ByLuck,
        }
    }
}

/// One fix, or two together, with its effect.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Remedy {
    /// Short name, such as `no-port-on-binder`; two are joined by `+`.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// The programs or administrators that have to act.
    pub who: Vec<String>,
    /// From which kernel on it exists.
    pub since: String,
    /// The change in this scenario.
    pub change: String,
    /// Its effect.
    pub effect: Effect,
    /// The seeds at which it works, if it works at the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seeds: Option<Seeds>,
    /// The sockets with it.
    pub after: Option<SocketCounts>,
    /// Its cost or risk.
    pub cost: String,
    /// Why it has no effect, when it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Why this advice should no longer be given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stale: Option<String>,
    /// It is often tried.
    #[serde(skip)]
    pub often_tried: bool,
    /// The changed case; none if it does not apply.
    #[serde(skip)]
    pub case: Option<Case>,
    /// The outcome of the changed case.
    #[serde(skip)]
    pub attempts: Arc<Attempts>,
}

/// All that was tried on one case.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Remedies {
    /// The scenario.
    pub scenario: String,
    /// The question that it asks.
    pub about: String,
    /// The kernel.
    pub kernel: String,
    /// The point of the matrix, `name=value`.
    pub point: Vec<String>,
    /// The sockets without any change.
    pub before: SocketCounts,
    /// The unchanged case at the seeds.
    pub unchanged: Seeds,
    /// The kind of problem.
    pub cause: Cause,
    /// Programs that are refused.
    pub victims: Vec<String>,
    /// Programs that bind ports of the range.
    pub binders: Vec<String>,
    /// The rule of the first refusal, and its sentence.
    pub rule: Option<(String, String)>,
    /// The regression of this kernel that is the cause, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regression: Option<String>,
    /// Other findings about the outcome, with the check to run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// The fixes: what always works first, the smallest change ahead; then what usually works, then
    /// the rest.
    pub remedies: Vec<Remedy>,
}

impl Remedies {
    /// Returns whether any socket is without its port.
    #[must_use]
    pub fn needed(&self) -> bool {
        self.before.refused > 0
    }

    /// Returns whether any fix can be recommended.
    #[must_use]
    pub fn any_works(&self) -> bool {
        self.remedies.iter().any(|one| one.effect.works())
    }
}

/// Runs the unchanged case at its seeds. The first run with a refusal stands for it.
fn unchanged(
    case: &Case,
    profile: &Profile,
    allowance: &mut Allowance,
) -> Result<(Case, Arc<Attempts>, Seeds), EngineError> {
    let first = Model.run(case, profile)?.attempts;
    let of = allowance.seeds(first.len());
    allowance.spend(first.len());
    let refused = |attempts: &Attempts| SocketCounts::of(attempts).refused > 0;
    let mut good = u32::from(!refused(&first));
    let mut shown = (case.clone(), first);
    for n in 1..of {
        let other = lab::reseeded(case, n);
        let attempts = Model.run(&other, profile)?.attempts;
        allowance.spend(attempts.len());
        if !refused(&attempts) {
            good += 1;
        } else if !refused(&shown.1) {
            shown = (other, attempts);
        }
    }
    Ok((shown.0, shown.1, Seeds { good, of }))
}

/// Tries everything on a case that the allowance has calls for, the fixes for its cause first; the
/// unchanged case is run in any event. `progress` hears how many of how many experiments are done.
///
/// # Errors
/// When the model cannot run the case at all.
pub fn examine(
    case: &Case,
    profile: &Profile,
    allowance: &mut Allowance,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Remedies, EngineError> {
    let (case, attempts, seeds) = unchanged(case, profile, allowance)?;
    let situation = Situation::of(&case, profile, &attempts);
    let bench = Examination {
        lab: Lab {
            situation: &situation,
            profile,
            before: seeds,
            allowance: Cell::new(*allowance),
        },
        history: &History::new(),
    };
    let mut remedies: Vec<Remedy> = Vec::new();
    let mut regression = None;
    if situation.counts.refused > 0 {
        remedies = bench.all(&case, progress);
        regression = kernel::regression(&case, &bench.lab);
    }
    *allowance = bench.lab.allowance.get();
    Ok(Remedies {
        scenario: case.scenario.clone(),
        about: case.about.clone(),
        kernel: case.kernel.clone(),
        point: case.point(),
        before: situation.counts,
        unchanged: seeds,
        cause: situation.cause,
        victims: situation.refused(),
        binders: situation::names(&situation.binders),
        rule: situation
            .rule()
            .map(|rule| (rule.name().to_owned(), rule.text().to_owned())),
        regression: regression.map(|one| {
            format!(
                "A bug of this kernel is the cause: it {} (fixed in {}).",
                one.symptom, one.fixed_in
            )
        }),
        findings: findings(&case, profile, &attempts),
        remedies,
    })
}
