//! Every fix tried alone, then pairs of fixes.

use std::sync::Arc;

use fourtuple_scenario::Case;

use super::catalogue::{self, Change, Entry};
use super::lab::{Lab, Trial, Variant};
use super::{Effect, Remedy, kernel, situation};
use crate::exists::History;

/// Sockets up to which fixes are tried in pairs as well.
const PAIRED: u32 = 2_000;
/// Pairs that are kept.
const PAIRS: usize = 3;

/// The fixes of one case under trial.
pub(super) struct Examination<'a> {
    pub(super) lab: Lab<'a>,
    pub(super) history: &'a History,
}

impl Examination<'_> {
    /// Tries every fix alone, then pairs where none works alone.
    pub(super) fn all(&self, case: &Case, progress: &mut dyn FnMut(usize, usize)) -> Vec<Remedy> {
        let mut tried: Vec<(usize, Remedy, &Entry)> = Vec::new();
        let mut entries: Vec<(usize, &Entry)> = catalogue::entries(case, self.lab.situation)
            .enumerate()
            .collect();
        let total = entries.len() + 1;
        // What removes the cause is worth the first calls.
        let cause = &self.lab.situation.cause;
        entries.sort_by_key(|(_, entry)| !entry.removes.contains(cause));
        for (n, (place, entry)) in entries.into_iter().enumerate() {
            progress(n, total);
            let works = |id: &str| {
                let mut all = tried.iter();
                all.any(|(_, one, _)| one.id == id && one.effect.works())
            };
            let remedy = if entry.id == "more-addresses" && works("own-address") {
                Remedy {
                    why: Some("one address of its own is enough".to_owned()),
                    ..self.bare(&[entry])
                }
            } else {
                self.alone(case, entry)
            };
            tried.push((place, remedy, entry));
        }
        tried.sort_by_key(|(place, ..)| *place);
        let mut remedies: Vec<(Remedy, &Entry)> = Vec::new();
        for (_, remedy, entry) in tried {
            // The same change under another name is no second fix.
            let known = |one: &Remedy| one.case.is_some() && one.case == remedy.case;
            if !remedies.iter().any(|(one, _)| known(one)) {
                remedies.push((remedy, entry));
            }
        }
        let mut found: Vec<Remedy> = Vec::new();
        let alone = remedies.iter().any(|(one, _)| one.effect.works());
        if !alone && self.lab.situation.counts.total <= PAIRED {
            found = self.pairs(case, &remedies, progress);
        }
        let mut all: Vec<Remedy> = remedies.into_iter().map(|(one, _)| one).collect();
        all.append(&mut found);
        progress(total - 1, total);
        all.push(kernel::another(case, &self.lab));
        // Within one effect the catalogue's order stays, which is the order of size.
        all.sort_by_key(|one| (one.effect, one.stale.is_some()));
        all
    }

    fn alone(&self, case: &Case, entry: &Entry) -> Remedy {
        let mut remedy = self.bare(&[entry]);
        match entry.apply(case, self.lab.situation) {
            Change::Nothing(why) => remedy.why = Some(why),
            Change::To(_) if !self.lab.allowance.get().allows(case) => {
                remedy.effect = Effect::Untried;
            }
            Change::To(variants) => {
                let variants = variants
                    .into_iter()
                    .map(|(words, case)| Variant { words, case })
                    .collect();
                let trial = self.lab.best(variants, entry.removes, entry.fewer);
                self.fill(&mut remedy, trial, &[entry]);
            }
        }
        remedy
    }

    /// Two fixes at once, where none is enough: every pair whose two halves both apply.
    fn pairs(
        &self,
        case: &Case,
        alone: &[(Remedy, &Entry)],
        progress: &mut dyn FnMut(usize, usize),
    ) -> Vec<Remedy> {
        let usable: Vec<&Entry> = alone
            .iter()
            .filter(|(one, entry)| one.case.is_some() && entry.stale.is_none() && self.has(entry))
            .map(|(_, entry)| *entry)
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
                let Some(trial) = self.pair(case, ordered) else {
                    continue;
                };
                let mut remedy = self.bare(&ordered);
                self.fill(&mut remedy, Ok(trial), &ordered);
                if remedy.effect.works() {
                    found.push(remedy);
                }
                if found.len() == PAIRS {
                    return found;
                }
            }
        }
        found
    }

    fn pair(&self, case: &Case, ordered: [&Entry; 2]) -> Option<Trial> {
        let Change::To(variants) = ordered[0].apply(case, self.lab.situation) else {
            return None;
        };
        let mut both = Vec::new();
        for (words, changed) in variants {
            if let Change::To(more) = ordered[1].apply(&changed, self.lab.situation) {
                both.extend(more.into_iter().map(|(other, case)| Variant {
                    words: format!("{words}; {other}"),
                    case,
                }));
            }
        }
        let fewer = ordered.iter().any(|entry| entry.fewer);
        self.lab.best(both, ordered[0].removes, fewer).ok()
    }

    fn has(&self, entry: &Entry) -> bool {
        entry
            .exists
            .is_none_or(|exists| exists(&self.lab.profile.behaviours))
    }

    fn since(&self, entries: &[&Entry]) -> Vec<String> {
        let existing = entries.iter().filter_map(|entry| entry.exists);
        existing.map(|exists| self.history.since(exists)).collect()
    }

    fn bare(&self, entries: &[&Entry]) -> Remedy {
        let join = |part: fn(&Entry) -> &'static str, with: &str| {
            let parts: Vec<&str> = entries.iter().map(|entry| part(entry)).collect();
            parts.join(with)
        };
        let mut who: Vec<String> = Vec::new();
        for name in entries
            .iter()
            .flat_map(|entry| entry.who.names(self.lab.situation))
        {
            if !who.contains(&name) {
                who.push(name);
            }
        }
        let since = self.since(entries);
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
            seeds: None,
            after: None,
            cost: join(|entry| entry.cost, "; "),
            why: None,
            stale: entries
                .iter()
                .find_map(|entry| entry.stale)
                .map(str::to_owned),
            often_tried: entries.iter().any(|entry| entry.often_tried),
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
        let before = self.lab.situation.counts;
        remedy.effect = match (trial.certainty, trial.counts) {
            _ if trial.absent() => Effect::Absent,
            (Some((certainty, _)), _) => certainty.into(),
            (None, counts) if counts.better_than(before) => Effect::HelpsPartly,
            (None, counts) if counts.ok < before.ok => Effect::Harms,
            _ => Effect::Nothing,
        };
        remedy.seeds = trial.certainty.map(|(_, seeds)| seeds);
        remedy.why = self.why_not(&trial, entries, remedy.effect);
        remedy.change = trial.words;
        remedy.after = Some(trial.counts);
        remedy.case = Some(trial.case);
        remedy.attempts = trial.attempts;
    }

    fn why_not(&self, trial: &Trial, entries: &[&Entry], effect: Effect) -> Option<String> {
        if effect.works() {
            return None;
        }
        if effect == Effect::ByLuck {
            return Some("other ports are chosen; the cause stays".to_owned());
        }
        if effect == Effect::Absent {
            let answer = if catalogue::unknown_option(&trial.attempts) {
                "ENOPROTOOPT"
            } else {
                "no such sysctl"
            };
            return Some(format!("{answer} here; {}", self.since(entries).join("; ")));
        }
        let still = situation::first_refusal(&trial.attempts);
        let rule = still.as_ref().map(|why| why.rule);
        let idle = entries.first().map_or("", |entry| (entry.idle)(rule));
        if effect == Effect::Nothing && !idle.is_empty() {
            return Some(idle.to_owned());
        }
        Some(match rule {
            Some(rule) => format!(
                "{} of {} are still refused by {}",
                trial.counts.refused,
                trial.counts.total,
                rule.name()
            ),
            None => "other calls fail now".to_owned(),
        })
    }
}
