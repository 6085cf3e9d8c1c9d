//! Labels for sets of cases: abbreviated lists of kernels, without the axes that make no
//! difference.

use foldhash::fast::FixedState;
use fourtuple_harness::kernels::Order;
use fourtuple_harness::{CaseReport, Group};
use indexmap::IndexSet;

/// Longest list of kernels that is spelled out where all of them are meant, in characters.
const SHORT: usize = 40;

/// The way a list of all kernels that ran is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum WhenAll {
    /// By name if the names are few, else `all kernels`.
    Spell,
    /// Not at all, because a title above has it.
    Omit,
}

/// A kernel with values of the matrix, by its number in the order of the axes, of which the kernel
/// is the first.
type Point = usize;
/// A set of points that is every combination of its values; for each axis, which values it has.
type Block = Vec<Vec<bool>>;

/// The values of an axis, in the order in which they came up.
type Axis<'a> = IndexSet<&'a str, FixedState>;

/// Every kernel and every value that a set of cases has.
struct Space<'a> {
    kernels: Axis<'a>,
    axes: Vec<(&'a str, Axis<'a>)>,
    /// For each point in turn, the place of its kernel and of its values in their axes.
    places: Vec<usize>,
}

/// Returns the shortest label that picks `cases` out of `among`; an empty one if they are all of it
/// and `all` omits that.
pub(crate) fn label(
    cases: &[&CaseReport],
    among: &[&CaseReport],
    all: WhenAll,
    order: &Order,
) -> String {
    let space = Space::of(among);
    let (these, rest) = space.split(cases);
    let mut axes: Vec<usize> = (0..=space.axes.len()).collect();
    let mut best: Option<String> = None;
    // Which way is shortest depends on what the cases have in common, so all are tried.
    for _ in 0..2 {
        for apart in [false, true] {
            let words = space.spell(&space.cover(&these, &rest, &axes, apart), all, order);
            let shorter = |best: &String| words.chars().count() < best.chars().count();
            if best.as_ref().is_none_or(shorter) {
                best = Some(words);
            }
        }
        axes.rotate_left(1);
    }
    best.unwrap_or_default()
}

/// Points of the matrix, each a list of `name=value`, without the axes of which they have every
/// value that there is with the others: `bind=none`, or nothing if they are all of `among`.
pub(crate) fn points(these: &[&[String]], among: &[&[String]]) -> Vec<String> {
    let axes = these.first().map_or(0, |point| point.len());
    let differ_only_on = |a: &[String], b: &[String], axis: usize| {
        let mut pairs = a.iter().zip(b).enumerate();
        pairs.all(|(n, (a, b))| n == axis || a == b)
    };
    let matters = |axis: &usize| {
        let mut rest = among.iter().filter(|point| !these.contains(point));
        rest.any(|other| {
            these
                .iter()
                .any(|point| differ_only_on(point, other, *axis))
        })
    };
    let matter: Vec<usize> = (0..axes).filter(matters).collect();
    let mut words: Vec<String> = Vec::new();
    for point in these {
        let parts = matter.iter().filter_map(|axis| point.get(*axis));
        let text = parts.cloned().collect::<Vec<_>>().join(" ");
        if !text.is_empty() && !words.contains(&text) {
            words.push(text);
        }
    }
    words
}

/// A label for points of the matrix with their kernels, those with the same kernels together:
/// `linux-4.2..linux-6.18 with bind=none; linux-6.18 with bind=address`.
pub(crate) fn places(
    places: &[(&[String], Vec<&str>)],
    among: &[&[String]],
    order: &Order,
) -> String {
    let mut together: Vec<(String, Vec<&[String]>)> = Vec::new();
    for (point, kernels) in places {
        let kernels = order.compact(kernels);
        match together.iter_mut().find(|(known, _)| *known == kernels) {
            Some((_, points)) => points.push(point),
            None => together.push((kernels, vec![point])),
        }
    }
    let parts =
        together.into_iter().map(
            |(kernels, these)| match points(&these, among).join(" or ") {
                points if points.is_empty() => kernels,
                points => format!("{kernels} with {points}"),
            },
        );
    parts.collect::<Vec<_>>().join("; ")
}

