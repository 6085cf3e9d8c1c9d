//! A curve over the ports in use.

use maud::{Markup, html};

use super::scrolled;

const LEFT: usize = 64;
const WIDTH: usize = 320;
const HEIGHT: usize = 130;
const TOP: usize = 12;
const FLOOR: usize = TOP + HEIGHT;

/// A point of a chart.
pub(super) type Point = (usize, usize);

/// The point where nothing is in use, and the value is 0.
pub(super) const ORIGIN: Point = (LEFT, FLOOR);

/// The point of a value, at so many percent of the ports in use.
pub(super) fn point(fill: u32, value: f64, most: f64) -> Point {
    let x = LEFT + WIDTH * fill as usize / 100;
    (x, FLOOR - (HEIGHT as f64 * value / most) as usize)
}

/// A line through points.
pub(super) fn line(points: impl Iterator<Item = Point>) -> Markup {
    let points: Vec<String> = points.map(|(x, y)| format!("{x},{y}")).collect();
    html! { polyline.curve points=(points.join(" ")) {} }
}

/// The axes around a drawing, with the largest value and a text for those who do not see it.
pub(super) fn chart(id: &str, label: &str, most: &str, drawing: &Markup) -> Markup {
    let (width, height) = (LEFT + WIDTH + 72, FLOOR + 40);
    scrolled(
        "Curve",
        &html! {
            svg role="img" aria-labelledby=(id) width=(width) height=(height) viewBox=(format!("0 0 {width} {height}")) {
                title id=(id) { (label) }
                line.lane x1=(LEFT) x2=(LEFT + WIDTH) y1=(FLOOR) y2=(FLOOR) {}
                line.lane x1=(LEFT) x2=(LEFT) y1=(TOP) y2=(FLOOR) {}
                text.time x=(LEFT - 8) y=(FLOOR + 4) text-anchor="end" { "0" }
                text.time x=(LEFT - 8) y=(TOP + 6) text-anchor="end" { (most) }
                text.time x=(LEFT) y=(FLOOR + 18) { "0 %" }
                text.time x=(LEFT + WIDTH) y=(FLOOR + 18) text-anchor="end" { "100 % of the ports in use" }
                (drawing)
            }
        },
    )
}
