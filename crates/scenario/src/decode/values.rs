//! Decoders of scalars and of lists of scalars.

use crate::diagnostic::quoted;
use crate::limits::MAX_ADDRESSES;
use crate::model::{KernelPattern, KernelSelector};
use crate::span::Spanned;
use crate::value::{Answer, Name, Word};
use crate::yaml::{Node, Value};

use super::Problems;

/// The text of a scalar. Reports a list or map.
pub(crate) fn text<'n>(
    node: &'n Node,
    expected: &str,
    problems: &mut Problems<'_>,
) -> Option<&'n str> {
    match &node.value {
        Value::Scalar { text, .. } if !node.is_null() => Some(text),
        _ => {
            problems.report(
                node.span,
                format!("expected a single value, found {}", node.kind()),
                expected,
                None,
            );
            None
        }
    }
}

/// Decodes a scalar.
pub(crate) fn word<T: Word>(node: &Node, problems: &mut Problems<'_>) -> Option<T> {
    let text = text(node, T::EXPECTED, problems)?;
    match T::parse(text) {
        Ok(value) => Some(value),
        Err(bad) => {
            let message = bad
                .message
                .unwrap_or_else(|| format!("invalid value {}", quoted(text)));
            problems.report(node.span, message, T::EXPECTED, bad.help);
            None
        }
    }
}

/// Decodes a scalar and keeps its span.
pub(crate) fn spanned<T: Word>(node: &Node, problems: &mut Problems<'_>) -> Option<Spanned<T>> {
    Some(Spanned::new(word(node, problems)?, node.span))
}

/// Decodes a name that the user defines or refers to.
pub(crate) fn name(node: &Node, problems: &mut Problems<'_>) -> Option<String> {
    word::<Name>(node, problems).map(|name| name.0)
}

/// Decodes a name, and keeps its span.
pub(crate) fn spanned_name(node: &Node, problems: &mut Problems<'_>) -> Option<Spanned<String>> {
    Some(Spanned::new(name(node, problems)?, node.span))
}

/// The items of a list. A scalar is a list of one.
pub(crate) fn items(node: &Node) -> &[Node] {
    match &node.value {
        Value::List(items) => items,
        _ => std::slice::from_ref(node),
    }
}

/// Decodes one scalar, or a list of them.
pub(crate) fn words<T: Word>(node: &Node, problems: &mut Problems<'_>) -> Option<Vec<T>> {
    let items = items(node);
    if items.len() > MAX_ADDRESSES {
        problems.report(
            node.span,
            format!("this list has {} entries", items.len()),
            "",
            Some(format!("the limit is {MAX_ADDRESSES}")),
        );
        return None;
    }
    let mut all = Vec::with_capacity(items.len());
    let mut good = true;
    for item in items {
        match word(item, problems) {
            Some(value) => all.push(value),
            None => good = false,
        }
    }
    good.then_some(all)
}

/// Decodes one name or a list of names, each with its span.
pub(crate) fn names(node: &Node, problems: &mut Problems<'_>) -> Option<Vec<Spanned<String>>> {
    let mut all = Vec::new();
    let mut good = true;
    for item in items(node) {
        match name(item, problems) {
            Some(name) => all.push(Spanned::new(name, item.span)),
            None => good = false,
        }
    }
    good.then_some(all)
}

/// Decodes one result, or a list of alternative results.
pub(crate) fn answers(node: &Node, problems: &mut Problems<'_>) -> Option<Vec<Answer>> {
    let answers = words::<Answer>(node, problems)?;
    if answers.is_empty() {
        problems.report(
            node.span,
            "an empty list of results",
            Answer::EXPECTED,
            Some("omit `expect` to accept any result".to_owned()),
        );
        return None;
    }
    Some(answers)
}

/// Decodes kernel patterns. Only the syntax is checked; [`KernelNames`](crate::KernelNames) looks
/// the names up.
pub(crate) fn kernels(node: &Node, problems: &mut Problems<'_>) -> Option<KernelSelector> {
    const EXPECTED: &str =
        "a kernel such as `linux-6.18`, a range such as `linux-4.2..linux-6.1`, or `all`";
    let mut patterns = Vec::new();
    for item in items(node) {
        let text = text(item, EXPECTED, problems)?;
        if text.is_empty() {
            problems.report(item.span, "an empty kernel name", EXPECTED, None);
            return None;
        }
        patterns.push(Spanned::new(KernelPattern::read(text), item.span));
    }
    if patterns.is_empty() {
        problems.report(
            node.span,
            "an empty list of kernels",
            EXPECTED,
            Some("use `all` for every kernel".to_owned()),
        );
        return None;
    }
    Some(KernelSelector { patterns })
}
