//! The ways out of a shortage of ports, each one tried on the scenario at hand.
//!
//! A list of workarounds is no answer to somebody whose connections fail: which one fits depends on who binds, who
//! closes and which kernel it is. Here every way out that is known is applied to the case as a typed change and run on
//! the model engine, so that each row of the table is an experiment that can be repeated.
//!
//! - `situation`: who is refused, and who takes the ports
//! - `catalogue`: the known ways out; `edit`: the changes that they make; `exists`: which kernels have them
//! - [`examine`]: tries them alone, then in pairs where none works alone
//! - [`text`](mod@text): the table; [`scenario_of`]: a row as a scenario of its own

mod catalogue;
pub(crate) mod edit;
pub(crate) mod exists;
mod situation;
pub mod text;
mod written;

use std::sync::Arc;

use fourtuple_kernel::profile::{self, Profile};
use fourtuple_scenario::{Case, Spanned};
use serde::Serialize;

use crate::attempts::Attempts;
use crate::engine::{Cannot, Engine as _};
use crate::kernels::Order;
use crate::model::Model;
use catalogue::{Change, ENTRIES, Entry};
use exists::History;
use situation::Situation;

pub use catalogue::Who;
pub use situation::Score;
pub use written::scenario_of;

/// What a way out did to the scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Nobody is refused any more, and nothing else broke.
    Works,
    /// More sockets get a port, though not all.
    HelpsPartly,
    /// As many as before.
    Nothing,
    /// Fewer than before.
    Harms,
    /// This kernel does not have it.
    Absent,
    /// The scenario has nothing that it could be applied to.
    DoesNotApply,
}

impl Effect {
    /// In words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Effect::Works => "works",
            Effect::HelpsPartly => "helps partly",
            Effect::Nothing => "does nothing",
            Effect::Harms => "makes it worse",
            Effect::Absent => "does not exist on this kernel",
            Effect::DoesNotApply => "does not apply here",
        }
    }
}

/// One way out, or two together, with what it did.
#[derive(Clone, Debug, Serialize)]
pub struct Remedy {
    /// Short name, such as `no-port-on-binder`; two are joined by `+`.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// Who has to act.
    pub who: Vec<Who>,
    /// From which kernel on it exists.
    pub since: String,
    /// What was changed in this scenario.
    pub change: String,
    /// What it did.
    pub effect: Effect,
    /// How the sockets fared with it.
    pub after: Option<Score>,
    /// What it costs or risks.
    pub cost: String,
    /// Why it does nothing, when it does nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Advice that should no longer be given, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stale: Option<String>,
    /// The changed case; none if it does not apply.
    #[serde(skip)]
    pub case: Option<Case>,
    /// What the changed case came to.
    #[serde(skip)]
    pub attempts: Arc<Attempts>,
}

/// All that was tried on one case.
#[derive(Clone, Debug, Serialize)]
pub struct Remedies {
    /// The scenario.
    pub scenario: String,
    /// The question that it asks.
    pub about: String,
    /// The kernel.
    pub kernel: String,
    /// The point of the matrix, `name=value`.
    pub point: Vec<String>,
    /// How the sockets fare without any change.
    pub before: Score,
    /// Programs that are refused for want of a port.
    pub victims: Vec<String>,
    /// Programs that bind ports of the range.
    pub binders: Vec<String>,
    /// The rule that refuses the first victim, and its sentence.
    pub rule: Option<(String, String)>,
    /// What was tried: what works first, the smallest change ahead; then what helps partly, then the rest.
    pub remedies: Vec<Remedy>,
}

impl Remedies {
    /// Whether anybody is refused for want of a port at all.
    #[must_use]
    pub fn needed(&self) -> bool {
        self.before.refused > 0
    }

    /// Whether the same ways out did the same.
    #[must_use]
    pub fn same_rows(&self, other: &Remedies) -> bool {
        let rows = |all: &Remedies| -> Vec<_> {
            let rows = all.remedies.iter();
            rows.map(|one| (one.id.clone(), one.effect, one.after))
                .collect()
        };
        rows(self) == rows(other)
    }
}

