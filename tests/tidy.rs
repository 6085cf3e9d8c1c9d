//! The rules of CONTRIBUTING.md on words, comments and commits, for every file that people read.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use fourtuple_suite::root;

/// Folders and files of the repository with text.
const TEXT: [&str; 12] = [
    "crates",
    "tests",
    "fuzz",
    "docs",
    "scenarios",
    "snapshots",
    "deploy",
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "SECURITY.md",
];
/// The list of words itself.
const EXEMPT: [&str; 1] = ["tests/tidy.rs"];

/// A docstring does not open with these.
const OPENERS: [&str; 7] = ["What", "How", "Whether", "Who", "Whose", "Where", "That"];

/// Columns of a comment.
const COLUMNS: usize = 100;

/// Words, and the terms of the field that stand for them.
const AVOIDED: [(&str, &str); 29] = [
    ("nobody", "no process, no socket"),
    ("somebody", "another program"),
    ("anybody", "a process, a socket"),
    ("everybody", "every process, every socket"),
    ("whoever", "the process that, the side that"),
    ("hang on", "depend on"),
    ("hangs on", "depends on"),
    ("comes of", "the outcome of"),
    ("came of", "the outcome of"),
    ("comes out", "the outcome is"),
    ("came out", "the outcome was"),
    ("in vain", "without effect"),
    ("told", "reported"),
    ("tells", "reports, prints"),
    ("stand-in", "TIME-WAIT socket"),
    ("stand-ins", "TIME-WAIT sockets"),
    ("way out", "workaround, fix"),
    ("ways out", "workarounds, fixes"),
    ("no way to", "is not a valid"),
    ("does nothing", "has no effect"),
    ("do nothing", "have no effect"),
    ("alike", "equivalent, the same"),
    ("automatic port", "ephemeral port"),
    ("automatic ports", "ephemeral ports"),
    ("search for a port", "ephemeral port selection"),
    ("putoff", "deferred timer"),
    ("wrong behaviours", "mutated flags"),
    ("cannot be written", "failed to write"),
    ("the call is wrong", "invalid arguments"),
];

/// The files below a path with one of the extensions, in order.
fn files(path: &Path, extensions: &[&str], found: &mut Vec<PathBuf>) {
    if path.is_dir() {
        let entries = fs::read_dir(path).expect("a directory");
        let mut entries: Vec<PathBuf> = entries
            .map(|entry| entry.expect("an entry").path())
            .collect();
        entries.sort();
        for entry in entries {
            let name = entry.file_name().unwrap_or_default().to_string_lossy();
            if name != "target" && !name.starts_with('.') {
                files(&entry, extensions, found);
            }
        }
    } else if path
        .extension()
        .is_some_and(|extension| extensions.iter().any(|known| extension == *known))
    {
        found.push(path.to_owned());
    }
}

/// Applies a rule to every file with one of the extensions: the violations, each with its place.
fn violations(extensions: &[&str], rule: impl Fn(&str) -> Vec<(usize, String)>) -> Vec<String> {
    let mut paths = Vec::new();
    for path in TEXT {
        files(&root().join(path), extensions, &mut paths);
    }
    assert!(!paths.is_empty(), "no files with {extensions:?}");
    let mut found = Vec::new();
    for path in paths {
        let shown = path.strip_prefix(root()).unwrap_or(&path).to_owned();
        if EXEMPT.iter().any(|exempt| shown.starts_with(exempt)) {
            continue;
        }
        let text = fs::read(&path).expect("a readable file");
        let lines = rule(&String::from_utf8_lossy(&text)).into_iter();
        found.extend(lines.map(|(line, what)| format!("{}:{line}: {what}", shown.display())));
    }
    found
}

fn assert_none(found: &[String], rule: &str) {
    assert!(
        found.is_empty(),
        "{rule}: {}\n{}",
        found.len(),
        found.join("\n")
    );
}

/// The text of a line of a comment without its slashes; `None` for code.
fn comment(line: &str) -> Option<&str> {
    let text = line.trim_start().strip_prefix("//")?;
    Some(text.trim_start_matches(['/', '!']).trim())
}

fn is_docstring(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("///") || line.starts_with("//!")
}

/// Docstrings, and paragraphs of them, that open with a word of the list; questions may.
fn bad_openers(source: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut before = None;
    for (n, line) in source.lines().enumerate() {
        let text = comment(line);
        if let Some(text) = text.filter(|_| is_docstring(line)) {
            let first = text.split(|c: char| !c.is_alphanumeric()).next();
            let opens = first.is_some_and(|word| OPENERS.contains(&word));
            if before.is_none_or(str::is_empty) && opens && !text.ends_with('?') {
                found.push((n + 1, text.to_owned()));
            }
        }
        before = text;
    }
    found
}

