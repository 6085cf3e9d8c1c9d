//! The page `docs/certified.md`: which scenarios ran on which real kernels, and the results.
//!
//! It is made from `docs/certified.json`: what `fourtuple certify scenarios --data` writes where
//! those kernels are.

use std::fmt::Write as _;

use serde::Deserialize;

use crate::{root, scenarios};

/// The results of the corpus on real kernels.
#[derive(Debug, Deserialize)]
pub struct Certified {
    /// The kernels, in the order in which they ran.
    pub kernels: Vec<OnKernel>,
}

/// The results on one kernel.
#[derive(Debug, Deserialize)]
pub struct OnKernel {
    /// The release that `uname` reports.
    pub release: String,
    /// `host` or `vm`.
    pub how: String,
    /// The profile that it was checked against.
    pub profile: String,
    /// A row for each scenario.
    pub scenarios: Vec<Row>,
}

/// The result of one scenario.
#[derive(Debug, Deserialize)]
pub struct Row {
    /// Its name.
    pub scenario: String,
    /// The digest of its file then.
    pub digest: String,
    /// Points of its matrix that ran.
    pub cases: u64,
    /// Calls that were checked.
    pub calls: u64,
    /// Answers that the profile does not allow.
    pub disallowed: u64,
    /// The reason why it did not run, or not all of it.
    pub left_out: Option<String>,
}

/// Answers that no profile allows and that have no explanation yet: kernel, scenario, observation.
/// Those that did not occur again stay here after a run without them.
pub const UNEXPLAINED: &[(&str, &str, &str)] = &[
    (
        "6.12.117+deb12-cloud-amd64",
        "proxy/haproxy-retries-while-exhausted",
        "Without tcp_tw_reuse one of four ports in TIME-WAIT was taken again 10 s after the close; the server's end of that \
         connection was closed just when a tick of the timer came. The virtual machine repeats it whenever the whole corpus \
         runs, and never did it with this scenario alone or with a part of the corpus.",
    ),
    (
        "6.18.44",
        "timewait/tw-reuse-delay",
        "With a delay of 3 s a port in TIME-WAIT was taken again 0.3 s after the close, on a machine under heavy load. It \
         was seen in one of three runs of the whole corpus, and not again in eight runs of this scenario, nor in a run of \
         the corpus on a quiet machine.",
    ),
];

impl OnKernel {
    fn sum(&self, of: impl Fn(&Row) -> u64) -> u64 {
        self.scenarios.iter().map(of).sum()
    }

    /// The number of scenarios that ran.
    #[must_use]
    pub fn ran(&self) -> usize {
        self.scenarios.iter().filter(|row| row.cases > 0).count()
    }

    /// The row of a scenario.
    #[must_use]
    pub fn row(&self, scenario: &str) -> Option<&Row> {
        self.scenarios.iter().find(|row| row.scenario == scenario)
    }
}

/// The results of the last time that the corpus ran on real kernels.
///
/// # Panics
/// When the file is not there or not what it should be.
#[must_use]
pub fn kept() -> Certified {
    let text = std::fs::read_to_string(root().join("docs/certified.json")).expect("the results");
    serde_json::from_str(&text).expect("results as `certify --data` writes them")
}

const HEAD: &str = "\
# Scenarios on real kernels

Every scenario of the corpus that a kernel can express ran on it with real sockets, and its answers were checked for
conformance: each had to be one that the kernel's profile allows. Port numbers depend on secrets of a kernel, so their
values are not compared. Network faults of a scenario are left out: these are real networks without faults.

This page is generated from `certified.json`; the test `certified` keeps it up to date (`FOURTUPLE_UPDATE=1 cargo test
--test certified`) and finds scenarios that have no row. The data comes from one command for each kernel, which keeps
what the file has of other kernels:

```sh
fourtuple certify scenarios --on debian:6.1 --kernel debian-12 --data FILE
fourtuple certify scenarios --on host --kernel linux-6.18 --max-wait 200 --data FILE
```

With `--kernel`, scenarios for other kernels run as well.

A number is how many calls were checked, over all points of the matrix. A letter says why a scenario was left out, or a
part of it. A star is a scenario that has changed since.
";

/// The text of the page.
///
/// # Panics
/// Never: a string takes everything.
#[must_use]
pub fn page(found: &Certified) -> String {
    let mut out = HEAD.to_owned();
    out.push_str("\n| kernel | profile | how | scenarios | cases | calls | not allowed |\n|---|---|---|---|---|---|---|\n");
    for one in &found.kernels {
        let (ran, all) = (one.ran(), one.scenarios.len());
        let cases = one.sum(|row| row.cases);
        let calls = one.sum(|row| row.calls);
        let disallowed = one.sum(|row| row.disallowed);
        let (release, profile, how) = (&one.release, &one.profile, &one.how);
        writeln!(
            out,
            "| {release} | {profile} | {how} | {ran} of {all} | {cases} | {calls} | {disallowed} |"
        )
        .expect("a string takes everything");
    }
    out.push_str("\n| scenario |");
    found
        .kernels
        .iter()
        .for_each(|one| out.push_str(&format!(" {} |", one.release)));
    out.push_str("\n|---|");
    found.kernels.iter().for_each(|_| out.push_str("---|"));
    out.push('\n');
    let mut reasons: Vec<&str> = Vec::new();
    for path in scenarios() {
        let name = crate::index::name(&path);
        let text = std::fs::read_to_string(&path).expect("a scenario");
        let digest = fourtuple_scenario::digest(&text);
        write!(out, "| [{name}](../scenarios/{name}.yaml) |").expect("a string takes everything");
        for one in &found.kernels {
            let cell = one.row(&name).map_or("not asked".to_owned(), |row| {
                cell(row, &digest, &mut reasons)
            });
            write!(out, " {cell} |").expect("a string takes everything");
        }
        out.push('\n');
    }
    if !UNEXPLAINED.is_empty() {
        out.push_str("\n## Not explained\n\n");
    }
    for (release, scenario, what) in UNEXPLAINED {
        writeln!(out, "- {scenario} on {release}: {what}").expect("a string takes everything");
    }
    if !reasons.is_empty() {
        out.push_str("\n## Why left out\n\n");
    }
    for (n, reason) in reasons.iter().enumerate() {
        writeln!(out, "- **{}**: {reason}", letter(n)).expect("a string takes everything");
    }
    out
}

fn cell<'a>(row: &'a Row, digest: &str, reasons: &mut Vec<&'a str>) -> String {
    let mut words: Vec<String> = Vec::new();
    if row.cases > 0 {
        words.push(row.calls.to_string());
    }
    if row.disallowed > 0 {
        words.push(format!("**{} not allowed**", row.disallowed));
    }
    if let Some(reason) = &row.left_out {
        let place = reasons
            .iter()
            .position(|one| one == reason)
            .unwrap_or_else(|| {
                reasons.push(reason);
                reasons.len() - 1
            });
        words.push(letter(place));
    }
    if row.digest != digest {
        words.push("\\*".to_owned());
    }
    words.join(" ")
}

/// A, B, ..., Z, AA, AB, ...
fn letter(n: usize) -> String {
    let last = char::from(b'A' + u8::try_from(n % 26).expect("below 26"));
    match n / 26 {
        0 => last.to_string(),
        more => letter(more - 1) + &last.to_string(),
    }
}