/// Tries everything on a case. `progress` hears how many of how many experiments are done.
///
/// # Errors
/// When the model cannot run the case at all.
pub fn examine(
    case: &Case,
    profile: &Profile,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Remedies, Cannot> {
    let report = Model.run(case, profile)?;
    let situation = Situation::of(case, profile, &report.attempts);
    let history = History::new();
    let lab = Lab {
        situation: &situation,
        profile,
        history: &history,
    };
    let mut remedies: Vec<Remedy> = Vec::new();
    if situation.score.refused > 0 {
        let total = ENTRIES.len() + 1;
        for (n, entry) in ENTRIES.iter().enumerate() {
            progress(n, total);
            let enough = entry.id == "more-addresses"
                && remedies
                    .iter()
                    .any(|one| one.id == "own-address" && one.effect == Effect::Works);
            remedies.push(if enough {
                Remedy {
                    why: Some("one address of its own is enough".to_owned()),
                    ..lab.bare(&[entry])
                }
            } else {
                lab.alone(case, entry)
            });
        }
        if !remedies.iter().any(|one| one.effect == Effect::Works) {
            remedies.extend(lab.pairs(case, &remedies, progress));
        }
        progress(total - 1, total);
        remedies.push(another_kernel(case, &situation, profile));
        // Within one effect the catalogue's order stays, which is the order of size.
        remedies.sort_by_key(|one| (one.effect, one.stale.is_some()));
    }
    Ok(Remedies {
        scenario: case.scenario.clone(),
        about: case.about.clone(),
        kernel: case.kernel.clone(),
        point: case
            .axes
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect(),
        before: situation.score,
        victims: situation::names(&situation.victims),
        binders: situation::names(&situation.binders),
        rule: situation
            .rule()
            .map(|rule| (rule.name().to_owned(), rule.text().to_owned())),
        remedies,
    })
}

struct Lab<'a> {
    situation: &'a Situation,
    profile: &'a Profile,
    history: &'a History,
}

/// What came of one changed case.
struct Trial {
    words: String,
    case: Case,
    attempts: Arc<Attempts>,
    notes: Vec<String>,
    score: Score,
}

impl Lab<'_> {
    /// Runs changed cases until one works; otherwise the one that does most, the smallest of equals.
    fn best(&self, variants: Vec<(String, Case)>) -> Result<Trial, String> {
        let mut best: Option<Trial> = None;
        let mut reason = String::new();
        for (words, case) in variants {
            let report = match Model.run(&case, self.profile) {
                Ok(report) => report,
                Err(cannot) => {
                    reason = cannot.reason;
                    continue;
                }
            };
            let score = Score::of(&report.attempts);
            let done = score.mends(self.situation.score);
            if best
                .as_ref()
                .is_none_or(|best| done || score.ok > best.score.ok)
            {
                best = Some(Trial {
                    words,
                    case,
                    attempts: report.attempts,
                    notes: report.notes,
                    score,
                });
            }
            if done {
                break;
            }
        }
        best.ok_or(reason)
    }

    fn alone(&self, case: &Case, entry: &Entry) -> Remedy {
        let mut remedy = self.bare(&[entry]);
        match (entry.apply)(case, self.situation) {
            Change::Nothing(why) => remedy.why = Some(why),
            Change::To(variants) => self.fill(&mut remedy, self.best(variants), &[entry]),
        }
        remedy
    }

    /// Two ways out at once, where none is enough: every pair whose two halves both apply.
    fn pairs(
        &self,
        case: &Case,
        alone: &[Remedy],
        progress: &mut dyn FnMut(usize, usize),
    ) -> Vec<Remedy> {
        let usable: Vec<&Entry> = ENTRIES
            .iter()
            .zip(alone)
            .filter(|(entry, one)| one.case.is_some() && entry.stale.is_none() && self.has(entry))
            .map(|(entry, _)| entry)
            .collect();
        let mut found = Vec::new();
        let total = usable.len() * usable.len().saturating_sub(1) / 2;
        let mut done = 0;
        for (n, first) in usable.iter().enumerate() {
            for second in &usable[n + 1..] {
                progress(done, total);
                done += 1;
                // A wider range has to be there before it can be cut into slices.
                let ordered = if second.id == "wider-range" {
                    [*second, *first]
                } else {
                    [*first, *second]
                };
                let Change::To(variants) = (ordered[0].apply)(case, self.situation) else {
                    continue;
                };
                let mut both: Vec<(String, Case)> = Vec::new();
                for (words, changed) in variants {
                    if let Change::To(more) = (ordered[1].apply)(&changed, self.situation) {
                        both.extend(
                            more.into_iter()
                                .map(|(other, case)| (format!("{words}; {other}"), case)),
                        );
                    }
                }
                let Ok(trial) = self.best(both) else { continue };
                if trial.score.mends(self.situation.score) {
                    let mut remedy = self.bare(&ordered);
                    self.fill(&mut remedy, Ok(trial), &ordered);
                    found.push(remedy);
                }
            }
        }
        found
    }

    fn has(&self, entry: &Entry) -> bool {
        entry
            .exists
            .is_none_or(|exists| exists(&self.profile.behaviours))
    }

    fn bare(&self, entries: &[&Entry]) -> Remedy {
        let join = |part: fn(&Entry) -> &'static str, with: &str| {
            let parts: Vec<&str> = entries.iter().map(|entry| part(entry)).collect();
            parts.join(with)
        };
        let mut who: Vec<Who> = entries.iter().map(|entry| entry.who).collect();
        who.dedup();
        let since: Vec<String> = entries
            .iter()
            .filter_map(|entry| Some(self.history.since(entry.exists?)))
            .collect();
        Remedy {
            id: join(|entry| entry.id, "+"),
            name: join(|entry| entry.name, ", and "),
            who,
            since: if since.is_empty() {
                "every kernel".to_owned()
            } else {
                since.join("; ")
            },
            change: String::new(),
            effect: Effect::DoesNotApply,
            after: None,
            cost: join(|entry| entry.cost, "; "),
            why: None,
            stale: entries
                .iter()
                .find_map(|entry| entry.stale)
                .map(str::to_owned),
            case: None,
            attempts: Arc::default(),
        }
    }

    fn fill(&self, remedy: &mut Remedy, trial: Result<Trial, String>, entries: &[&Entry]) {
        let trial = match trial {
            Ok(trial) => trial,
            Err(reason) => {
                remedy.why = Some(reason);
                return;
            }
        };
        let before = self.situation.score;
        remedy.effect = match trial.score {
            _ if absent(&trial) => Effect::Absent,
            score if score.mends(before) => Effect::Works,
            score if score.better_than(before) => Effect::HelpsPartly,
            score if score.ok < before.ok => Effect::Harms,
            _ => Effect::Nothing,
        };
        if remedy.effect != Effect::Works {
            remedy.why = Some(self.why_not(&trial, entries, remedy.effect));
        }
        remedy.change = trial.words;
        remedy.after = Some(trial.score);
        remedy.case = Some(trial.case);
        remedy.attempts = trial.attempts;
    }

    fn why_not(&self, trial: &Trial, entries: &[&Entry], effect: Effect) -> String {
        if effect == Effect::Absent {
            let since: Vec<String> = entries
                .iter()
                .filter_map(|entry| Some(self.history.since(entry.exists?)))
                .collect();
            let answer = if catalogue::unknown_option(&trial.attempts) {
                "ENOPROTOOPT"
            } else {
                "no such sysctl"
            };
            return format!("{answer} here; {}", since.join("; "));
        }
        let still = situation::first_refusal(&trial.attempts);
        let rule = still.as_ref().map(|why| why.rule);
        let idle = entries.first().map_or("", |entry| (entry.idle)(rule));
        if effect == Effect::Nothing && !idle.is_empty() {
            return idle.to_owned();
        }
        match rule {
            Some(rule) => format!(
                "{} of {} are refused still, by {}",
                trial.score.refused,
                trial.score.total,
                rule.name()
            ),
            None => "other calls fail now".to_owned(),
        }
    }
}

