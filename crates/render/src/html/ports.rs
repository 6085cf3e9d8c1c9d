//! The range of ports over time: port by port where they are few, in shares where they are many.

use maud::{Markup, html};

use fourtuple_analysis::{PortTimeline, Sample, Use};

use super::axis::Axis;
use super::scrolled;

use crate::text::{ranges, seconds};

const CELL: usize = 22;
const TOP: usize = 22;
/// Height of the picture of shares.
const SHARES: usize = 160;
/// Rows of the table that says the same.
const ROWS: usize = 24;

/// The picture, its legend and the table.
pub(super) fn ports(timeline: &PortTimeline, id: &str) -> Markup {
    let id = format!("{id}p-{}", timeline.host);
    let title = format!("Ports {} of {}", timeline.range, timeline.host);
    let small = timeline
        .samples
        .iter()
        .all(|sample| !sample.uses.is_empty());
    let last = timeline.samples.last().map(words).unwrap_or_default();
    let label = format!(
        "{title} over {} moments; in the end: {last}. The table below says the same.",
        timeline.samples.len()
    );
    let picture = if small {
        grid(timeline, &id, &label)
    } else {
        shares(timeline, &id, &label)
    };
    let used = |what: &Use| {
        timeline
            .samples
            .iter()
            .any(|sample| sample.count(*what) > 0)
    };
    if !small && !is_visible(timeline) {
        return html! {
            h4 { (title) " over time" }
            p { "So few of them are in use at any moment that a picture shows none." }
            details {
                summary { (title) ", as a table" }
                (scrolled(&title, &table(timeline, small)))
            }
        };
    }
    html! {
        h4 { (title) " over time" }
        (scrolled(&title, &picture))
        ul.legend aria-label="Colours of the ports" {
            @for what in Use::ALL.into_iter().filter(used) {
                li {
                    svg width="18" height="18" aria-hidden="true" {
                        rect class=(class(what)) x="1" y="1" width="16" height="16" {}
                        text.letter x="9" y="13" text-anchor="middle" { (what.letter()) }
                    }
                    " " (what.word())
                }
            }
        }
        details {
            summary { (title) ", as a table" }
            (scrolled(&title, &table(timeline, small)))
        }
    }
}

fn class(what: Use) -> &'static str {
    match what {
        Use::Free => "free",
        Use::Connect => "made",
        Use::Bound => "bound",
        Use::Poisoned => "poisoned",
        Use::TimeWait => "waits",
        Use::Reserved => "reserved",
    }
}

/// `4 bound, 2 free`
fn words(sample: &Sample) -> String {
    let parts: Vec<String> = Use::ALL
        .into_iter()
        .filter(|what| sample.count(*what) > 0)
        .map(|what| format!("{} {}", sample.count(what), what.word()))
        .collect();
    parts.join(", ")
}

fn axis_of(timeline: &PortTimeline, step: usize) -> Axis {
    Axis::new(
        step,
        timeline.samples.iter().map(|sample| sample.at_ns).collect(),
    )
}

fn grid(timeline: &PortTimeline, id: &str, label: &str) -> Markup {
    let left = 52;
    let ports = timeline.range.size() as usize;
    let axis = axis_of(timeline, CELL);
    let width = left + axis.width() + 48;
    let height = TOP + CELL * ports + 20;
    html! {
        svg.ports role="img" aria-labelledby=(format!("{id}t")) width=(width) height=(height) viewBox=(format!("0 0 {width} {height}")) {
            title id=(format!("{id}t")) { (label) }
            @for (n, at) in axis.labels() {
                text.time x=(left + axis.x(n)) y="14" { (seconds(at)) }
            }
            @for (row, port) in (timeline.range.low..=timeline.range.high).enumerate() {
                text x=(left - 8) y=(TOP + CELL * row + 15) text-anchor="end" { (port) }
                @for (n, sample) in timeline.samples.iter().enumerate() {
                    @let what = sample.uses[row];
                    rect class=(class(what)) x=(left + axis.x(n) + 1) y=(TOP + CELL * row + 1) width=(axis.width_of(n) - 2) height=(CELL - 2) {}
                    @if !what.letter().is_empty() {
                        text.letter x=(left + axis.x(n) + CELL / 2) y=(TOP + CELL * row + 15) text-anchor="middle" { (what.letter()) }
                    }
                }
            }
            text.time x=(left) y=(height - 4) { "time →" }
        }
    }
}

