//! Profiles by name, and the names nearest to one that is unknown.

use super::{Profile, find, names};
use std::fmt;
use std::str::FromStr;

/// No kernel has this name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnknownProfile {
    /// The name that was asked for.
    pub name: String,
    /// Known names that are spelled most like it, the nearest first; at most three.
    pub nearest: Vec<String>,
}

impl fmt::Display for UnknownProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown kernel `{}`", self.name)?;
        match self.nearest.split_last() {
            None => Ok(()),
            Some((last, [])) => write!(f, ": did you mean `{last}`?"),
            Some((last, others)) => {
                let others: Vec<String> = others.iter().map(|name| format!("`{name}`")).collect();
                write!(f, ": did you mean {} or `{last}`?", others.join(", "))
            }
        }
    }
}

impl std::error::Error for UnknownProfile {}

impl FromStr for Profile {
    type Err = UnknownProfile;

    /// Finds a kernel by name: any of [`names`], or `linux-A.B.C`.
    ///
    /// ```
    /// use fourtuple_kernel::Profile;
    ///
    /// let rhel: Profile = "rhel-6.5".parse()?;
    /// assert!(rhel.behaviours.bind_shares);
    ///
    /// let error = "rhel-65".parse::<Profile>().unwrap_err();
    /// assert_eq!(error.nearest[0], "rhel-6.5");
    /// # Ok::<(), fourtuple_kernel::profile::UnknownProfile>(())
    /// ```
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        find(name).ok_or_else(|| UnknownProfile {
            name: name.to_owned(),
            nearest: nearest(name),
        })
    }
}

/// Known names at an edit distance of at most a third of the name's length.
fn nearest(name: &str) -> Vec<String> {
    let mut near: Vec<(usize, String)> = names()
        .into_iter()
        .map(|known| (distance(name, &known), known))
        .filter(|(distance, _)| *distance <= name.len() / 3)
        .collect();
    near.sort();
    near.into_iter().map(|(_, known)| known).take(3).collect()
}

/// The Levenshtein distance of two names, in bytes.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut before = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = before + usize::from(x != y);
            before = row[j + 1];
            row[j + 1] = replaced.min(before + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_edits() {
        for (a, b, edits) in [
            ("", "abc", 3),
            ("rhel-6.5", "rhel-65", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(a, b), edits, "{a} {b}");
            assert_eq!(distance(b, a), edits, "{b} {a}");
        }
    }

    #[test]
    fn unknown_name_is_reported_with_the_nearest_ones() {
        let message = |name: &str| name.parse::<Profile>().unwrap_err().to_string();
        assert!(
            message("debain-12")
                .starts_with("unknown kernel `debain-12`: did you mean `debian-12`")
        );
        assert_eq!(message("plan9"), "unknown kernel `plan9`");
    }
}
