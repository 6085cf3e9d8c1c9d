//! Scenarios by kernels: how many sockets got what they wanted.

use maud::{Markup, html};

use fourtuple_analysis::Answers;
use fourtuple_analysis::remedies::SocketCounts;
use fourtuple_harness::kernels::Order;
use fourtuple_harness::{CaseReport, Name};

use super::scrolled;

/// One row: a scenario at one point of its matrix.
struct Row<'a> {
    scenario: &'a str,
    anchor: usize,
    point: String,
    cells: Vec<Option<Cell>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Cell {
    counts: SocketCounts,
    failed: bool,
    kernel: Name,
}

impl Cell {
    fn of(case: &CaseReport, kernel: &Name) -> Option<Self> {
        Some(Cell {
            counts: SocketCounts::of(&case.reference()?.attempts),
            failed: case.failed(),
            kernel: kernel.clone(),
        })
    }

    /// Returns whether two cells show the same, whichever kernel they are of.
    fn is_like(&self, other: &Self) -> bool {
        self.counts == other.counts && self.failed == other.failed
    }

    fn class(&self) -> &'static str {
        match (self.counts.ok, self.counts.total) {
            (ok, total) if ok == total => "all",
            (0, _) => "none",
            _ => "some",
        }
    }
}

/// The table. Kernels whose column would be the same share one.
pub(super) fn matrix(entries: &[Answers], order: &Order) -> Markup {
    let kernels = kernels(entries, order);
    let rows = rows(entries, &kernels);
    let mut columns: Vec<(Vec<&str>, usize)> = Vec::new();
    for (at, kernel) in kernels.iter().enumerate() {
        let same = |other: usize| {
            rows.iter()
                .all(|row| match (&row.cells[at], &row.cells[other]) {
                    (Some(a), Some(b)) => a.is_like(b),
                    (None, None) => true,
                    _ => false,
                })
        };
        match columns.iter_mut().find(|(_, first)| same(*first)) {
            Some((names, _)) => names.push(kernel),
            None => columns.push((vec![kernel], at)),
        }
    }
    let table = html! {
        table.matrix {
            caption { "Sockets that got what they asked for, of all sockets" }
            thead {
                tr {
                    th scope="col" { "scenario" }
                    @for (names, _) in &columns { th scope="col" { (whole(&order.compact(names))) } }
                }
            }
            tbody {
                @for row in &rows {
                    tr {
                        th scope="row" {
                            a href=(format!("#s{}", row.anchor)) { (row.scenario) }
                            @if !row.point.is_empty() { br; span.point { (row.point) } }
                        }
                        @for (_, at) in &columns {
                            @match &row.cells[*at] {
                                Some(cell) => td class=(cell.class()) {
                                    (cell.counts.ok) " of " (cell.counts.total)
                                    @if cell.failed { br; strong.bad { "not as expected" } }
                                },
                                None => td.absent { "not asked" },
                            }
                        }
                    }
                }
            }
        }
    };
    html! {
        section aria-labelledby="matrix" {
            h2 #matrix { "Scenarios by kernels" }
            (scrolled("Scenarios by kernels", &table))
        }
    }
}

/// A list of names that breaks between them only.
pub(super) fn whole(names: &str) -> Markup {
    html! {
        @for name in names.split_inclusive(", ") {
            span.whole { (name.trim_end()) } " "
        }
    }
}

/// Every kernel that any scenario was asked on, in the order of history.
fn kernels(entries: &[Answers], order: &Order) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let cases = entries.iter().flat_map(|entry| &entry.report.cases);
    for kernel in cases.flat_map(|case| &case.kernels) {
        if !all.iter().any(|one| **one == **kernel) {
            all.push(kernel.to_string());
        }
    }
    all.sort_by_key(|name| order.place(name));
    all
}

fn rows<'a>(entries: &'a [Answers], kernels: &[String]) -> Vec<Row<'a>> {
    let mut rows = Vec::new();
    for (n, entry) in entries.iter().enumerate() {
        let mut points: Vec<String> = Vec::new();
        for case in &entry.report.cases {
            let point = case.point();
            if !points.contains(&point) {
                points.push(point);
            }
        }
        for at in points {
            let cell = |kernel: &String| {
                let asked = |case: &&CaseReport| {
                    case.point() == at && case.kernels.iter().any(|name| **name == **kernel)
                };
                let case = entry.report.cases.iter().find(asked)?;
                Cell::of(case, &kernel.as_str().into())
            };
            rows.push(Row {
                scenario: &entry.report.name,
                anchor: n + 1,
                cells: kernels.iter().map(cell).collect(),
                point: at.clone(),
            });
        }
    }
    rows
}
