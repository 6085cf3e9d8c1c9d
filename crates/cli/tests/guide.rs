//! The user guide under docs/: its pages, its links, and the output of its examples.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::common::{fourtuple, root, without_certificate};

/// The pages of the guide, relative to the repository, and the README.
fn pages() -> Vec<PathBuf> {
    let mut pages: Vec<PathBuf> = ["docs", "docs/upstream"]
        .into_iter()
        .flat_map(markdown)
        .collect();
    pages.push("README.md".into());
    pages.sort();
    pages
}

/// The pages of a directory.
fn markdown(directory: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join(directory)).expect("a directory");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let markdown = names.filter(|name| Path::new(name).extension() == Some("md".as_ref()));
    markdown
        .map(|name| Path::new(directory).join(name))
        .collect()
}

fn text(page: &Path) -> String {
    std::fs::read_to_string(root().join(page))
        .unwrap_or_else(|error| panic!("{}: {error}", page.display()))
}

/// The text outside of code blocks and code spans, where brackets are links.
fn prose(text: &str) -> String {
    let mut inside = false;
    let mut prose = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            inside = !inside;
        } else if !inside {
            let spans = line.split('`').step_by(2);
            let _ = writeln!(prose, "{}", spans.collect::<String>());
        }
    }
    prose
}

/// The targets of the Markdown links.
fn links(text: &str) -> Vec<String> {
    let prose = prose(text);
    let starts = prose.split("](").skip(1);
    let targets = starts.filter_map(|rest| rest.split_once(')').map(|(target, _)| target));
    targets.map(str::to_owned).collect()
}

/// The anchors that mdBook and code hosts give to the headings of a page.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let names = headings.map(|line| line.trim_start_matches('#').trim().to_lowercase());
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    names
        .map(|name| {
            name.chars()
                .filter(kept)
                .collect::<String>()
                .replace(' ', "-")
        })
        .collect()
}

#[test]
fn summary_lists_every_page() {
    let listed: BTreeSet<PathBuf> = links(&text(Path::new("docs/SUMMARY.md")))
        .into_iter()
        .map(|target| Path::new("docs").join(target))
        .collect();
    let there: BTreeSet<PathBuf> = pages()
        .into_iter()
        .filter(|page| page.starts_with("docs") && !page.ends_with("SUMMARY.md"))
        .collect();
    assert_eq!(listed, there);
}

#[test]
fn links_lead_somewhere() {
    let mut broken = Vec::new();
    for page in pages() {
        for target in links(&text(&page)) {
            if target.contains("://") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let path = match file {
                "" => page.clone(),
                _ => page.parent().expect("a directory").join(file),
            };
            let exists = root().join(&path).exists();
            if !exists || !anchor.is_empty() && !anchors(&text(&path)).contains(anchor) {
                broken.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "broken links:\n{}", broken.join("\n"));
}

/// The page with the output of each example that has one as the command prints it now.
///
/// An example is a `console` block with one command. It has no output where it needs what the
/// repository does not have: a shell, a file of the reader's, a real kernel.
fn rerun(page: &str) -> String {
    let mut new = String::new();
    let mut rest = page;
    while let Some((before, after)) = rest.split_once("```console\n") {
        let (block, after) = after.split_once("```").expect("an open code block");
        let _ = writeln!(new, "{before}```console");
        let (call, output) = block.split_once('\n').expect("a command");
        match call.strip_prefix("$ fourtuple ") {
            Some(words) if !output.is_empty() && !block[1..].contains("\n$ ") => {
                let _ = writeln!(new, "{call}");
                let words: Vec<&str> = words.split_whitespace().collect();
                let said = fourtuple(&root(), &words);
                assert_ne!(said.status, 2, "{call}: {}", said.err);
                let printed = without_certificate(&said.out);
                let _ = writeln!(new, "{}", printed.trim_end());
            }
            _ => new.push_str(block),
        }
        new.push_str("```");
        rest = after;
    }
    new + rest
}

#[test]
fn examples_print_what_the_pages_show() {
    let mut stale = Vec::new();
    for page in pages() {
        let old = text(&page);
        let new = rerun(&old);
        if old != new {
            if std::env::var_os("FOURTUPLE_UPDATE").is_some() {
                std::fs::write(root().join(&page), new).expect("a page");
            } else {
                stale.push(page.display().to_string());
            }
        }
    }
    assert!(
        stale.is_empty(),
        "out of date: {stale:?}: FOURTUPLE_UPDATE=1 cargo test -p fourtuple --test guide"
    );
}
