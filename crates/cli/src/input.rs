//! Reads the captures of other tools and of `fourtuple capture`.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use fourtuple_host::Document;
use fourtuple_scenario::import::{self, MAX_CAPTURE_BYTES};

use crate::output::Failure;

/// Reads a capture.
pub(crate) fn read(path: &Path) -> Result<String, Failure> {
    let failed = |reason: String| {
        Failure::Message(format!(
            "error: failed to read {}: {reason}",
            path.display()
        ))
    };
    let kind = |error: std::io::Error| failed(error.kind().to_string());
    let limit = MAX_CAPTURE_BYTES + 1;
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        std::io::stdin()
            .lock()
            .take(limit)
            .read_to_end(&mut bytes)
            .map_err(kind)?;
    } else {
        let file = File::open(path).map_err(kind)?;
        if file.metadata().map_err(kind)?.is_dir() {
            return Err(failed("it is a directory".to_owned()));
        }
        file.take(limit).read_to_end(&mut bytes).map_err(kind)?;
    }
    if bytes.len() as u64 > MAX_CAPTURE_BYTES {
        return Err(failed(format!(
            "it has more than {MAX_CAPTURE_BYTES} bytes"
        )));
    }
    Ok(import::decode(bytes))
}

/// Parses the text of a file of `fourtuple capture`. Another kind of file is named.
pub(crate) fn document(file: &Path, text: &str) -> Result<Document, Failure> {
    Document::parse(text).map_err(|error| {
        let (reason, help) = match import::kind_of(text) {
            Some((kind, help)) if !text.trim_start().starts_with('{') => {
                (format!("this is {kind}, not a capture"), help)
            }
            _ => (
                error.to_string(),
                "write it with `fourtuple capture -o FILE`",
            ),
        };
        Failure::Message(format!(
            "error: {reason}\n --> {}\n  = help: {help}",
            file.display()
        ))
    })
}
