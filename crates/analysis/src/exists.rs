//! Since when kernels have something, asked of the table of behaviours.

use fourtuple_kernel::Behaviours;
use fourtuple_kernel::profile::{self, Profile};

/// All kernels in the order of history, one entry for each name.
pub(crate) struct History {
    kernels: Vec<(String, Behaviours)>,
}

impl History {
    pub(crate) fn new() -> Self {
        let profiles: Vec<Profile> = profile::all();
        let behaviours = |name: &str| {
            let found = profiles
                .iter()
                .find(|profile| profile.names.iter().any(|one| one == name));
            found.map(|profile| profile.behaviours)
        };
        let kernels = profile::names()
            .into_iter()
            .filter_map(|name| behaviours(&name).map(|behaviours| (name, behaviours)));
        History {
            kernels: kernels.collect(),
        }
    }

    /// From which kernel on something exists, in words: the first mainline release, and the
    /// distributions that had it before. `every kernel` and `no kernel` are possible; something
    /// that went away has its end named.
    pub(crate) fn since(&self, exists: impl Fn(&Behaviours) -> bool) -> String {
        let mainline: Vec<usize> = (0..self.kernels.len())
            .filter(|at| self.kernels[*at].0.starts_with("linux-"))
            .collect();
        let has = |at: usize| exists(&self.kernels[at].1);
        let Some(last) = mainline.iter().copied().rfind(|at| has(*at)) else {
            return "no kernel".to_owned();
        };
        // The release from which on every later one has it; what had it earlier is named one by
        // one.
        let before = mainline.iter().copied().rfind(|at| *at < last && !has(*at));
        let first = mainline
            .iter()
            .copied()
            .find(|at| before.is_none_or(|before| *at > before))
            .unwrap_or(last);
        let gone = mainline.last() != Some(&last);
        let mut words: Vec<String> = Vec::new();
        if let Some(before) = before {
            words.push(self.kernels[first].0.clone());
            let mut families: Vec<&str> = Vec::new();
            for at in (0..=before).filter(|at| has(*at)) {
                let name = &self.kernels[at].0;
                let family = name
                    .rsplit_once('.')
                    .map_or(name.as_str(), |(family, _)| family);
                if !families.contains(&family) {
                    families.push(family);
                    words.push(name.clone());
                }
            }
        }
        let last = Some(last);
        match (gone, last) {
            (true, Some(last)) => words.push(format!("up to {}", self.kernels[last].0)),
            _ if words.is_empty() => words.push("every kernel".to_owned()),
            _ => {}
        }
        words.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fourtuple_kernel::profile::behaviour::Scope;

    #[test]
    fn history_is_reported_by_names() {
        let history = History::new();
        assert_eq!(
            history.since(|b| b.bind_address_no_port),
            "linux-4.2, rhel-7.7"
        );
        assert_eq!(
            history.since(|b| b.local_port_range_option),
            "linux-6.3, linux-6.1, bottlerocket-6.1, amazon-2023, debian-12"
        );
        assert_eq!(history.since(|_| true), "every kernel");
        assert_eq!(history.since(|_| false), "no kernel");
        assert_eq!(
            history.since(|b| b.tw_recycle_scope != Scope::Absent),
            "up to linux-4.11"
        );
    }
}
