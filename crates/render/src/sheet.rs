//! The fixes of one scenario on all its kernels, side by side.

use std::collections::BTreeSet;

use fourtuple_analysis::remedies::{Effect, Remedies, Remedy};
use fourtuple_harness::kernels::Order;
use fourtuple_kernel::profile;

use crate::case_label;

/// Kernels of a column that are named one by one.
const FEW: usize = 3;

/// Kernels and points of the matrix on which every fix has the same effect.
#[derive(Debug)]
pub(crate) struct Column<'a> {
    /// Its letter.
    pub(crate) label: String,
    /// Its kernels and points, in words.
    pub(crate) title: String,
    /// The first of its members.
    pub(crate) first: &'a Remedies,
    /// All of them.
    pub(crate) members: Vec<&'a Remedies>,
}

/// One fix on all columns.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    /// The fix where it has its best effect.
    pub(crate) best: &'a Remedy,
    /// The fix on each column; none where it is the same as another one there, or was not tried.
    pub(crate) cells: Vec<Option<&'a Remedy>>,
}

/// The table.
#[derive(Debug)]
pub(crate) struct Sheet<'a> {
    /// The groups of cases in which sockets are refused.
    pub(crate) columns: Vec<Column<'a>>,
    /// The kernels on which no socket is refused, as text; empty if there are none.
    pub(crate) fine: String,
    /// The fixes, the best first.
    pub(crate) rows: Vec<Row<'a>>,
}

/// The word of a cell.
pub(crate) fn word(cell: Option<&Remedy>) -> String {
    let Some(one) = cell else {
        return "-".to_owned();
    };
    match (one.effect, one.seeds) {
        (Effect::Always, _) => "always".to_owned(),
        (Effect::Usually, Some(seeds)) => format!("usually {}/{}", seeds.good, seeds.of),
        (Effect::ByLuck, Some(seeds)) => format!("luck {}/{}", seeds.good, seeds.of),
        (Effect::Usually | Effect::ByLuck, None) => "?".to_owned(),
        (Effect::HelpsPartly, _) => one
            .after
            .map_or_else(String::new, |counts| format!("partly {counts}")),
        (Effect::Nothing, _) => "no effect".to_owned(),
        (Effect::Harms, _) => "worse".to_owned(),
        (Effect::Absent, _) => "absent".to_owned(),
        (Effect::Untried, _) => "not tried".to_owned(),
        (Effect::DoesNotApply, _) => "-".to_owned(),
    }
}

/// The effect without differences that no reader needs.
fn class(effect: Effect) -> Effect {
    match effect {
        Effect::Harms | Effect::DoesNotApply => Effect::Nothing,
        other => other,
    }
}

impl<'a> Sheet<'a> {
    /// Puts the fixes of several kernels side by side. Kernels with the same effects of the fixes
    /// that work anywhere share a column; with `all`, of every fix.
    pub(crate) fn new(all: &'a [Remedies], every_row: bool) -> Self {
        let order = Order::new();
        let working: Vec<&str> = all
            .iter()
            .flat_map(|one| &one.remedies)
            .filter(|one| every_row || one.effect.works())
            .map(|one| one.id.as_str())
            .collect();
        let key = |one: &Remedies| {
            let mut effects: Vec<(String, Effect)> = one
                .remedies
                .iter()
                .filter(|remedy| working.contains(&remedy.id.as_str()))
                .map(|remedy| (remedy.id.clone(), class(remedy.effect)))
                .collect();
            effects.sort();
            (
                one.victims.clone(),
                one.rule.clone(),
                one.regression.is_some(),
                effects,
            )
        };
        let mut columns: Vec<Column<'a>> = Vec::new();
        for one in all.iter().filter(|one| one.needed()) {
            match columns
                .iter_mut()
                .find(|column| key(column.first) == key(one))
            {
                Some(column) => column.members.push(one),
                None => columns.push(Column {
                    label: letter(columns.len()),
                    title: String::new(),
                    first: one,
                    members: vec![one],
                }),
            }
        }
        for column in &mut columns {
            column.title = title(&column.members, all, &order);
        }
        let fine: Vec<&Remedies> = all.iter().filter(|one| !one.needed()).collect();
        let rows = rows(&columns);
        Sheet {
            fine: title(&fine, all, &order),
            columns,
            rows,
        }
    }

    /// The rows that can be recommended somewhere.
    pub(crate) fn working(&self) -> impl Iterator<Item = &Row<'a>> {
        self.rows.iter().filter(|row| row.best.effect.works())
    }
}

fn letter(n: usize) -> String {
    let at = u8::try_from(n % 26).unwrap_or(0);
    let letter = char::from(b'A' + at);
    if n < 26 {
        letter.to_string()
    } else {
        format!("{letter}{}", n / 26)
    }
}

/// `linux-4.2..linux-6.18 with bind=none; linux-6.18 with bind=address`.
fn title(members: &[&Remedies], all: &[Remedies], order: &Order) -> String {
    let kernels: BTreeSet<&str> = members.iter().map(|one| &*one.kernel).collect();
    let among: Vec<&[String]> = all.iter().map(|one| &*one.point).collect();
    let mut points: Vec<(&[String], Vec<String>)> = Vec::new();
    for one in members {
        let point = &*one.point;
        // Many kernels are a range; the names with the same behaviour close its gaps.
        let names = match profile::find(&one.kernel) {
            Some(profile) if kernels.len() > FEW => profile.names,
            _ => vec![one.kernel.clone()],
        };
        match points.iter_mut().find(|(known, _)| *known == point) {
            Some((_, known)) => known.extend(names),
            None => points.push((point, names)),
        }
    }
    let places: Vec<(&[String], Vec<&str>)> = points
        .iter()
        .map(|(point, names)| (*point, names.iter().map(String::as_str).collect()))
        .collect();
    case_label::places(&places, &among, order)
}

fn rows<'a>(columns: &[Column<'a>]) -> Vec<Row<'a>> {
    let mut ids: Vec<&str> = Vec::new();
    for column in columns {
        for one in &column.first.remedies {
            if !ids.contains(&one.id.as_str()) {
                ids.push(&one.id);
            }
        }
    }
    let mut rows: Vec<Row<'a>> = Vec::new();
    for id in ids {
        let cells: Vec<Option<&Remedy>> = columns
            .iter()
            .map(|column| column.first.remedies.iter().find(|one| one.id == id))
            .collect();
        let best = cells.iter().flatten().copied().min_by_key(|one| one.effect);
        rows.extend(best.map(|best| Row { best, cells }));
    }
    // A stable sort: the order of the first column is the order of the catalogue.
    rows.sort_by_key(|row| (row.best.effect, row.best.stale.is_some()));
    rows
}
