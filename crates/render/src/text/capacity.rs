//! Capacities for people and for pull requests.

use fourtuple_analysis::capacity::nat::{Loss, ThroughNat};
use fourtuple_analysis::capacity::need::{Need, Range};
use fourtuple_analysis::capacity::{Capacities, Capacity, Cost, MaxConnections};
use fourtuple_harness::kernels::Order;

use super::{columns, escape_markdown, labelled};
use crate::case_label;

/// Points of the matrix, each with its kernels.
type Places<'a> = Vec<(&'a [String], Vec<&'a str>)>;

/// Programs and kernels with the same numbers.
struct Same<'a> {
    first: &'a Capacity,
    programs: Vec<String>,
    on: Places<'a>,
    /// The work of connect() where it differs.
    curves: Vec<(&'a [Cost], Places<'a>)>,
}

fn add<'a>(places: &mut Places<'a>, point: &'a [String], kernel: &'a str) {
    match places.iter_mut().find(|(known, _)| *known == point) {
        Some((_, kernels)) if kernels.contains(&kernel) => {}
        Some((_, kernels)) => kernels.push(kernel),
        None => places.push((point, vec![kernel])),
    }
}

/// A number, with a decimal only below ten.
fn number(value: f64) -> String {
    if value < 9.95 && value.fract().abs() > 1e-9 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

fn join<'a>(all: &'a [Capacities]) -> Vec<Same<'a>> {
    let same = |a: &Capacity, b: &Capacity| {
        a.host == b.host
            && a.how == b.how
            && a.range == b.range
            && a.ports == b.ports
            && a.to_one == b.to_one
            && a.to_all == b.to_all
            && a.rate == b.rate
            && a.cost.is_empty() == b.cost.is_empty()
            && a.through == b.through
    };
    let mut found: Vec<Same<'a>> = Vec::new();
    for case in all {
        let point = &*case.point;
        for one in &case.programs {
            let at = match found.iter().position(|known| same(known.first, one)) {
                Some(at) => at,
                None => {
                    found.push(Same {
                        first: one,
                        programs: Vec::new(),
                        on: Vec::new(),
                        curves: Vec::new(),
                    });
                    found.len() - 1
                }
            };
            let entry = &mut found[at];
            if !entry.programs.contains(&one.program) {
                entry.programs.push(one.program.clone());
            }
            add(&mut entry.on, point, &case.kernel);
            let mut curves = entry.curves.iter_mut();
            match curves.find(|(known, _)| *known == one.cost) {
                Some((_, places)) => add(places, point, &case.kernel),
                None => {
                    let places = vec![(point, vec![case.kernel.as_str()])];
                    entry.curves.push((&one.cost, places));
                }
            }
        }
    }
    found
}

/// The points of the matrix.
fn points(all: &[Capacities]) -> Vec<&[String]> {
    all.iter().map(|case| &*case.point).collect()
}

/// The capacities of a scenario; programs and kernels with the same numbers once.
#[must_use]
pub fn report(all: &[Capacities]) -> String {
    let Some(first) = all.first() else {
        return String::new();
    };
    let order = Order::new();
    let mut out = format!("{}\n", first.scenario);
    labelled(&mut out, "  ", &first.about);
    let points = points(all);
    for same in join(all) {
        let one = same.first;
        out.push('\n');
        labelled(
            &mut out,
            "  ",
            &format!(
                "{} on {} ({}): {}; ports {}, {} of them for ephemeral port selection",
                same.programs.join(", "),
                one.host,
                case_label::places(&same.on, &points, &order),
                one.how,
                one.range,
                one.ports
            ),
        );
        program(&mut out, one);
        curves(&mut out, &same, &points, &order);
        nat_host(&mut out, one);
    }
    out
}

/// A number that ports set no limit to.
const NO_LIMIT: &str = "no limit";

/// The counts and formulas of one program: name, count, formula and its text.
pub(crate) fn counts(one: &Capacity) -> Vec<[String; 5]> {
    let then = |held: &MaxConnections| {
        held.then
            .clone()
            .map_or_else(|| "-".to_owned(), |errno| format!("then {errno}"))
    };
    let name = match one.destinations {
        0 => "sockets at once",
        _ => "at once, to one destination",
    };
    let mut counts = vec![(name.to_owned(), &one.to_one)];
    // With a single destination it would be the same line again.
    if one.destinations > 1 {
        let name = format!("at once, to all {} destinations", one.destinations);
        counts.push((name, &one.to_all));
    }
    let limit = |value: Option<f64>| value.map_or_else(|| NO_LIMIT.to_owned(), number);
    let mut rows: Vec<[String; 5]> = counts
        .into_iter()
        .map(|(name, held)| {
            let formula = held.formula.map(|count| count.to_string());
            let counted = formula.as_ref().map(|_| held.counted.to_string());
            [
                name,
                counted.unwrap_or_else(|| NO_LIMIT.to_owned()),
                then(held),
                formula.unwrap_or_else(|| NO_LIMIT.to_owned()),
                held.by.clone(),
            ]
        })
        .collect();
    rows.push([
        format!("per second, closed by {}", one.rate.close),
        limit(one.rate.per_second),
        String::new(),
        limit(one.rate.formula),
        one.rate.by.clone(),
    ]);
    rows
}

