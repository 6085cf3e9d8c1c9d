//! The `after` relation between processes: unknown names and cycles.

use indexmap::IndexMap;

use crate::decode::Problems;
use crate::diagnostic::quoted;
use crate::span::{Span, Spanned};
use crate::suggest::{all_of, nearest};

/// The `after` lists of all processes.
#[derive(Default)]
pub(crate) struct Order {
    waits: IndexMap<String, (Span, Vec<Spanned<String>>)>,
}

impl Order {
    pub(crate) fn insert(&mut self, name: String, at: Span, after: Vec<Spanned<String>>) {
        self.waits.insert(name, (at, after));
    }

    /// Reports names that no process has, and cycles.
    pub(crate) fn check(&self, problems: &mut Problems<'_>) {
        for (_, after) in self.waits.values() {
            for name in after {
                // Computing suggestions takes time, and problems beyond the limit are not shown.
                if problems.is_full() {
                    return;
                }
                if !self.waits.contains_key(&name.value) {
                    self.unknown(name, problems);
                }
            }
        }
        if let Some(cycle) = self.cycle() {
            let span = cycle.first().map(|(_, span)| *span).unwrap_or_default();
            let mut path: Vec<String> = cycle.iter().map(|(name, _)| format!("`{name}`")).collect();
            path.extend(path.first().cloned());
            problems.report(
                span,
                format!("processes wait for each other: {}", path.join(" after ")),
                "an order without a cycle",
                Some("remove one `after`".to_owned()),
            );
        }
    }

    fn unknown(&self, name: &Spanned<String>, problems: &mut Problems<'_>) {
        let names = || self.waits.keys().map(String::as_str);
        let help = match nearest(&name.value, names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the processes are {}", all_of(names())),
        };
        let message = format!("unknown process {}", quoted(&name.value));
        problems.report(name.span, message, "a process of this scenario", Some(help));
    }

    /// The first cycle. Each process comes with the span of the `after` that leads to the next one.
    fn cycle(&self) -> Option<Vec<(&str, Span)>> {
        let mut done: Vec<bool> = vec![false; self.waits.len()];
        for start in 0..self.waits.len() {
            // Depth-first search without recursion: a path of (process, number of its names already
            // visited).
            let mut path: Vec<(usize, usize)> = vec![(start, 0)];
            while let Some((at, followed)) = path.last_mut() {
                let (index, next) = (*at, *followed);
                *followed += 1;
                let Some((_, (_, after))) = self.waits.get_index(index) else {
                    break;
                };
                if done[index] || next >= after.len() {
                    done[index] = true;
                    path.pop();
                    continue;
                }
                let Some(target) = self.waits.get_index_of(&after[next].value) else {
                    continue;
                };
                if let Some(from) = path.iter().position(|(seen, _)| *seen == target) {
                    return Some(
                        path[from..]
                            .iter()
                            .filter_map(|step| self.link(*step))
                            .collect(),
                    );
                }
                path.push((target, 0));
            }
        }
        None
    }

    fn link(&self, (index, followed): (usize, usize)) -> Option<(&str, Span)> {
        let (name, (_, after)) = self.waits.get_index(index)?;
        Some((name, after.get(followed - 1)?.span))
    }
}