/// Comments that are too wide, but for links and tables, which cannot be wrapped.
fn wide_comments(source: &str) -> Vec<(usize, String)> {
    let lines = source.lines().enumerate();
    let wide = lines.filter(|(_, line)| {
        line.chars().count() > COLUMNS
            && comment(line).is_some_and(|text| !text.contains("://") && !text.starts_with('|'))
    });
    wide.map(|(n, line)| (n + 1, line.trim().to_owned()))
        .collect()
}

/// Places of a word in a text in lower case, not inside of longer words.
fn places<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    text.match_indices(word)
        .map(|(at, _)| at)
        .filter(move |at| {
            let before = text[..*at].chars().next_back();
            let after = text[at + word.len()..].chars().next();
            let apart = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '-');
            apart(before) && apart(after)
        })
}

/// Words of the list, also where a line ends between two of them.
fn avoided_words(text: &str) -> Vec<(usize, String)> {
    let lower = text.to_lowercase();
    let mut found = Vec::new();
    for (word, instead) in AVOIDED {
        let first = word.split(' ').next().unwrap_or(word);
        if !lower.contains(first) {
            continue;
        }
        let mut lines = lower.lines().enumerate().peekable();
        while let Some((n, line)) = lines.next() {
            let next = lines.peek().map_or("", |(_, next)| next.trim_start());
            let next = next.trim_start_matches(['/', '!']).trim_start();
            let joined = format!("{} {next}", line.trim_end());
            if places(&joined, word).any(|at| at < line.len()) {
                found.push((n + 1, format!("`{word}`: write {instead}")));
            }
        }
    }
    found
}

/// The subjects of the commits that are not on the main branch yet, or not in the newest release;
/// none without git.
fn subjects() -> Vec<String> {
    let git = |arguments: &[&str]| -> Option<String> {
        let output = Command::new("git")
            .current_dir(root())
            .args(arguments)
            .output();
        let output = output.ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let target = std::env::var("GITHUB_BASE_REF").ok();
    let target = target
        .filter(|name| !name.is_empty())
        .map(|name| format!("origin/{name}"));
    let mut bases: Vec<String> = target.into_iter().collect();
    bases.extend(["origin/main", "main"].map(str::to_owned));
    bases.extend(git(&["describe", "--tags", "--abbrev=0"]));
    let ranges = bases.iter().map(|base| format!("{base}..HEAD"));
    let logs = ranges.filter_map(|range| git(&["log", "--no-merges", "--format=%s", &range]));
    let log = logs
        .into_iter()
        .find(|log| !log.is_empty())
        .unwrap_or_default();
    log.lines().map(str::to_owned).collect()
}

fn is_long_subject(subject: &str) -> bool {
    subject.chars().count() > 72
}

#[test]
fn docstrings_open_with_a_noun_or_a_verb() {
    let found = violations(&["rs"], bad_openers);
    assert_none(&found, "docstrings that open with What, How, Whether, ...");
}

#[test]
fn comments_are_at_most_100_columns_wide() {
    let found = violations(&["rs"], wide_comments);
    assert_none(&found, "comments that are wider than 100 columns");
}

#[test]
fn text_uses_the_terms_of_the_field() {
    let found = violations(&["rs", "md", "yaml", "snap"], avoided_words);
    assert_none(&found, "words that CONTRIBUTING.md replaces by terms");
}

#[test]
fn subjects_of_commits_are_at_most_72_characters_long() {
    let found: Vec<String> = subjects()
        .into_iter()
        .filter(|one| is_long_subject(one))
        .collect();
    assert_none(&found, "subjects that are longer than 72 characters");
}

#[test]
fn violations_are_found() {
    let opener =
        "/// What is left.\nfn f() {}\n\n/// Is it? Whether\n/// Where\n///\n/// How so.\n";
    let lines = |found: Vec<(usize, String)>| found.iter().map(|one| one.0).collect::<Vec<_>>();
    assert_eq!(lines(bad_openers(opener)), [1, 7]);
    assert_eq!(
        lines(bad_openers("// What it is.\n/// How is it?\n")),
        [0; 0]
    );

    let wide = format!(
        "    /// {}\n    // {}\n    let x = {};\n",
        "x".repeat(93),
        "x".repeat(93),
        "1".repeat(99)
    );
    assert_eq!(lines(wide_comments(&wide)), [1]);
    assert_eq!(
        lines(wide_comments(&format!(
            "// | {0} |\n// https://{0}\n",
            "x".repeat(99)
        ))),
        [0; 0]
    );

    assert_eq!(lines(avoided_words("It depends.\nNobody asks.\n")), [2]);
    assert_eq!(
        lines(avoided_words("/// This is a way\n    /// out of it.\n")),
        [1]
    );
    assert_eq!(
        lines(avoided_words("by way outside, untold, stand-in-hand\n")),
        [0; 0]
    );
    assert_eq!(lines(avoided_words("let is_told = 1;\n")), [1]);

    assert!(is_long_subject(&"x".repeat(73)));
    assert!(!is_long_subject(&"x".repeat(72)));
}
