//! Captures as scenarios.

use fourtuple_analysis::{have_no_port, import_tables};
use fourtuple_kernel::profile;
use fourtuple_render::text::clean;
use fourtuple_scenario::import::{self, ImportError, Settings, Table};
use serde::Serialize;

use crate::reply::Reply;
use crate::request::{Capture, Captures, Tool};
use crate::select;

/// Largest captures of a page, in bytes.
const MOST_BYTES: usize = 16 << 20;
/// Lines that were not understood, of which the places are listed.
const MOST_PLACES: usize = 20;

#[derive(Serialize)]
struct Made {
    text: String,
    notes: Vec<String>,
}

#[derive(Serialize)]
struct Understood {
    contents: String,
    left_out: Vec<String>,
    /// Lines that were not understood.
    odd: Vec<Place>,
    /// Their number; more than there are in `odd` if there are many.
    odd_total: usize,
}

/// A line of a capture.
#[derive(Serialize)]
struct Place {
    line: usize,
    /// Its characters, counted in UTF-16 as JavaScript does.
    from: usize,
    to: usize,
}

/// Imports the captures of a host. Without a kernel, the newest one of mainline is assumed.
pub(crate) fn import(host: &Captures) -> Reply {
    let bytes = host.captures.iter().map(|one| one.text.len()).sum();
    if let Some(reply) = too_large(bytes) {
        return reply;
    }
    let mut kernel = host.kernel.clone();
    if kernel.is_empty() {
        let mut mainline = profile::names().into_iter();
        kernel.extend(mainline.rfind(|name| name.starts_with("linux-")));
    }
    if let Err(reply) = select::known(&kernel) {
        return reply;
    }
    let (sysctls, tables): (Vec<&Capture>, Vec<&Capture>) = host
        .captures
        .iter()
        .partition(|one| one.tool == Tool::Sysctl);
    let settings = Settings {
        sysctl: sysctls.first().map(|one| one.text.clone()),
        before: None,
        no_port: have_no_port(&kernel),
        kernel,
    };
    let tables: Vec<Table<'_>> = tables
        .iter()
        .map(|one| Table {
            name: one.tool.name(),
            text: &one.text,
        })
        .collect();
    match import_tables(&tables, &settings) {
        Ok(made) => Reply::ok(&Made {
            notes: made
                .notes
                .iter()
                .map(|note| clean::line(&note.to_string()).into_owned())
                .collect(),
            text: clean::text(&made.yaml).into_owned(),
        }),
        Err(error) => failed(&error),
    }
}

/// Reads a capture without importing it.
pub(crate) fn understood(capture: &Capture) -> Reply {
    if let Some(reply) = too_large(capture.text.len()) {
        return reply;
    }
    let read = match capture.tool {
        Tool::Sysctl => import::understood_sysctls(&capture.text),
        _ => import::understood(&capture.text),
    };
    let read = match read {
        Ok(read) => read,
        Err(error) => return failed(&error),
    };
    Reply::ok(&Understood {
        contents: clean::line(&read.contents).into_owned(),
        left_out: read.left_out,
        odd_total: read.odd_lines.len(),
        odd: places(&capture.text, &read.odd_lines),
    })
}

/// The places of lines, which are in order.
fn places(text: &str, lines: &[usize]) -> Vec<Place> {
    let mut found = Vec::new();
    let mut from = 0;
    let mut wanted = lines.iter().take(MOST_PLACES).copied().peekable();
    for (n, line) in (1..).zip(text.split_inclusive('\n')) {
        if wanted.next_if_eq(&n).is_some() {
            let shown = line.trim_end_matches(['\n', '\r']);
            let to = from + shown.encode_utf16().count();
            found.push(Place { line: n, from, to });
        }
        if wanted.peek().is_none() {
            break;
        }
        from += line.encode_utf16().count();
    }
    found
}

fn too_large(bytes: usize) -> Option<Reply> {
    (bytes > MOST_BYTES).then(|| {
        let message = format!("the capture has {bytes} bytes, and the limit is {MOST_BYTES}");
        Reply::error(message, Some("cut out the part that matters"))
    })
}

fn failed(error: &ImportError) -> Reply {
    Reply::error(clean::text(&error.message), Some(&error.help))
}