fn shares(timeline: &PortTimeline, id: &str, label: &str) -> Markup {
    let left = 52;
    let step = (720 / timeline.samples.len().max(1)).clamp(4, CELL);
    let axis = axis_of(timeline, step);
    let width = left + axis.width() + 48;
    let height = TOP + SHARES + 20;
    let total = u64::from(timeline.range.size().max(1));
    html! {
        svg.ports role="img" aria-labelledby=(format!("{id}t")) width=(width) height=(height) viewBox=(format!("0 0 {width} {height}")) {
            title id=(format!("{id}t")) { (label) }
            @for (n, at) in axis.labels() {
                text.time x=(left + axis.x(n)) y="14" { (seconds(at)) }
            }
            text x=(left - 8) y=(TOP + 10) text-anchor="end" { (timeline.range.size()) }
            text x=(left - 8) y=(TOP + SHARES) text-anchor="end" { "0" }
            @for (n, sample) in timeline.samples.iter().enumerate() {
                @for (what, low, high) in stacked(sample, total) {
                    rect class=(class(what)) x=(left + axis.x(n)) y=(TOP as u64 + SHARES as u64 - high) width=(axis.width_of(n)) height=(high - low) {}
                }
            }
            text.time x=(left) y=(height - 4) { "time →" }
        }
    }
}

/// Returns whether the ports in use are a line of the picture of shares at any moment.
fn is_visible(timeline: &PortTimeline) -> bool {
    let total = u64::from(timeline.range.size().max(1));
    let uses = timeline.samples.iter().map(|sample| stacked(sample, total));
    uses.flatten().any(|(what, ..)| what != Use::Free)
}

/// The uses of a moment with the lower and upper edge of each, from the bottom: what is used stands
/// on the floor, what is free is above.
fn stacked(sample: &Sample, total: u64) -> Vec<(Use, u64, u64)> {
    let mut below = 0;
    let mut all = Vec::new();
    for what in [
        Use::Bound,
        Use::Poisoned,
        Use::TimeWait,
        Use::Connect,
        Use::Reserved,
        Use::Free,
    ] {
        let edge = |ports: u64| ports * SHARES as u64 / total;
        let above = below + u64::from(sample.count(what));
        if edge(above) > edge(below) {
            all.push((what, edge(below), edge(above)));
        }
        below = above;
    }
    all
}

fn table(timeline: &PortTimeline, small: bool) -> Markup {
    let every = timeline.samples.len().div_ceil(ROWS).max(1);
    let last = timeline.samples.len().saturating_sub(1);
    let chosen = timeline
        .samples
        .iter()
        .enumerate()
        .filter(|(n, _)| n.is_multiple_of(every) || *n == last);
    html! {
        table {
            caption { "Ports " (timeline.range) " of " (timeline.host) " over time" }
            thead { tr { th scope="col" { "moment" } th scope="col" { "time" } th scope="col" { "ports" } } }
            tbody {
                @for (n, sample) in chosen {
                    tr {
                        th scope="row" { (n + 1) }
                        td { (seconds(sample.at_ns)) }
                        td.words { @if small { (named(timeline, sample)) } @else { (words(sample)) } }
                    }
                }
            }
        }
    }
}

/// `bound: 40000-40002; free: 40003`
fn named(timeline: &PortTimeline, sample: &Sample) -> String {
    let mut parts = Vec::new();
    for what in Use::ALL {
        let ports: Vec<u32> = sample
            .uses
            .iter()
            .enumerate()
            .filter(|(_, one)| **one == what)
            .map(|(n, _)| u32::from(timeline.range.low) + n as u32)
            .collect();
        if !ports.is_empty() {
            parts.push(format!("{}: {}", what.word(), ranges(&ports)));
        }
    }
    parts.join("; ")
}
