//! "Did you mean": the nearest of the names that would have been right.

use strsim::damerau_levenshtein;

/// Longest word that is compared; a longer one is no slip of the hand, and the comparison takes quadratic time.
const MAX_WORD: usize = 80;

/// The name nearest to `word`, when it is near enough to be a slip of the hand.
pub(crate) fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    ranked(word, names).into_iter().next()
}

/// The names near to `word`, nearest first, at most three.
pub(crate) fn nearest_few<'a>(
    word: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Vec<&'a str> {
    let mut found = ranked(word, names);
    found.truncate(3);
    found
}

fn ranked<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    if word.chars().count() > MAX_WORD {
        return Vec::new();
    }
    let word = word.to_lowercase();
    let allowed = (word.chars().count() / 3).clamp(1, 4);
    let mut found: Vec<(usize, &str)> = names
        .into_iter()
        .filter(|name| name.chars().count() <= MAX_WORD)
        .map(|name| (damerau_levenshtein(&word, &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= allowed)
        .collect();
    // The sort is stable, so that names at the same distance keep the order of the list.
    found.sort_by_key(|(distance, _)| *distance);
    found.into_iter().map(|(_, name)| name).collect()
}

/// Names as they stand in a message: "`a`, `b` or `c`".
pub(crate) fn one_of<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match names.as_slice() {
        [] => String::from("nothing"),
        [only] => only.clone(),
        [head @ .., last] => format!("{} or {last}", head.join(", ")),
    }
}