/// Whether the kernel did not know what a change wanted to set.
fn absent(trial: &Trial) -> bool {
    trial
        .notes
        .iter()
        .any(|note| note.contains("is refused with"))
        || catalogue::unknown_option(&trial.attempts)
}

/// The first kernel on which the scenario works as it is: the next newer one, else the nearest older one.
fn another_kernel(case: &Case, situation: &Situation, profile: &Profile) -> Remedy {
    let all = profile::all();
    let here = all
        .iter()
        .position(|one| one.behaviours == profile.behaviours)
        .unwrap_or(0);
    let newer = all.iter().skip(here + 1);
    let older = all.iter().take(here).rev();
    let mut remedy = Remedy {
        id: "another-kernel".to_owned(),
        name: "another kernel".to_owned(),
        who: vec![Who::Operator],
        since: "-".to_owned(),
        change: String::new(),
        effect: Effect::Nothing,
        after: None,
        cost: "an upgrade, or the pain of a downgrade".to_owned(),
        why: None,
        stale: None,
        case: None,
        attempts: Arc::default(),
    };
    let mut tried = 0;
    for other in newer.chain(older) {
        let mut changed = case.clone();
        changed.kernel.clone_from(&other.name);
        for host in &situation.hosts {
            if let Some(host) = changed.hosts_mut().get_mut(host)
                && host.kernel.is_some()
            {
                host.kernel = Some(Spanned::from(other.name.clone()));
            }
        }
        let Ok(report) = Model.run(&changed, other) else {
            continue;
        };
        tried += 1;
        let score = Score::of(&report.attempts);
        // A kernel that refuses a setting of the scenario runs another scenario.
        let refuses = report
            .notes
            .iter()
            .any(|note| note.contains("is refused with"));
        if refuses || catalogue::unknown_option(&report.attempts) {
            continue;
        }
        if score.mends(situation.score) {
            remedy.effect = Effect::Works;
            remedy.change = format!("kernel: {}", other.name);
            remedy.since.clone_from(&other.name);
            remedy.after = Some(score);
            remedy.case = Some(changed);
            remedy.attempts = report.attempts;
            return remedy;
        }
    }
    let names: Vec<String> = profile::names();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    remedy.after = Some(situation.score);
    remedy.why = Some(format!(
        "somebody is refused on each of the {} other behaviours that the model knows: {}",
        tried,
        Order::new().compact(&names)
    ));
    remedy
}
