//! The top-level `expect`.
//!
//! One grammar: `process.call: RESULT` (each result is that, or one of a list), or `process.call: {
//! RESULT: COUNT }` (exactly these). A list of such maps limits each to some kernels with the key
//! `kernel`.

use indexmap::{IndexMap, IndexSet};

use crate::diagnostic::quoted;
use crate::model::{Check, ExpectBlock, Expected};
use crate::span::Spanned;
use crate::suggest::{all_of, nearest};
use crate::value::{Answer, Invalid, Op, Ordinary, Word};
use crate::yaml::{Key, Node, Value};

use super::Problems;
use super::fields::entries;
use super::values::{answers, items, kernels, word};

/// Decodes the value of `expect`. `processes` are the process names that attempts can have.
pub(crate) fn expect(
    node: &Node,
    processes: &IndexSet<String>,
    problems: &mut Problems<'_>,
) -> Vec<ExpectBlock> {
    items(node)
        .iter()
        .filter_map(|item| block(item, processes, problems))
        .collect()
}

fn block(
    node: &Node,
    processes: &IndexSet<String>,
    problems: &mut Problems<'_>,
) -> Option<ExpectBlock> {
    let mut kernel = None;
    let mut checks = Vec::new();
    for (key, node) in entries(node, "a map of expectations", problems)? {
        // Computing suggestions takes time, and problems beyond the limit are not shown.
        if problems.is_full() {
            break;
        }
        if &*key.text == "kernel" {
            kernel = kernels(node, problems);
        } else if let Some((process, op)) = target(key, processes, problems)
            && let Some(expected) = expected(node, problems)
        {
            let check = Check {
                process,
                op,
                expected,
            };
            checks.push(Spanned::new(check, key.span));
        }
    }
    Some(ExpectBlock { kernel, checks })
}

/// Splits `process.call`.
fn target(
    key: &Key,
    processes: &IndexSet<String>,
    problems: &mut Problems<'_>,
) -> Option<(String, Op)> {
    let names = || processes.iter().map(String::as_str);
    let Some((process, op)) = key.text.split_once('.') else {
        let process = if processes.contains(&*key.text) {
            &*key.text
        } else {
            "plain"
        };
        problems.report(
            key.span,
            format!("{} does not name a process and a call", quoted(&key.text)),
            "`process.call`",
            Some(format!("write `{process}.connect`")),
        );
        return None;
    };
    if !processes.contains(process) {
        let help = match nearest(process, names()) {
            Some(near) => format!("did you mean `{near}.{op}`?"),
            None => format!("the processes are {}", all_of(names())),
        };
        let message = format!("unknown process {}", quoted(process));
        problems.report(key.span, message, "a process of this scenario", Some(help));
        return None;
    }
    match Op::parse(op) {
        Ok(op) => Some((process.to_owned(), op)),
        Err(bad) => {
            let message = format!("unknown socket call {}", quoted(op));
            problems.report(key.span, message, Op::EXPECTED, bad.help);
            None
        }
    }
}

fn expected(node: &Node, problems: &mut Problems<'_>) -> Option<Expected> {
    let Value::Map(entries) = &node.value else {
        return answers(node, problems).map(Expected::Each);
    };
    let mut counts = IndexMap::new();
    for (key, node) in entries {
        let answer = match Answer::parse(&key.text) {
            Ok(answer) => Some(answer),
            Err(Invalid { help, .. }) => {
                let message = format!("unknown result {}", quoted(&key.text));
                problems.report(key.span, message, Answer::EXPECTED, help);
                None
            }
        };
        let count = word::<Ordinary>(node, problems);
        counts.extend(answer.zip(count.map(|count| count.0)));
    }
    if entries.is_empty() {
        let help = "write `{ ok: 4 }`; `{ ok: 0 }` means that there is no attempt";
        problems.report(
            node.span,
            "the map of counts is empty",
            "results with their counts",
            Some(help.to_owned()),
        );
        return None;
    }
    Some(Expected::Counts(counts))
}
