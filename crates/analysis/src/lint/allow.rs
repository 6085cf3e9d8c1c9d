//! Findings that are meant to be there.
//!
//! `# lint: allow does-nothing` allows what a rule finds on its own line, or on the next one when
//! the comment has a line to itself; `# lint: allow-file does-nothing` allows it everywhere in the
//! file. Rules are separated by commas, and a reason may follow after a colon. A comment that
//! allows nothing is a finding itself, so that none stays behind when its reason has gone.

use fourtuple_scenario::{Diagnostic, Span};

use super::{LintFinding, LintRule, Subject};

/// A rule's name in a comment.
struct Allowed<'a> {
    rule: &'a str,
    /// The line whose findings it allows; none for the whole file.
    line: Option<usize>,
    span: Span,
    used: bool,
}

/// Leaves out what is allowed.
pub(super) fn apply(subject: &Subject<'_>, findings: Vec<LintFinding>) -> Vec<LintFinding> {
    let mut allowed = read(subject.scenario.text());
    let mut left: Vec<LintFinding> = Vec::new();
    for finding in findings {
        let line = line_of(&finding.diagnostic);
        let mut fits = false;
        for one in &mut allowed {
            if one.rule == finding.rule.name() && one.line.is_none_or(|at| Some(at) == line) {
                one.used = true;
                fits = true;
            }
        }
        if !fits {
            left.push(finding);
        }
    }
    for one in allowed.iter().filter(|one| !one.used) {
        let exists = LintRule::ALL.iter().any(|rule| rule.name() == one.rule);
        let (message, label) = if exists {
            (
                format!("nothing to allow: no finding of `{}` here", one.rule),
                "take it away",
            )
        } else {
            (
                format!("unknown rule `{}`", one.rule),
                "`fourtuple lint --help` lists the rules",
            )
        };
        left.push(subject.find(LintRule::UnusedAllow, one.span, message, label));
    }
    left
}

fn line_of(diagnostic: &Diagnostic) -> Option<usize> {
    diagnostic.place.as_ref().map(|place| place.line)
}

/// The comments of a file that allow something.
fn read(text: &str) -> Vec<Allowed<'_>> {
    let mut found = Vec::new();
    let mut offset = 0;
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    for (n, line) in lines.iter().enumerate() {
        if let Some((before, comment)) = line.split_once("# lint: ")
            && let Some((word, rules)) = comment.trim_end().split_once(' ')
            && matches!(word, "allow" | "allow-file")
        {
            let next = || {
                let is_comment = |line: &&str| line.trim_start().starts_with('#');
                let skipped = lines[n + 1..].iter().take_while(|line| is_comment(line));
                n + 2 + skipped.count()
            };
            let covered = match word {
                "allow-file" => None,
                _ if before.trim().is_empty() => Some(next()),
                _ => Some(n + 1),
            };
            // A reason may follow, as a person would write one.
            let (rules, _) = rules.split_once(':').unwrap_or((rules, ""));
            for rule in rules
                .split(',')
                .map(str::trim)
                .filter(|rule| !rule.is_empty())
            {
                // The rule is a part of the text, so that its place in it is known.
                let start = offset + (rule.as_ptr() as usize - line.as_ptr() as usize);
                found.push(Allowed {
                    rule,
                    line: covered,
                    span: Span {
                        start: u32::try_from(start).unwrap_or(u32::MAX),
                        end: u32::try_from(start + rule.len()).unwrap_or(u32::MAX),
                        line: u32::try_from(n + 1).unwrap_or(u32::MAX),
                    },
                    used: false,
                });
            }
        }
        offset += line.len();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn comments_cover_their_line_or_the_next_or_the_file() {
        let text = "\
about: x
# lint: allow odd-range, does-nothing
# why
sysctl: 1 # lint: allow stale-advice: it is what they did
# lint: allow-file listener-in-range
# lint: nothing of ours
";
        let found: Vec<(&str, Option<usize>)> =
            read(text).iter().map(|one| (one.rule, one.line)).collect();
        assert_eq!(
            found,
            [
                ("odd-range", Some(4)),
                ("does-nothing", Some(4)),
                ("stale-advice", Some(4)),
                ("listener-in-range", None),
            ]
        );
        let first = &read(text)[0];
        let place = first.span.start as usize..first.span.end as usize;
        assert_eq!(&text[place], "odd-range");
    }
}
