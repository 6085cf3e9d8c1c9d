//! The loss of a NAT host as its ports fill, as a curve.

use maud::{Markup, html};

use fourtuple_analysis::capacity::nat::{Loss, ThroughNat};

use super::chart::{ORIGIN, chart, line, point};
use crate::text::capacity as text;

/// Ports in use from left to right, the share of lost SYNs upwards: one line for ports that lie in
/// a block, one for ports that lie anywhere.
pub(super) fn loss(through: &ThroughNat, id: &str) -> Markup {
    let block = |one: &Loss| point(one.fill, one.block, 1.0);
    let scattered = |one: &Loss| point(one.fill, one.scattered, 1.0);
    let from_nothing = |of: &dyn Fn(&Loss) -> (usize, usize)| {
        line(std::iter::once(ORIGIN).chain(through.loss.iter().map(of)))
    };
    let rows = text::losses(through);
    let label = rows
        .iter()
        .map(|[fill, block, scattered]| {
            format!("{fill} in use: {block} in a block, {scattered} scattered")
        })
        .collect::<Vec<_>>()
        .join("; ");
    let drawing = html! {
        (from_nothing(&block))
        (from_nothing(&scattered))
        @for one in &through.loss {
            @let (x, y) = block(one);
            circle.connect cx=(x) cy=(y) r="4" {}
            @let (x, y) = scattered(one);
            circle.connect cx=(x) cy=(y) r="2" {}
        }
    };
    html! {
        h4 { "SYNs that " (through.host) " loses" }
        p { (text::through(through)) }
        (chart(id, &label, "all", &drawing))
    }
}
