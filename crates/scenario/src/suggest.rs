//! "Did you mean": the nearest of the names that would have been right.

use strsim::damerau_levenshtein;

/// Longest word that is compared; a longer one is no slip of the hand, and the comparison takes quadratic time.
const MAX_WORD: usize = 80;

/// The name nearest to `word`, when it is near enough to be a slip of the hand.
pub(crate) fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    ranked(word, names).into_iter().next()
}

/// The names that are so near to `word` that it may be a slip of the hand for them, nearest first, at most three.
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
    // A name of one letter is a choice and no slip of another one.
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
    // A slip is rarely in the first letter. The sort is stable, so that names that are equally near keep their order.
    let first = word.chars().next();
    found.sort_by_key(|(distance, name)| (*distance, name.to_lowercase().chars().next() != first));
    found.into_iter().map(|(_, name)| name).collect()
}

/// Names to choose from, as they stand in a message: "`a`, `b` or `c`".
pub(crate) fn one_of<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    joined(names, "or")
}

/// Names that there are, as they stand in a message: "`a`, `b` and `c`".
pub(crate) fn all_of<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    joined(names, "and")
}

fn joined<'a>(names: impl IntoIterator<Item = &'a str>, last_word: &str) -> String {
    /// More names than this help nobody.
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
