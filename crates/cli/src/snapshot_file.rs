//! Snapshot files in insta's format, so that `cargo insta review` and `fourtuple test` use the same
//! ones.

use std::path::PathBuf;

use similar::{ChangeTag, TextDiff};

use crate::files::{self, Existing};
use crate::output::Failure;

/// Lines of context around a difference.
const CONTEXT: usize = 2;

/// A snapshot on disk: a header between two lines `---`, then the text.
#[derive(Debug)]
pub(crate) struct SnapshotFile {
    path: PathBuf,
    /// The header and the text, if the file exists.
    kept: Option<(String, String)>,
}

/// The comparison of a snapshot with a new outcome.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Same,
    /// No snapshot exists yet.
    New,
    /// A unified diff.
    Differs(String),
}

impl SnapshotFile {
    /// Reads the file, if there is one.
    pub(crate) fn read(path: PathBuf) -> Result<Self, Failure> {
        let kept = match std::fs::read_to_string(&path) {
            Ok(text) => Some(split(&text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => {
                return Err(Failure::Message(format!(
                    "error: failed to read {}: {error}",
                    path.display()
                )));
            }
        };
        Ok(SnapshotFile { path, kept })
    }

    /// Compares the stored text with an outcome. Empty lines at either end are ignored, as in
    /// insta.
    pub(crate) fn compare(&self, outcome: &str) -> Comparison {
        match &self.kept {
            None => Comparison::New,
            Some((_, text)) if trimmed(text) == trimmed(outcome) => Comparison::Same,
            Some((_, text)) => Comparison::Differs(diff(trimmed(text), trimmed(outcome))),
        }
    }

    /// Replaces the stored text by an outcome. The header is kept.
    pub(crate) fn accept(&self, outcome: &str, input: &str) -> Result<(), Failure> {
        let header = match &self.kept {
            Some((header, _)) => header.clone(),
            None => format!("source: fourtuple test\ninput_file: {input}\n"),
        };
        let text = format!("---\n{header}---\n{}\n", trimmed(outcome));
        files::write(&self.path, text, Existing::Replace)
    }
}

/// The header's lines and the text after it.
fn split(file: &str) -> (String, String) {
    file.strip_prefix("---\n")
        .and_then(|rest| rest.split_once("\n---\n"))
        .map_or_else(
            || (String::new(), file.to_owned()),
            |(header, text)| (format!("{header}\n"), text.to_owned()),
        )
}

fn trimmed(text: &str) -> &str {
    text.trim_start_matches(['\r', '\n']).trim_end()
}

/// A unified diff: `-` for stored lines, `+` for new ones.
fn diff(kept: &str, new: &str) -> String {
    let diff = TextDiff::from_lines(kept, new);
    let mut out = String::new();
    for (n, group) in diff.grouped_ops(CONTEXT).iter().enumerate() {
        if n > 0 {
            out.push_str("    ...\n");
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let sign = match change.tag() {
                ChangeTag::Equal => ' ',
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
            };
            out.push_str(&format!("  {sign} {}\n", change.value().trim_end()));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(text: &str) -> SnapshotFile {
        SnapshotFile {
            path: PathBuf::new(),
            kept: Some(split(text)),
        }
    }

    #[test]
    fn header_and_outer_empty_lines_are_not_compared() {
        let file = kept("---\nsource: tests/scenarios.rs\ninput_file: x.yaml\n---\n\na\nb\n\n");
        assert_eq!(file.compare("a\nb"), Comparison::Same);
        assert_eq!(file.compare("\n\na\nb\n"), Comparison::Same);
        assert_ne!(file.compare(" a\nb"), Comparison::Same);
    }

    #[test]
    fn a_line_of_dashes_inside_the_text_stays_text() {
        let file = kept("---\nsource: x\n---\na\n---\nb\n");
        assert_eq!(file.compare("a\n---\nb"), Comparison::Same);
    }

    #[test]
    fn a_difference_shows_the_lines_around_it() {
        let old: Vec<String> = (0..20).map(|n| format!("line {n}")).collect();
        let mut new = old.clone();
        new[9] = "changed".to_owned();
        let Comparison::Differs(diff) = kept(&old.join("\n")).compare(&new.join("\n")) else {
            panic!("they differ");
        };
        let expected =
            "    line 7\n    line 8\n  - line 9\n  + changed\n    line 10\n    line 11\n";
        assert_eq!(diff, expected);
    }
}
