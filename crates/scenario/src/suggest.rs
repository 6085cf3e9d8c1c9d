//! "Did you mean": names similar to an unknown one.

use strsim::damerau_levenshtein;

/// Longest word that is compared, in characters. Longer input is not treated as a typo, and the
/// comparison takes quadratic time.
const MAX_WORD: usize = 80;

/// The name nearest to `word`, if it is close enough to be a typo.
pub(crate) fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    ranked(word, names).into_iter().next()
}

/// At most three names of which `word` may be a typo, nearest first.
pub fn nearest_few<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut found = ranked(word, names);
    found.truncate(3);
    found
}

fn ranked<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    if word.chars().count() > MAX_WORD {
        return Vec::new();
    }
    let word = word.to_lowercase();
    // One-letter names are not treated as typos of each other.
    let allowed = match word.chars().count() {
        0 | 1 => 0,
        length => (length / 3).clamp(1, 4),
    };
    let mut found: Vec<(usize, &str)> = names
        .into_iter()
        .filter(|name| name.chars().count() <= MAX_WORD)
        .map(|name| (damerau_levenshtein(&word, &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= allowed)
        .collect();
    // Typos are rare in the first letter, so names with the same one come first. The sort is
    // stable: equally near names keep their order.
    let first = word.chars().next();
    found.sort_by_key(|(distance, name)| (*distance, name.to_lowercase().chars().next() != first));
    found.into_iter().map(|(_, name)| name).collect()
}

/// Joins alternatives for a message: "`a`, `b` or `c`".
pub(crate) fn one_of<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    joined(names, "or")
}

/// Joins existing names for a message: "`a`, `b` and `c`".
pub(crate) fn all_of<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    joined(names, "and")
}

fn joined<'a>(names: impl IntoIterator<Item = &'a str>, last_word: &str) -> String {
    /// Most names listed in a message.
    const MOST: usize = 24;
    let names: Vec<&str> = names.into_iter().collect();
    let more = names.len().saturating_sub(MOST);
    let names: Vec<String> = names
        .iter()
        .take(MOST)
        .map(|name| format!("`{name}`"))
        .collect();
    match names.as_slice() {
        [] => String::from("nothing"),
        [only] => only.clone(),
        all if more > 0 => format!("{} {last_word} {more} more", all.join(", ")),
        [head @ .., last] => format!("{} {last_word} {last}", head.join(", ")),
    }
}
