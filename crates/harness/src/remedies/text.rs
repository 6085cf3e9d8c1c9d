//! The table of ways out, for people.

use super::{Effect, Remedies, Remedy};
use crate::text::{columns, labelled};

/// The table of one case.
#[must_use]
pub fn table(all: &Remedies) -> String {
    let point = if all.point.is_empty() {
        String::new()
    } else {
        format!(" with {}", all.point.join(" "))
    };
    let mut out = format!("{} on {}{point}\n", all.scenario, all.kernel);
    labelled(&mut out, "  ", &all.about);
    if !all.needed() {
        out.push('\n');
        labelled(
            &mut out,
            "  ",
            &format!(
                "Nobody is refused for want of a port ({} sockets ok): there is nothing to mend.",
                all.before
            ),
        );
        return out;
    }
    labelled(
        &mut out,
        "  now      ",
        &format!(
            "{} sockets ok, {} refused for want of a port",
            all.before, all.before.refused
        ),
    );
    labelled(&mut out, "  refused  ", &listed(&all.victims));
    labelled(&mut out, "  binding  ", &listed(&all.binders));
    if let Some((name, text)) = &all.rule {
        labelled(&mut out, "  because  ", &format!("{text} ({name})"));
    }
    for effect in [Effect::Works, Effect::HelpsPartly] {
        let rows: Vec<&Remedy> = all
            .remedies
            .iter()
            .filter(|one| one.effect == effect)
            .collect();
        section(&mut out, all, &rows, effect);
    }
    if !all.remedies.iter().any(|one| one.effect == Effect::Works) {
        out.push('\n');
        labelled(
            &mut out,
            "  ",
            "Nothing that is known works here, alone or in pairs.",
        );
    }
    idle(&mut out, all);
    out
}

fn listed(names: &[String]) -> String {
    if names.is_empty() {
        "nobody".to_owned()
    } else {
        names.join(", ")
    }
}

fn who(remedy: &Remedy) -> String {
    let words: Vec<&str> = remedy.who.iter().map(|who| who.word()).collect();
    words.join(" and ")
}

fn section(out: &mut String, all: &Remedies, rows: &[&Remedy], effect: Effect) {
    if rows.is_empty() {
        return;
    }
    out.push('\n');
    out.push_str(&format!("  {}\n", capital(effect.words())));
    let mut table = vec![
        ["", "remedy", "who", "since", "ok before", "ok after"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for (n, one) in rows.iter().enumerate() {
        table.push(vec![
            format!("{}.", n + 1),
            one.name.clone(),
            who(one),
            one.since.clone(),
            all.before.to_string(),
            one.after.map(|score| score.to_string()).unwrap_or_default(),
        ]);
    }
    columns(out, 2, &table);
    for (n, one) in rows.iter().enumerate() {
        labelled(
            out,
            &format!("  {}. ", n + 1),
            &format!("{}. Costs: {}.{}", one.change, one.cost, stale(one)),
        );
        if let Some(why) = &one.why {
            labelled(out, "     ", why);
        }
    }
}

fn stale(one: &Remedy) -> String {
    one.stale
        .as_ref()
        .map(|why| format!(" {}.", capital(why)))
        .unwrap_or_default()
}

/// What does not help, with the reason; what cannot even be tried comes last.
fn idle(out: &mut String, all: &Remedies) {
    for effect in [
        Effect::Nothing,
        Effect::Harms,
        Effect::Absent,
        Effect::DoesNotApply,
    ] {
        let rows: Vec<&Remedy> = all
            .remedies
            .iter()
            .filter(|one| one.effect == effect)
            .collect();
        if rows.is_empty() {
            continue;
        }
        out.push_str(&format!("\n  {}\n", capital(effect.words())));
        for one in rows {
            let after = one
                .after
                .filter(|_| effect == Effect::Harms)
                .map(|score| format!(", {score} ok"));
            let why = one
                .why
                .as_deref()
                .unwrap_or("the same sockets are refused as before");
            let text = format!(
                "{} ({}): {why}{}.{}",
                one.name,
                who(one),
                after.unwrap_or_default(),
                stale(one)
            );
            labelled(out, "  - ", &text);
        }
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().collect::<String>() + chars.as_str())
        .unwrap_or_default()
}
