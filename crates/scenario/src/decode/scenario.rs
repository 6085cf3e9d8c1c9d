//! Decoding of the top level.

use std::sync::Arc;

use indexmap::{IndexMap, IndexSet};

use crate::diagnostic::{Diagnostic, Errors};
use crate::limits::MAX_EXPANDED_VALUES;
use crate::model::{Body, KernelSelector, Point, Program, Scenario};
use crate::source::SourceFile;
use crate::span::Span;
use crate::yaml::{Key, Node, Value};

use super::Problems;
use super::fields::{Fields, SCENARIO};
use super::matrix::{Substitution, matrix, points};
use super::values::{kernels, text, word, words};

/// The fields that the matrix does not reach.
const HEAD: &[&str] = &["about", "source", "kernel", "matrix"];

/// Decodes a whole file.
pub(crate) fn decode(
    root: &Node,
    name: String,
    source: &Arc<SourceFile>,
) -> Result<Scenario, Errors> {
    let mut problems = Problems::new(source);
    let decoded = scenario(root, name, source, &mut problems);
    problems.finish()?;
    // Without a problem there is a scenario. The message covers a check that failed to report one.
    decoded.ok_or_else(|| Diagnostic::of_file(&source.path, "failed to read this scenario").into())
}

fn scenario(
    root: &Node,
    name: String,
    source: &Arc<SourceFile>,
    problems: &mut Problems<'_>,
) -> Option<Scenario> {
    let top = source.span(0, 0);
    let Value::Map(entries) = &root.value else {
        let message = format!("expected a map, found {}", root.kind());
        let help = "start with `about: ...`, then `hosts:` and `processes:` or `steps:`";
        problems.report(
            root.span,
            message,
            "`about`, `hosts`, ...",
            Some(help.to_owned()),
        );
        return None;
    };
    let fields = Fields::of(root, "a scenario", SCENARIO, top, problems)?;
    let about = about(&fields, top, problems);
    let origin = fields
        .take("source", problems, words::<String>)
        .unwrap_or_default();
    let kernel = match fields.node("kernel") {
        Some(node) => {
            let selector = kernels(node, problems);
            if let Some(selector) = &selector {
                no_axes(selector, problems);
            }
            selector
        }
        None => Some(KernelSelector::all()),
    };
    let matrix = match (fields.node("matrix"), fields.key_span("matrix")) {
        (Some(node), Some(at)) => matrix(node, at, problems),
        _ => IndexMap::new(),
    };
    forms(&fields, top, problems);

    let written: Vec<(Key, Node)> = entries
        .iter()
        .filter(|(key, _)| !HEAD.contains(&&*key.text) && SCENARIO.contains(&&*key.text))
        .cloned()
        .collect();
    let points = all_points(&written, &matrix, &fields, top, problems);
    Some(Scenario {
        name,
        file: source.path.clone(),
        about: about?,
        source: origin,
        kernel: kernel?,
        matrix,
        points,
        written,
        text: source.clone(),
    })
}

fn about(fields: &Fields<'_>, top: Span, problems: &mut Problems<'_>) -> Option<String> {
    const EXPECTED: &str = "the question that the scenario asks, in one sentence";
    let Some(node) = fields.node("about") else {
        let help = "add `about: ...` as the first line".to_owned();
        problems.report(top, "the scenario has no `about`", EXPECTED, Some(help));
        return None;
    };
    let about = text(node, EXPECTED, problems)?.trim();
    if about.is_empty() {
        problems.report(node.span, "`about` is empty", EXPECTED, None);
        return None;
    }
    Some(about.to_owned())
}

/// Rejects `${name}` in `kernel`: kernels are an axis of their own, outside of the matrix.
fn no_axes(selector: &KernelSelector, problems: &mut Problems<'_>) {
    for pattern in &selector.patterns {
        if pattern.value.to_string().contains("${") {
            let help = "list the kernels: `kernel: [rhel-6.5, linux-6.18]`".to_owned();
            let message = "`kernel` does not support matrix axes";
            problems.report(pattern.span, message, "kernels by name", Some(help));
        }
    }
}

