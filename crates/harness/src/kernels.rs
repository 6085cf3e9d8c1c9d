//! Lists of kernels, written short.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use fourtuple_kernel::profile::{self, Profile};
use fourtuple_scenario::{KernelNames, KernelPattern, KernelSelector};

/// The kernels of the model, for [`fourtuple_scenario::expand`].
#[must_use]
pub fn names() -> KernelNames {
    KernelNames::new(
        profile::all()
            .into_iter()
            .map(|profile| (profile.name, profile.names)),
    )
}

/// Kernels in the order of history, neighbours of one family joined: `linux-4.2..linux-6.17,
/// rhel-8`.
///
/// A range stands for *every* kernel of the family between its ends; two names with an unnamed one
/// between them stay apart. Names that the model does not list (a stable release such as
/// `linux-5.10.3`) follow at the end.
#[must_use]
pub fn compact(names: &[&str]) -> String {
    Order::new().compact(names)
}

/// The profile of a kernel that has one, as [`profile::find`] finds it.
pub(crate) fn profile(name: &str) -> Option<Arc<Profile>> {
    static KNOWN: LazyLock<BTreeMap<String, Arc<Profile>>> = LazyLock::new(|| {
        let names = profile::names().into_iter();
        names
            .filter_map(|name| Some((name.clone(), Arc::new(profile::find(&name)?))))
            .collect()
    });
    let known = KNOWN.get(name).cloned();
    // The table does not list every stable release.
    known.or_else(|| profile::find(name).map(Arc::new))
}

/// Family, place in the family and place among all, by name.
type Places = BTreeMap<String, (String, usize, usize)>;

/// From the model's table of kernels, worked out once.
static PLACES: LazyLock<Places> = LazyLock::new(|| {
    let mut sizes: BTreeMap<String, usize> = BTreeMap::new();
    let mut places = BTreeMap::new();
    for (overall, name) in profile::names().into_iter().enumerate() {
        let family = family(&name).to_owned();
        let size = sizes.entry(family.clone()).or_default();
        places.insert(name, (family, *size, overall));
        *size += 1;
    }
    places
});

/// The order of kernels within their families.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    places: &'static Places,
}

impl Default for Order {
    fn default() -> Self {
        Self::new()
    }
}

impl Order {
    /// From the model's table of kernels.
    #[must_use]
    pub fn new() -> Self {
        Order { places: &PLACES }
    }

    /// The names under which a selector asks for the kernel `name`, that one first: a list means
    /// what it names, a range or `all` every name in it that behaves the same in everything.
    #[must_use]
    pub fn asked_for(
        &self,
        selector: &KernelSelector,
        name: &str,
        profile: &Profile,
    ) -> Vec<String> {
        let mut found = vec![name.to_owned()];
        for other in &profile.names {
            let asked = selector.patterns.iter().any(|pattern| match &**pattern {
                KernelPattern::All => true,
                KernelPattern::One(_) => false,
                KernelPattern::Range { from, to } => {
                    self.is_between(other, from.as_deref(), to.as_deref())
                }
            });
            if asked && !found.contains(other) {
                found.push(other.clone());
            }
        }
        found
    }

    fn is_between(&self, name: &str, from: Option<&str>, to: Option<&str>) -> bool {
        let Some((family, place, _)) = self.places.get(name) else {
            return false;
        };
        let end = |end: Option<&str>, fits: fn(usize, usize) -> bool| match end
            .map(|end| self.places.get(end))
        {
            None => true,
            Some(Some((of, at, _))) => of == family && fits(*at, *place),
            Some(None) => false,
        };
        end(from, |first, place| first <= place) && end(to, |last, place| place <= last)
    }

    /// Returns the number of kernels.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "there are always some")]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Returns the place of a kernel in the order of history; names outside the table come last.
    #[must_use]
    pub fn place(&self, name: &str) -> usize {
        self.places
            .get(name)
            .map_or(usize::MAX, |(_, _, overall)| *overall)
    }

    /// See [`compact`].
    #[must_use]
    pub fn compact(&self, names: &[&str]) -> String {
        let mut known: Vec<(&str, usize, usize, &str)> = Vec::new();
        let mut unknown: Vec<&str> = Vec::new();
        for name in names {
            match self.places.get(*name) {
                Some((family, place, overall)) => known.push((family, *place, *overall, name)),
                None if !unknown.contains(name) => unknown.push(name),
                None => {}
            }
        }
        known.sort_unstable();
        known.dedup();
        let mut ranges: Vec<(usize, &str, &str)> = Vec::new();
        let mut last: Option<(&str, usize)> = None;
        for (family, place, overall, name) in known {
            let next = last.is_some_and(|(same, before)| same == family && before + 1 == place);
            match ranges.last_mut() {
                Some(range) if next => range.2 = name,
                _ => ranges.push((overall, name, name)),
            }
            last = Some((family, place));
        }
        ranges.sort_unstable();
        let ranges = ranges.into_iter().map(|(_, first, last)| {
            if first == last {
                first.to_owned()
            } else {
                format!("{first}..{last}")
            }
        });
        ranges
            .chain(unknown.into_iter().map(str::to_owned))
            .collect::<Vec<_>>()
            .join(", ")
    }
}

/// The family of the releases that all others are made of.
pub const MAINLINE: &str = "linux";

/// Returns whether a mainline kernel is a stable release that is listed beside its series:
/// `linux-6.17.13`.
#[must_use]
pub fn is_stable(name: &str) -> bool {
    let dots = name.bytes().filter(|byte| *byte == b'.').count();
    family(name) == MAINLINE && dots > if name.starts_with("linux-2.") { 2 } else { 1 }
}

/// The name without its version: `linux`, `rhel`.
#[must_use]
pub fn family(name: &str) -> &str {
    let end = name
        .find(|c: char| c.is_ascii_digit())
        .unwrap_or(name.len());
    name[..end].trim_end_matches('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_join_and_gaps_stay() {
        assert_eq!(
            compact(&["linux-3.11", "linux-3.12", "linux-3.13"]),
            "linux-3.11..linux-3.13"
        );
        assert_eq!(
            compact(&["linux-3.13", "linux-3.11"]),
            "linux-3.11, linux-3.13"
        );
    }

    #[test]
    fn the_order_is_that_of_history() {
        assert_eq!(compact(&["linux-6.18", "rhel-6.5"]), "rhel-6.5, linux-6.18");
    }

    #[test]
    fn names_outside_the_table_come_last() {
        assert_eq!(
            compact(&["linux-5.10.3", "rhel-6.5", "rhel-6.5"]),
            "rhel-6.5, linux-5.10.3"
        );
    }
}