fn program(out: &mut String, one: &Capacity) {
    let mut rows = vec![
        ["", "counted", "", "formula", ""]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(counts(one).iter().map(|row| row.to_vec()));
    columns(out, 4, &rows);
    if let Some(after) = one.rate.runs_out_after {
        let again = one.rate.recovers_after.map_or_else(
            || "does not recover within ten minutes".to_owned(),
            |seconds| format!("the next one goes through {} s later", number(seconds)),
        );
        labelled(
            out,
            "    ",
            &format!(
                "Connecting as fast as it can, it runs out after {after} connections; {again}."
            ),
        );
    }
    if one.cost.is_empty() && one.protocol == "tcp" {
        labelled(
            out,
            "    ",
            "connect() selects no port here: bind() has chosen it.",
        );
    }
}

/// The ports of a NAT host in one sentence.
pub(crate) fn through(nat: &ThroughNat) -> String {
    let rate = match nat.per_second {
        Some(rate) => format!("{} connections per second", number(rate)),
        None => "no limit per second".to_owned(),
    };
    format!(
        "through NAT on {}: {} ports ({}) towards each destination for {}; {rate}: {}",
        nat.host, nat.ports, nat.range, nat.shared_by, nat.by
    )
}

/// The share of SYNs that a NAT host loses: ports in use, in a block, scattered.
pub(crate) fn losses(nat: &ThroughNat) -> Vec<[String; 3]> {
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    let row = |one: &Loss| {
        let fill = format!("{} % ({})", one.fill, one.connections);
        [fill, percent(one.block), percent(one.scattered)]
    };
    nat.loss.iter().map(row).collect()
}

/// The NAT host on the way, and how often it loses a SYN.
fn nat_host(out: &mut String, one: &Capacity) {
    let Some(nat) = &one.through else {
        return;
    };
    labelled(out, "    ", &through(nat));
    let head = ["ports in use", "SYNs lost, ports in a block", "scattered"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(losses(nat).iter().map(|row| row.to_vec()));
    columns(out, 4, &rows);
}

/// The ports that connect() looks at, a row for each curve.
fn curves(out: &mut String, same: &Same<'_>, points: &[&[String]], order: &Order) {
    let first = &same.first.cost;
    if first.is_empty() {
        return;
    }
    let mut head = vec!["ports in use".to_owned()];
    head.extend(first.iter().map(|cost| format!("{} %", cost.fill)));
    // Kernels whose curves differ only in decimals share a row.
    let mut rows: Vec<(Vec<String>, Places<'_>)> = Vec::new();
    for (curve, places) in &same.curves {
        let mut row = vec!["connect() looks at".to_owned()];
        row.extend(curve.iter().map(|cost| {
            let expected = format!("{:.0}", cost.expected);
            match cost.most.to_string() {
                most if most == expected => most,
                most => format!("{expected} (at most {most})"),
            }
        }));
        let at = rows.iter().position(|(known, _)| *known == row);
        let at = at.unwrap_or_else(|| {
            rows.push((row, Vec::new()));
            rows.len() - 1
        });
        for (point, names) in places {
            for name in names {
                add(&mut rows[at].1, point, name);
            }
        }
    }
    let mut table = String::new();
    let cells = rows.iter().map(|(row, _)| row.clone());
    let all: Vec<Vec<String>> = std::iter::once(head).chain(cells).collect();
    columns(&mut table, 4, &all);
    for (n, line) in table.lines().enumerate() {
        out.push_str(line);
        out.push('\n');
        if n > 0 && rows.len() > 1 {
            let on = case_label::places(&rows[n - 1].1, points, order);
            labelled(out, "      on ", &on);
        }
    }
}

/// The capacities as a table in Markdown, to paste into a pull request.
#[must_use]
pub fn markdown(all: &[Capacities]) -> String {
    let Some(first) = all.first() else {
        return String::new();
    };
    let order = Order::new();
    let mut out = format!(
        "### {}\n\n{}\n\n",
        escape_markdown(&first.scenario),
        escape_markdown(&first.about)
    );
    let points = points(all);
    let head = ["program", "kernels", "", "counted", "formula"].map(str::to_owned);
    let mut rows = Vec::new();
    for same in join(all) {
        for [name, counted, _, formula, by] in counts(same.first) {
            rows.push(vec![
                escape_markdown(&same.programs.join(", ")),
                escape_markdown(&case_label::places(&same.on, &points, &order)),
                name,
                counted,
                escape_markdown(&format!("{formula} = {by}")),
            ]);
        }
    }
    crate::text::markdown(&mut out, &head, &rows);
    out
}

/// The ranges that a load needs.
#[must_use]
pub fn ranges(need: &Need, all: &[Range]) -> String {
    let mut out = format!(
        "{} connections at once to {} destinations, and {} opened and closed per second, need\n\n",
        need.connections, need.destinations, need.per_second
    );
    let mut rows = vec![
        [
            "program",
            "kernel",
            "ip_local_port_range",
            "addresses",
            "held",
            "in TIME-WAIT",
            "counted",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    for one in all {
        let row = vec![
            one.program.clone(),
            one.kernel.clone(),
            one.range.clone(),
            one.addresses.to_string(),
            one.held.to_string(),
            one.closed.to_string(),
            one.counted.to_string(),
        ];
        if !rows.contains(&row) {
            rows.push(row);
        }
    }
    columns(&mut out, 2, &rows);
    let quick: Vec<&str> = all.iter().filter_map(|one| one.quick.as_deref()).collect();
    out.push('\n');
    labelled(
        &mut out,
        "  ",
        "`counted` is the number of connections to one destination that the model makes with this range.",
    );
    if let Some(quick) = quick.first() {
        labelled(
            &mut out,
            "  ",
            &format!(
                "With {quick}, at most half of the ports are in use and connect() stays quick."
            ),
        );
    }
    if all.iter().any(|one| one.closed > 0) {
        labelled(
            &mut out,
            "  ",
            "Closed by the server, or with tcp_tw_reuse = 1, the ports in TIME-WAIT are not needed.",
        );
    }
    out
}
