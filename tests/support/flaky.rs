//! The table of `docs/flaky-tests.md`: how often each way to reserve a port for a test fails, by
//! kernel.
//!
//! It is made from the scenarios in `scenarios/flaky`, by exploring every port that a kernel may
//! choose.

use std::fmt::Write as _;

use fourtuple_analysis::explore::{self, Budget, Coverage};
use fourtuple_harness::kernels;
use fourtuple_kernel::profile::{self, Profile};
use fourtuple_scenario::{Case, expand, load};

use crate::root;

/// The line in front of the table.
const BEGIN: &str = "<!-- Generated: FOURTUPLE_UPDATE=1 cargo test --test flaky -->\n";
/// The line behind it.
const END: &str = "<!-- End of the generated table. -->\n";

/// The rows: a scenario, the point of its matrix, and the way to reserve a port that it is about.
const WAYS: [(&str, &str, &str); 7] = [
    (
        "pick-close-start",
        "",
        "pick with bind(0), close, start; another test does the same",
    ),
    (
        "pick-close-while-others-connect",
        "",
        "pick with bind(0), close, start; another program connects",
    ),
    (
        "fixed-port",
        "port=40002",
        "a fixed even port inside the range; another program connects",
    ),
    (
        "fixed-port",
        "port=40003",
        "a fixed odd port inside the range; another program connects",
    ),
    (
        "reuseaddr-handover",
        "",
        "keep the picked socket with SO_REUSEADDR until the server has bound",
    ),
    (
        "reuseport-handover",
        "",
        "keep the picked socket with SO_REUSEPORT until the server has bound",
    ),
    (
        "keep-the-listener",
        "",
        "listen on port 0 and keep the listener",
    ),
];

/// Kernels with the same shares, and those by row.
struct Column {
    kernels: Vec<String>,
    shares: Vec<String>,
}

/// The page with its table made anew.
///
/// # Panics
/// When the page has no place for the table, or a scenario is not there or too large to be
/// explored.
#[must_use]
pub fn page(kept: &str) -> String {
    let (head, rest) = kept.split_once(BEGIN).expect("the place of the table");
    let (_, tail) = rest.split_once(END).expect("the end of the table");
    format!("{head}{BEGIN}\n{}\n{END}{tail}", table())
}

fn table() -> String {
    let cases = WAYS.map(|(name, point, _)| case(name, point));
    let mut columns: Vec<Column> = Vec::new();
    for profile in profile::all() {
        let shares: Vec<String> = cases.iter().map(|case| share(case, &profile)).collect();
        match columns.iter_mut().find(|column| column.shares == shares) {
            Some(column) => column.kernels.extend(profile.names),
            None => columns.push(Column {
                kernels: profile.names,
                shares,
            }),
        }
    }
    // The kernels that most readers have come first.
    columns.sort_by_key(|column| std::cmp::Reverse(column.kernels.len()));
    let mut out = String::from("| way |");
    for column in &columns {
        let names: Vec<&str> = column.kernels.iter().map(String::as_str).collect();
        write!(out, " {} |", kernels::compact(&names)).expect("a string takes everything");
    }
    out.push_str("\n|---|");
    out.push_str(&"---|".repeat(columns.len()));
    out.push('\n');
    for (row, (name, _, way)) in WAYS.iter().enumerate() {
        write!(out, "| [{way}](../scenarios/flaky/{name}.yaml) |").expect("as above");
        for column in &columns {
            write!(out, " {} |", column.shares[row]).expect("as above");
        }
        out.push('\n');
    }
    out
}

/// The case of a scenario at a point of its matrix.
fn case(name: &str, point: &str) -> Case {
    let path = root().join(format!("scenarios/flaky/{name}.yaml"));
    let scenario = load(&path).unwrap_or_else(|errors| panic!("{errors}"));
    let cases = expand(&scenario, &kernels::names()).unwrap_or_else(|errors| panic!("{errors}"));
    let is_there = |case: &Case| {
        let mut axes = case.axes.iter();
        axes.all(|(axis, value)| format!("{axis}={value}") == point)
    };
    let mut cases = cases.into_iter();
    cases
        .find(is_there)
        .unwrap_or_else(|| panic!("{name}: there is no point `{point}`"))
}

/// The share of runs in which a port is refused, over every choice of the kernel.
fn share(case: &Case, profile: &Profile) -> String {
    let budget = Budget {
        states: 100_000,
        samples: 1,
        threads: 1,
    };
    let found = explore::explore(case, profile, budget, &mut |_| {})
        .unwrap_or_else(|cannot| panic!("{}: {cannot}", case.scenario));
    assert!(
        matches!(found.coverage, Coverage::Exhaustive { .. }),
        "{}: too many states for exact shares",
        case.scenario
    );
    let refused = found.outcomes.iter().filter(|outcome| !outcome.has_ports());
    // The sum of nothing would be -0.
    let share = refused.fold(0.0, |sum, outcome| sum + outcome.share);
    let percent = 100.0 * share;
    match format!("{percent:.1}").trim_end_matches(".0") {
        "0" => "never".to_owned(),
        "100" => "always".to_owned(),
        other => format!("{other} %"),
    }
}
