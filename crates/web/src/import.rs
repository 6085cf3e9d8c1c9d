//! Captures as scenarios.

use fourtuple_analysis::{have_no_port, import_table};
use fourtuple_kernel::profile;
use fourtuple_render::text::clean;
use fourtuple_scenario::import::Settings;
use serde::Serialize;

use crate::reply::Reply;
use crate::request::Table;
use crate::select;

/// Largest capture of a page, in bytes.
const MOST_BYTES: usize = 16 << 20;

#[derive(Serialize)]
struct Made {
    text: String,
    notes: Vec<String>,
}

/// Imports a table of sockets. Without a kernel, the newest one of mainline is assumed.
pub(crate) fn import(table: &Table) -> Reply {
    let bytes = table.text.len() + table.sysctl.as_ref().map_or(0, String::len);
    if bytes > MOST_BYTES {
        let message = format!("the capture has {bytes} bytes, and the limit is {MOST_BYTES}");
        return Reply::error(message, Some("cut out the part that matters"));
    }
    let mut kernel = table.kernel.clone();
    if kernel.is_empty() {
        let mut mainline = profile::names().into_iter();
        kernel.extend(mainline.rfind(|name| name.starts_with("linux-")));
    }
    if let Err(reply) = select::known(&kernel) {
        return reply;
    }
    let settings = Settings {
        sysctl: table.sysctl.clone(),
        before: None,
        no_port: have_no_port(&kernel),
        kernel,
    };
    match import_table(&table.text, &settings) {
        Ok(made) => Reply::ok(&Made {
            notes: made
                .notes
                .iter()
                .map(|note| clean::line(&note.to_string()).into_owned())
                .collect(),
            text: clean::text(&made.yaml).into_owned(),
        }),
        Err(error) => Reply::error(clean::text(&error.message), Some(&error.help)),
    }
}