/// Checks that exactly one of the two forms is present, and `hosts`.
fn forms(fields: &Fields<'_>, top: Span, problems: &mut Problems<'_>) {
    if fields.node("hosts").is_none() {
        fields.missing("hosts", problems);
    }
    match (fields.key_span("processes"), fields.key_span("steps")) {
        (Some(_), Some(steps)) => {
            let help = "keep one of them, or make two scenarios".to_owned();
            let message = "a scenario has either `processes` or `steps`, not both";
            problems.report(steps, message, "one of the two forms", Some(help));
        }
        (None, None) => {
            let help = "add `processes:` for programs that bind and connect, or `steps:` for single socket calls";
            let message = "the scenario has neither `processes` nor `steps`";
            problems.report(top, message, "one of the two forms", Some(help.to_owned()));
        }
        _ => {}
    }
}

fn all_points(
    written: &[(Key, Node)],
    matrix: &IndexMap<String, Vec<String>>,
    fields: &Fields<'_>,
    top: Span,
    problems: &mut Problems<'_>,
) -> Vec<Point> {
    let template = Node {
        span: top,
        value: Value::Map(written.to_vec()),
    };
    let mut used = IndexSet::new();
    let mut all = Vec::new();
    let mut weight = 0_usize;
    for axes in points(matrix) {
        problems.axes = axes
            .iter()
            .map(|(name, value)| format!("{name} = {value}"))
            .collect::<Vec<_>>()
            .join(", ");
        let mut substitution = Substitution {
            axes: &axes,
            used: std::mem::take(&mut used),
        };
        let before = problems.count();
        let filled = substitution.apply(&template, problems);
        used = substitution.used;
        // A value with an unknown axis has been reported, and decoding it would report it again.
        if problems.count() > before {
            break;
        }
        weight = weight.saturating_add(filled.weight());
        if weight > MAX_EXPANDED_VALUES {
            let message =
                format!("more than {MAX_EXPANDED_VALUES} values after substituting the matrix");
            let at = fields.key_span("matrix").unwrap_or(top);
            let help =
                format!("the limit is {MAX_EXPANDED_VALUES}; use fewer points or fewer steps");
            problems.report(at, message, "", Some(help));
            break;
        }
        if let Some(body) = body(&filled, top, problems) {
            all.push(Point { axes, body });
        }
        if problems.is_full() {
            break;
        }
    }
    problems.axes.clear();
    if problems.is_empty()
        && let Some((name, _)) = matrix.iter().find(|(name, _)| !used.contains(*name))
    {
        let at = fields.key_span("matrix").unwrap_or(top);
        let help = format!("use `${{{name}}}` somewhere, or remove the axis");
        problems.report(
            at,
            format!("the axis `{name}` is not used"),
            "axes that are used",
            Some(help),
        );
    }
    all
}

fn body(node: &Node, top: Span, problems: &mut Problems<'_>) -> Option<Body> {
    let fields = Fields::of(node, "a scenario", SCENARIO, top, problems)?;
    let at = |name: &str| fields.key_span(name).unwrap_or(top);
    let hosts = fields
        .node("hosts")
        .map(|node| super::hosts::hosts(node, at("hosts"), problems))
        .unwrap_or_default();
    let network = fields
        .node("network")
        .and_then(|node| super::network::network(node, at("network"), &hosts, problems))
        .unwrap_or_default();
    let (program, names) = match (fields.node("processes"), fields.node("steps")) {
        (Some(node), _) => {
            let processes = super::processes::processes(node, at("processes"), &hosts, problems);
            let names = processes.keys().cloned().collect();
            (Program::Processes(processes), names)
        }
        (None, Some(node)) => {
            let raw = super::steps::steps(node, at("steps"), problems)?;
            let (steps, names) = super::sockets::resolve(raw, &hosts, problems);
            (Program::Steps(steps), names)
        }
        (None, None) => return None,
    };
    Some(Body {
        seed: fields.take("seed", problems, word::<u64>).unwrap_or(1),
        time_wait: fields.take("time_wait", problems, word),
        network,
        expect: fields
            .node("expect")
            .map(|node| super::expect::expect(node, &names, problems))
            .unwrap_or_default(),
        hosts,
        program,
    })
}
