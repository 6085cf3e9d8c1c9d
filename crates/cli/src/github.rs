//! Annotations for GitHub Actions.

use std::io;

use crate::output::Output;
use crate::remark::{Level, Remark};

/// Writes remarks as annotations.
pub(crate) fn write(out: &mut Output, remarks: &[Remark]) -> io::Result<()> {
    for one in remarks {
        let kind = match one.level {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Note => "notice",
        };
        let (file, title) = (escaped_property(&one.file), escaped_property(&one.title));
        let column = one.column.map_or(String::new(), |n| format!(",col={n}"));
        let message = escaped(&one.message);
        out.annotation(&format!(
            "::{kind} file={file},line={}{column},title={title}::{message}",
            one.line
        ))?;
    }
    Ok(())
}

/// Escapes text for a message.
fn escaped(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn escaped_property(text: &str) -> String {
    escaped(text).replace(':', "%3A").replace(',', "%2C")
}
