//! The warning in front of answers about a scenario whose expectations the model does not meet.

use fourtuple_harness::Unmet;

/// Maximum number of expectations that are listed; further ones are counted.
const LISTED: usize = 12;

/// A warning about the unmet expectations of a case; none if all are met.
#[must_use]
pub fn warning(kernel: &str, unmet: &[Unmet]) -> Option<String> {
    let count = unmet.len();
    let plural = if count == 1 { "" } else { "s" };
    let mut text = format!(
        "NOT AS EXPECTED: {count} expectation{plural} of this scenario not met by the model of {kernel}. What follows is about another outcome than the expected one.\n"
    );
    for one in unmet.iter().take(LISTED) {
        let line = one
            .line
            .map_or_else(String::new, |line| format!("line {line}: "));
        text.push_str(&format!("  {line}{}\n", one.text));
    }
    if count > LISTED {
        text.push_str(&format!("  and {} more\n", count - LISTED));
    }
    (count > 0).then_some(text)
}
