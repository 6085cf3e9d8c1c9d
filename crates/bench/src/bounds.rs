//! The bounds that the measurements have to keep.

use std::fmt::Write as _;

/// The figures of a page that have a bound.
#[derive(Default)]
pub(crate) struct Bounds(Vec<Figure>);

struct Figure {
    name: String,
    /// `None` if it was not measured.
    measured: Option<f64>,
    bound: Bound,
}

/// The limit of a figure.
#[derive(Clone, Copy)]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Bounds {
    /// Adds a figure; `None` if it was not measured.
    pub(crate) fn add(&mut self, name: impl Into<String>, measured: Option<f64>, bound: Bound) {
        self.0.push(Figure {
            name: name.into(),
            measured,
            bound,
        });
    }

    /// The section of the page.
    pub(crate) fn section(&self) -> String {
        let mut section = "\n## Bounds\n\n| figure | measured | bound | |\n".to_owned();
        section.push_str("| --- | ---: | ---: | --- |\n");
        for figure in &self.0 {
            let (words, limit) = match figure.bound {
                Bound::AtMost(limit) => ("at most", limit),
                Bound::AtLeast(limit) => ("at least", limit),
            };
            let (measured, verdict) = match figure.measured {
                None => ("-".to_owned(), "not measured"),
                Some(value) if figure.bound.holds(value) => (number(value), "within"),
                Some(value) => (number(value), "**not within**"),
            };
            let _ = writeln!(
                section,
                "| {} | {measured} | {words} {limit} | {verdict} |",
                figure.name
            );
        }
        section
    }
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            Bound::AtMost(limit) => value <= limit,
            Bound::AtLeast(limit) => value >= limit,
        }
    }
}

/// A number with three digits at least.
fn number(value: f64) -> String {
    match value {
        _ if value >= 100.0 => format!("{value:.0}"),
        _ if value >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_has_its_bound_and_verdict_beside_it() {
        let mut bounds = Bounds::default();
        bounds.add("a", Some(5.0), Bound::AtMost(5.0));
        bounds.add("b", Some(699.9), Bound::AtLeast(700.0));
        bounds.add("c", None, Bound::AtMost(1.25));
        let section = bounds.section();
        let rows: Vec<&str> = section.lines().skip(5).collect();
        assert_eq!(
            rows,
            [
                "| a | 5.00 | at most 5 | within |",
                "| b | 700 | at least 700 | **not within** |",
                "| c | - | at most 1.25 | not measured |",
            ]
        );
    }
}
