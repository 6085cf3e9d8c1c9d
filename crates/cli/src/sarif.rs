//! SARIF 2.1.0, for code scanning.

use std::io::{self, Write as _};

use serde_json::{Value, json};

use crate::output::Output;
use crate::remark::{Level, Remark};

/// The log as it grows.
pub(crate) struct Log {
    /// The name of each check, and what it finds.
    checks: Vec<(&'static str, &'static str)>,
    results: Vec<Value>,
}

impl Log {
    /// An empty log of a tool with these checks.
    pub(crate) fn new(checks: impl IntoIterator<Item = (&'static str, &'static str)>) -> Self {
        Log {
            checks: checks.into_iter().collect(),
            results: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, remarks: &[Remark]) {
        for one in remarks {
            let mut region = json!({ "startLine": one.line });
            if let Some(column) = one.column {
                region["startColumn"] = column.into();
            }
            let mut result = json!({
                "ruleId": one.check,
                "level": match one.level {
                    Level::Error => "error",
                    Level::Warning => "warning",
                    Level::Note => "note",
                },
                "message": { "text": one.message },
                "locations": [{ "physicalLocation": {
                    "artifactLocation": { "uri": uri(&one.file) },
                    "region": region,
                } }],
            });
            if let Some(n) = self.checks.iter().position(|(name, _)| *name == one.check) {
                result["ruleIndex"] = n.into();
            }
            self.results.push(result);
        }
    }

    pub(crate) fn write(self, out: &mut Output) -> io::Result<()> {
        let rule = |(name, about): &(&str, &str)| json!({ "id": name, "shortDescription": { "text": about } });
        let rules: Vec<Value> = self.checks.iter().map(rule).collect();
        let log = json!({
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [{
                "tool": { "driver": {
                    "name": "fourtuple",
                    "version": env!("CARGO_PKG_VERSION"),
                    "informationUri": env!("CARGO_PKG_REPOSITORY"),
                    "rules": rules,
                } },
                "columnKind": "unicodeCodePoints",
                "results": self.results,
            }],
        });
        serde_json::to_writer(&mut *out, &log)?;
        writeln!(out)
    }
}

/// A path as a relative reference (RFC 3986): what a URI has no place for is percent-encoded.
fn uri(path: &str) -> String {
    let mut uri = String::new();
    for byte in path.replace('\\', "/").bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(byte.into());
            }
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    #[test]
    fn paths_become_references() {
        assert_eq!(super::uri("a/b-c.yaml"), "a/b-c.yaml");
        assert_eq!(super::uri("a b:é%.yaml"), "a%20b%3A%C3%A9%25.yaml");
    }
}