/// Which cases a group has: `rhel-6.5, linux-6.18` or `rhel-6.5, linux-6.18 with tw_reuse=1`.
pub(crate) fn of_group(group: &Group<'_>, order: &Order) -> String {
    title(&group.cases, group.all, order)
}

/// Which of all cases of a report these are, kernels written short, axes that make no difference
/// left out.
#[must_use]
pub fn title(cases: &[&CaseReport], all: &[CaseReport], order: &Order) -> String {
    let all: Vec<&CaseReport> = all.iter().collect();
    label(cases, &all, WhenAll::Spell, order)
}

/// Which of the cases of a section these are; what all of the section have in common is left out.
pub(crate) fn title_within(
    cases: &[&CaseReport],
    section: &[&CaseReport],
    order: &Order,
) -> String {
    match label(cases, section, WhenAll::Omit, order) {
        words if words.is_empty() => "all of these".to_owned(),
        words => words,
    }
}

impl<'a> Space<'a> {
    fn of(among: &[&'a CaseReport]) -> Self {
        let mut kernels = Axis::default();
        let mut axes: Vec<(&str, Axis<'_>)> = Vec::new();
        for case in among {
            kernels.extend(case.kernels.iter().map(|name| &**name));
            for (name, value) in &*case.case.axes {
                match axes.iter_mut().find(|(one, _)| one == name) {
                    Some((_, values)) => {
                        values.insert(value);
                    }
                    None => axes.push((name, Axis::from_iter([value.as_str()]))),
                }
            }
        }
        let mut space = Space {
            kernels,
            axes,
            places: Vec::new(),
        };
        let sizes: Vec<usize> = space.sizes().collect();
        let mut at = vec![0; sizes.len()];
        for _ in 0..sizes.iter().product() {
            space.places.extend_from_slice(&at);
            // The next one: the last axis goes round, and those before it each time that it has.
            for (place, size) in at.iter_mut().zip(&sizes).rev() {
                *place = (*place + 1) % size;
                if *place > 0 {
                    break;
                }
            }
        }
        space
    }

    /// The number of kernels, then of values of each axis.
    fn sizes(&self) -> impl Iterator<Item = usize> {
        std::iter::once(self.kernels.len()).chain(self.axes.iter().map(|(_, of)| of.len()))
    }

    /// The places of a point in the axes.
    fn at(&self, point: Point) -> &[usize] {
        let axes = 1 + self.axes.len();
        &self.places[point * axes..][..axes]
    }

    /// The points of some cases, and all others.
    fn split(&self, cases: &[&CaseReport]) -> (Vec<Point>, Vec<Point>) {
        let mut chosen = vec![false; self.sizes().product()];
        let each: usize = self.axes.iter().map(|(_, of)| of.len()).product();
        for case in cases {
            // The point without its kernel.
            let values = self.axes.iter().try_fold(0, |point, (name, values)| {
                let value = case.case.axes.get(*name)?;
                let place = values.get_index_of(value.as_str())?;
                Some(point * values.len() + place)
            });
            let Some(values) = values else { continue };
            for name in &case.kernels {
                if let Some(kernel) = self.kernels.get_index_of(&**name) {
                    chosen[kernel * each + values] = true;
                }
            }
        }
        (0..chosen.len()).partition(|point| chosen[*point])
    }

    /// Blocks that together hold each of `these` and none of `rest`. Each is as large as can be,
    /// growing along the axes in the order given. Blocks may overlap unless they are to be kept
    /// `apart`.
    fn cover(&self, these: &[Point], rest: &[Point], axes: &[usize], apart: bool) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        let mut taken = rest.to_vec();
        for point in these {
            if blocks.iter().any(|block| self.holds(block, *point)) {
                continue;
            }
            let block = self.grown(*point, &taken, axes);
            if apart {
                taken.extend(these.iter().filter(|one| self.holds(&block, **one)));
            }
            blocks.push(block);
        }
        // A later block may have made an earlier one needless.
        let mut n = 0;
        while n < blocks.len() {
            let needless = these.iter().all(|point| {
                let mut others = blocks.iter().enumerate().filter(|(other, _)| *other != n);
                !self.holds(&blocks[n], *point)
                    || others.any(|(_, block)| self.holds(block, *point))
            });
            if needless {
                blocks.remove(n);
            } else {
                n += 1;
            }
        }
        blocks
    }

    fn grown(&self, point: Point, taken: &[Point], axes: &[usize]) -> Block {
        let one = |(size, at): (usize, &usize)| (0..size).map(|value| value == *at).collect();
        let mut block: Block = self.sizes().zip(self.at(point)).map(one).collect();
        for axis in axes {
            let mut free = vec![true; block[*axis].len()];
            for other in taken {
                let other = self.at(*other);
                let elsewhere = |(n, at): (usize, &usize)| n == *axis || block[n][*at];
                if other.iter().enumerate().all(elsewhere) {
                    free[other[*axis]] = false;
                }
            }
            block[*axis] = free;
        }
        block
    }

    fn holds(&self, block: &Block, point: Point) -> bool {
        block
            .iter()
            .zip(self.at(point))
            .all(|(values, at)| values[*at])
    }

    fn spell(&self, blocks: &[Block], all: WhenAll, order: &Order) -> String {
        let mut by_kernels: Vec<(String, Vec<String>)> = Vec::new();
        for block in blocks {
            let kernels = self.kernels_of(&block[0], all, order);
            let point = self.point_of(block, all);
            match by_kernels.iter_mut().find(|(one, _)| *one == kernels) {
                Some((_, points)) => points.push(point),
                None => by_kernels.push((kernels, vec![point])),
            }
        }
        let parts = by_kernels.into_iter().map(|(kernels, points)| {
            let points = points.join(" or ");
            match (kernels.is_empty(), points.is_empty()) {
                (true, _) => points,
                (_, true) => kernels,
                _ => format!("{kernels} with {points}"),
            }
        });
        parts.collect::<Vec<_>>().join("; ")
    }

    fn kernels_of(&self, chosen: &[bool], all: WhenAll, order: &Order) -> String {
        let names = self.kernels.iter().zip(chosen);
        let names: Vec<&str> = names
            .filter_map(|(name, chosen)| chosen.then_some(*name))
            .collect();
        let whole = names.len() == self.kernels.len();
        if whole && all == WhenAll::Omit {
            return String::new();
        }
        let words = order.compact(&names);
        if whole && words.chars().count() > SHORT {
            return "all kernels".to_owned();
        }
        words
    }

    fn point_of(&self, block: &Block, all: WhenAll) -> String {
        let spelled = self.axes.iter().zip(&block[1..]).filter(|(axis, chosen)| {
            let only = axis.1.len() == 1 && all == WhenAll::Spell;
            only || chosen.contains(&false)
        });
        let words = spelled.map(|((name, values), chosen)| {
            let values = values.iter().zip(chosen);
            let values = values.filter_map(|(value, chosen)| chosen.then_some(*value));
            format!("{name}={}", joined(&values.collect::<Vec<_>>()))
        });
        words.collect::<Vec<_>>().join(" ")
    }
}

/// Values in a list; three whole numbers or more that follow each other are a range.
fn joined(values: &[&str]) -> String {
    let follows = |a: &&str, b: &&str| match (a.parse::<u64>(), b.parse::<u64>()) {
        (Ok(a), Ok(b)) => a.checked_add(1) == Some(b),
        _ => false,
    };
    let parts = values.chunk_by(follows).map(|run| match run {
        [first, _, .., last] => format!("{first}..{last}"),
        _ => run.join(","),
    });
    parts.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use fourtuple_harness::{Engine, Model, kernels, runner};

    /// The words for the cases of a scenario with these axes that a condition holds for.
    fn of(kernel: &str, all: WhenAll, fits: impl Fn(&str, &[&str]) -> bool) -> String {
        let text = format!(
            "about: A test?\nkernel: {kernel}\nmatrix: {{ a: [0, 1], b: [1, 2, 3, 4], c: [x, y] }}\n\
             hosts: {{ h: {{ addresses: [127.0.0.1] }} }}\n\
             steps:\n  - {{ socket: s, by: \"p${{a}}${{b}}${{c}}\" }}\n"
        );
        let scenario = fourtuple_scenario::parse("test.yaml", &text).expect("a scenario");
        let cases = fourtuple_scenario::expand(&scenario, &kernels::names()).expect("cases");
        let report = runner::run(&scenario, cases, &[&Model as &dyn Engine]);
        let among: Vec<&CaseReport> = report.cases.iter().collect();
        let mut cases = among.clone();
        cases.retain(|case| {
            let values: Vec<&str> = case.case.axes.values().map(String::as_str).collect();
            fits(&case.kernels[0], &values)
        });
        label(&cases, &among, all, &Order::new())
    }

    #[test]
    fn axes_that_make_no_difference_are_left_out() {
        let kernels = "[rhel-6.5, linux-6.18]";
        let title = of(kernels, WhenAll::Spell, |_, values| values[0] == "1");
        assert_eq!(title, "rhel-6.5, linux-6.18 with a=1");
        let title = of(kernels, WhenAll::Omit, |_, values| values[0] == "1");
        assert_eq!(title, "a=1");
        let title = of("all", WhenAll::Spell, |_, values| values[2] == "y");
        assert_eq!(title, "all kernels with c=y");
        let title = of(kernels, WhenAll::Spell, |kernel, _| kernel == "rhel-6.5");
        assert_eq!(title, "rhel-6.5");
    }

    #[test]
    fn sets_of_several_blocks_have_short_labels() {
        let either = |kernel: &str, values: &[&str]| kernel == "rhel-6.5" || values[1] == "4";
        assert_eq!(
            of("[rhel-6.5, linux-6.18]", WhenAll::Spell, either),
            "rhel-6.5; linux-6.18 with b=4"
        );
        let corner = |_: &str, values: &[&str]| values[0] == "0" || values[2] == "x";
        assert_eq!(
            of("[rhel-6.5, linux-6.18]", WhenAll::Omit, corner),
            "c=x or a=0"
        );
    }

    #[test]
    fn values_that_follow_each_other_are_a_range() {
        let title = of("linux-6.18", WhenAll::Spell, |_, values| values[1] != "4");
        assert_eq!(title, "linux-6.18 with b=1..3");
        let title = of("linux-6.18", WhenAll::Spell, |_, values| {
            "13".contains(values[1])
        });
        assert_eq!(title, "linux-6.18 with b=1,3");
    }

    #[test]
    fn axes_that_make_no_difference_are_left_out_of_points() {
        let point = |bind: &str, to: &str| vec![format!("bind={bind}"), format!("to={to}")];
        let all = [
            point("a", "x"),
            point("a", "y"),
            point("b", "x"),
            point("b", "y"),
        ];
        let all: Vec<&[String]> = all.iter().map(Vec::as_slice).collect();
        assert_eq!(points(&all, &all), Vec::<String>::new());
        assert_eq!(points(&all[..2], &all), ["bind=a"]);
        assert_eq!(
            points(&[all[0], all[3]], &all),
            ["bind=a to=x", "bind=b to=y"]
        );
        assert_eq!(points(&[&[]], &[&[]]), Vec::<String>::new());
    }
}
