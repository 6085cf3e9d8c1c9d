//! A tree to YAML text, laid out as a person would write it.
//!
//! Short lists and maps are written on one line as `[...]` or `{...}`, the others in blocks.
//! Comments and the layout of a file are not preserved.

use super::node::{Node, Value};

/// Widest line with a flow list or map, in characters.
const WIDTH: usize = 110;
/// Spaces of one level of indentation.
const STEP: usize = 2;

/// Returns the text of a document, which ends with a line break.
pub(crate) fn write(root: &Node) -> String {
    let mut out = String::new();
    match &root.value {
        Value::Map(entries) if !entries.is_empty() => {
            for (key, value) in entries {
                // The top level and the entries right below it are always laid out in blocks.
                entry(&mut out, 0, &scalar(&key.text), value);
            }
        }
        _ => {
            out.push_str(&flow(root));
            out.push('\n');
        }
    }
    out
}

/// Writes one `key: value` at an indentation.
fn entry(out: &mut String, indent: usize, key: &str, value: &Node) {
    let pad = " ".repeat(indent);
    let line = flow(value);
    let simple = match &value.value {
        Value::Scalar { .. } => true,
        Value::List(items) => items
            .iter()
            .all(|item| matches!(item.value, Value::Scalar { .. })),
        Value::Map(entries) => indent > 0 || entries.is_empty(),
    };
    let fits = indent + key.len() + 2 + line.chars().count() <= WIDTH;
    if simple && (fits || matches!(value.value, Value::Scalar { .. })) {
        out.push_str(&format!("{pad}{key}: {line}\n"));
        return;
    }
    out.push_str(&format!("{pad}{key}:\n"));
    match &value.value {
        Value::Map(entries) => {
            for (key, value) in entries {
                entry(out, indent + STEP, &scalar(&key.text), value);
            }
        }
        Value::List(items) => {
            for item in items {
                out.push_str(&format!("{pad}  - {}\n", flow(item)));
            }
        }
        Value::Scalar { .. } => {}
    }
}

impl Node {
    /// The value on one line.
    pub(crate) fn flow(&self) -> String {
        flow(self)
    }
}

fn flow(node: &Node) -> String {
    match &node.value {
        Value::Scalar { text, .. } if node.is_null() => {
            if text.is_empty() {
                "~".into()
            } else {
                text.to_string()
            }
        }
        Value::Scalar { text, .. } => scalar(text),
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(flow).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Map(entries) if entries.is_empty() => "{}".into(),
        Value::Map(entries) => {
            let entries: Vec<String> = entries
                .iter()
                .map(|(key, value)| format!("{}: {}", scalar(&key.text), flow(value)))
                .collect();
            format!("{{ {} }}", entries.join(", "))
        }
    }
}

/// Formats text without quotes where that is unambiguous, otherwise with double quotes.
fn scalar(text: &str) -> String {
    if is_plain(text) {
        return text.to_owned();
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                out.push_str(&format!("\\U{:08X}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn is_plain(text: &str) -> bool {
    let edge = |c: Option<char>, more: &[char]| {
        c.is_some_and(|c| c.is_alphanumeric() || more.contains(&c))
    };
    let negative = text
        .strip_prefix('-')
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()));
    if negative {
        return true;
    }
    let null = matches!(text, "null" | "Null" | "NULL");
    !null
        && edge(text.chars().next(), &['_', '.', '/', '('])
        && edge(
            text.chars().last(),
            &['_', '.', '/', ')', '%', '?', '!', ';', '+'],
        )
        && !text.starts_with("...")
        && !text.contains(": ")
        && !text.contains(" #")
        && text
            .chars()
            .all(|c| c.is_alphanumeric() || "_./-:()%?!;+ '=<>~*&@$#".contains(c))
}
