//! `fourtuple kernels`: lists the kernels and shows their behaviours.

use std::io::Write as _;

use fourtuple_harness::kernels;
use fourtuple_kernel::profile::{self, Profile};
use fourtuple_render::text;
use fourtuple_render::text::checked::{self, UNCHECKED};

use crate::output::{Failure, Output, Verdict};
use crate::select;

/// Lists kernels, or shows the behaviours of one.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: fourtuple kernels rhel-6.5\n\nExit status: 0, or 2 if the arguments are invalid."
)]
pub(crate) struct Args {
    /// The kernel to show [default: list all].
    name: Option<String>,
}

impl Args {
    pub(crate) fn run(self, out: &mut Output) -> Result<Verdict, Failure> {
        let text = match &self.name {
            None => list(),
            Some(name) => show(&find(name)?),
        };
        out.write_all(text.as_bytes())?;
        Ok(Verdict::Good)
    }
}

/// Looks up a kernel.
pub(crate) fn find(name: &str) -> Result<Profile, Failure> {
    let name = select::kernel(&kernels::names(), name)?;
    // Cannot fail: the name was just looked up.
    profile::find(&name).ok_or_else(|| Failure::Message(format!("error: unknown kernel `{name}`")))
}

fn list() -> String {
    let order = kernels::Order::new();
    let certificates = checked::built_in();
    let header = ["kernel", "checked", "names that behave the same"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for profile in profile::all() {
        let names: Vec<&str> = profile.names.iter().map(String::as_str).collect();
        let checked = checked::summary(&profile, &certificates);
        rows.push(vec![profile.name.clone(), checked, order.compact(&names)]);
    }
    let mut out = String::new();
    text::columns(&mut out, 0, &rows);
    out
}

fn show(profile: &Profile) -> String {
    let mut out = format!("{}\n", profile.name);
    let names: Vec<&str> = profile.names.iter().map(String::as_str).collect();
    if let Some(about) = profile::distribution(&profile.name) {
        text::labelled(&mut out, "  about  ", about);
    }
    text::labelled(&mut out, "  names  ", &kernels::compact(&names));
    out.push('\n');
    let all = checked::built_in();
    let mut certificates = checked::of(&all, &profile.names).peekable();
    if certificates.peek().is_none() {
        text::labelled(&mut out, "  checked  ", UNCHECKED);
    }
    for c in certificates {
        let how = match c.how.as_str() {
            "recording" => "a recording of",
            "host" => "the running kernel",
            _ => "a virtual machine with",
        };
        let verdict = format!(
            "against {how} {}: {}, {} calls, {} answers that the profile does not allow",
            c.kernel,
            c.ran(),
            c.calls,
            c.disallowed
        );
        text::labelled(&mut out, "  checked  ", &verdict);
    }
    out.push('\n');
    let mut rows = vec![
        [
            "behaviour",
            "value",
            "since",
            "kernel function",
            "what it is about",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    let mainline = mainline();
    for row in profile.behaviours.rows() {
        let since = since(&mainline, profile, row.name);
        rows.push(
            [
                row.name.to_owned(),
                row.value,
                since,
                row.function.to_owned(),
                row.about.to_owned(),
            ]
            .to_vec(),
        );
    }
    text::columns(&mut out, 2, &rows);
    out
}

/// The first mainline kernel with the same value of a behaviour.
fn since(mainline: &[Profile], profile: &Profile, behaviour: &str) -> String {
    let same = |other: &Profile| {
        !profile
            .behaviours
            .differing(&other.behaviours)
            .contains(&behaviour)
    };
    match mainline.iter().position(same) {
        Some(0) => "always".to_owned(),
        Some(place) => mainline[place].name.clone(),
        None => "not in mainline".to_owned(),
    }
}

/// Mainline kernels, oldest first, without stable releases.
fn mainline() -> Vec<Profile> {
    profile::names()
        .iter()
        .filter(|name| name.starts_with("linux-") && !kernels::is_stable(name))
        .filter_map(|name| profile::find(name))
        .collect()
}
