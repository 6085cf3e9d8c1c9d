//! The loss of a NAT host as its ports fill, as a curve.

use maud::{Markup, html};

use fourtuple_analysis::capacity::nat::{Loss, ThroughNat};

use super::scrolled;
use crate::text::capacity as text;

const LEFT: usize = 64;
const WIDTH: usize = 320;
const HEIGHT: usize = 130;
const TOP: usize = 12;

/// Ports in use from left to right, the share of lost SYNs upwards: one line for ports that lie in
/// a block, one for ports that lie anywhere.
pub(super) fn loss(through: &ThroughNat, id: &str) -> Markup {
    let x = |one: &Loss| LEFT + WIDTH * one.fill as usize / 100;
    let y = |share: f64| TOP + HEIGHT - (HEIGHT as f64 * share) as usize;
    let line = |share: fn(&Loss) -> f64| {
        let points = through.loss.iter().map(|one| (x(one), y(share(one))));
        let start = std::iter::once((LEFT, TOP + HEIGHT));
        let points = start.chain(points).map(|(x, y)| format!("{x},{y}"));
        points.collect::<Vec<_>>().join(" ")
    };
    let (width, height) = (LEFT + WIDTH + 72, TOP + HEIGHT + 40);
    let floor = TOP + HEIGHT;
    let rows = text::losses(through);
    let label = rows
        .iter()
        .map(|[fill, block, scattered]| {
            format!("{fill} in use: {block} in a block, {scattered} scattered")
        })
        .collect::<Vec<_>>()
        .join("; ");
    html! {
        h4 { "SYNs that " (through.host) " loses" }
        p { (text::through(through)) }
        (scrolled("Curve", &html! {
            svg role="img" aria-labelledby=(id) width=(width) height=(height) viewBox=(format!("0 0 {width} {height}")) {
                title id=(id) { (label) }
                line.lane x1=(LEFT) x2=(LEFT + WIDTH) y1=(floor) y2=(floor) {}
                line.lane x1=(LEFT) x2=(LEFT) y1=(TOP) y2=(floor) {}
                text.time x=(LEFT - 8) y=(floor + 4) text-anchor="end" { "0" }
                text.time x=(LEFT - 8) y=(TOP + 6) text-anchor="end" { "all" }
                text.time x=(LEFT) y=(floor + 18) { "0 %" }
                text.time x=(LEFT + WIDTH) y=(floor + 18) text-anchor="end" { "100 % of the ports in use" }
                polyline.curve points=(line(|one| one.block)) {}
                polyline.curve points=(line(|one| one.scattered)) {}
                @for one in &through.loss {
                    circle.connect cx=(x(one)) cy=(y(one.block)) r="4" {}
                    circle.connect cx=(x(one)) cy=(y(one.scattered)) r="2" {}
                }
            }
        }))
    }
}
