//! The calls of a run along a time axis, a lane for each process.

use maud::{Markup, html};

use fourtuple_harness::{Attempt, Attempts, Name};
use fourtuple_scenario::Op;

use super::axis::Axis;
use super::scrolled;
use crate::text::seconds;

/// Calls that a picture shows; a longer run is described as text only.
const MOST: usize = 160;
const STEP: usize = 18;
const LANE: usize = 30;
const TOP: usize = 26;

/// The picture, if the run is short enough for one. `socket` and `set` calls that went well are
/// left out.
pub(super) fn timeline(attempts: &Attempts, id: &str) -> Markup {
    let shown: Vec<Attempt<'_>> = attempts
        .iter()
        .filter(|one| !(one.result().is_ok() && matches!(one.op(), Op::Socket | Op::Set)))
        .collect();
    if shown.is_empty() || shown.len() > MOST {
        return html! {};
    }
    let mut lanes: Vec<&Name> = Vec::new();
    for attempt in &shown {
        if !lanes.contains(&attempt.process()) {
            lanes.push(attempt.process());
        }
    }
    let left = 16
        + 8 * lanes
            .iter()
            .map(|name| name.chars().count())
            .max()
            .unwrap_or(0);
    let axis = Axis::new(STEP, shown.iter().map(|one| one.at_ns()).collect());
    // Room for a label at the last moment.
    let width = left + axis.width() + 48;
    let height = TOP + LANE * lanes.len() + 24;
    let refused = shown.iter().filter(|one| !one.result().is_ok()).count();
    let label = format!(
        "Timeline: {} calls of {} over time, {refused} of them refused. The same is under “Every call, in order”.",
        shown.len(),
        lanes
            .iter()
            .map(|name| name.to_string())
            .collect::<Vec<_>>()
            .join(", "),
    );
    let x = |n: usize| left + axis.x(n) + STEP / 2;
    let y = |one: Attempt<'_>| {
        let lane = lanes.iter().position(|name| *name == one.process());
        TOP + LANE * lane.unwrap_or(0) + LANE / 2
    };
    let svg = html! {
        svg.timeline role="img" aria-labelledby=(format!("{id}t")) width=(width) height=(height) viewBox=(format!("0 0 {width} {height}")) {
            title id=(format!("{id}t")) { (label) }
            @for (n, name) in lanes.iter().enumerate() {
                line.lane x1=(left) x2=(width - 8) y1=(TOP + LANE * n + LANE / 2) y2=(TOP + LANE * n + LANE / 2) {}
                text x=(left - 8) y=(TOP + LANE * n + LANE / 2 + 4) text-anchor="end" { (name) }
            }
            @for (n, at) in axis.labels() {
                line.passed x1=(left + axis.x(n)) x2=(left + axis.x(n)) y1="18" y2=(height - 22) {}
                text.time x=(left + axis.x(n)) y="14" { (seconds(at)) }
            }
            @for (n, one) in shown.iter().enumerate() {
                @let (x, y) = (x(n), y(*one));
                g {
                    title { (one.n()) ". " (one.call()) ": " (one.answer()) }
                    @if one.result().is_ok() {
                        @match one.op() {
                            Op::Bind | Op::Listen => rect.ok.bind x=(x - 5) y=(y - 5) width="10" height="10" {},
                            Op::Close | Op::Shutdown | Op::Disconnect => circle.ok.end cx=(x) cy=(y) r="4" {},
                            _ => circle.ok.connect cx=(x) cy=(y) r="6" {},
                        }
                    } @else {
                        path.refused d=(format!("M{} {}l12 12m0 -12l-12 12", x - 6, y - 6)) {}
                    }
                }
            }
            text.time x=(left) y=(height - 6) { "time →" }
        }
    };
    html! {
        h4 { "Timeline" }
        (scrolled("Timeline", &svg))
        ul.legend aria-label="Marks of the timeline" {
            li { svg width="14" height="14" aria-hidden="true" { rect.ok.bind x="2" y="2" width="10" height="10" {} } " bind, listen" }
            li { svg width="14" height="14" aria-hidden="true" { circle.ok.connect cx="7" cy="7" r="6" {} } " connect, accept" }
            li { svg width="14" height="14" aria-hidden="true" { circle.ok.end cx="7" cy="7" r="4" {} } " close" }
            li { svg width="14" height="14" aria-hidden="true" { path.refused d="M1 1l12 12m0 -12l-12 12" {} } " refused" }
        }
    }
}
