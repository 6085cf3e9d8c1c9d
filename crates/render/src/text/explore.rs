//! The text of an exploration.

use fourtuple_analysis::explore::{Coverage, Exploration, Often, Outcome, Replay};

use super::{columns, labelled, seconds};

/// Outcomes that are listed; the others are counted.
const SHOWN: usize = 20;

/// The answers by kind of call, and the outcomes.
#[must_use]
pub fn report(all: &Exploration) -> String {
    let point = if all.point.is_empty() {
        String::new()
    } else {
        format!(" with {}", all.point.join(" "))
    };
    let mut out = format!("{} on {}{point}\n", all.scenario, all.kernel);
    labelled(&mut out, "  ", &all.about);
    labelled(&mut out, "  ", &coverage(all));
    out.push('\n');
    let mut rows = vec![
        [
            "process",
            "call",
            "answer",
            "comes",
            "in runs",
            "times in a run",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    let (never, classes): (Vec<_>, Vec<_>) = all
        .classes
        .iter()
        .partition(|class| class.often == Often::Never);
    for class in classes {
        let often = match class.often {
            Often::Always => "always",
            Often::Sometimes => "sometimes",
            Often::Never => "never",
        };
        let times = if class.fewest == class.most {
            class.most.to_string()
        } else {
            format!("{} to {}", class.fewest, class.most)
        };
        rows.push(vec![
            class.process.to_string(),
            class.op.to_string(),
            class.answer.to_string(),
            often.to_owned(),
            share(all, class.share),
            times,
        ]);
    }
    columns(&mut out, 2, &rows);
    if !never.is_empty() {
        let never: Vec<String> = never
            .iter()
            .map(|class| format!("{} {} {}", class.process, class.op, class.answer))
            .collect();
        labelled(&mut out, "  never: ", &never.join(", "));
    }
    out.push('\n');
    let n = all.outcomes.len();
    labelled(
        &mut out,
        "  ",
        &format!(
            "{n} outcome{}, each with a witness (--witness N):",
            if n == 1 { "" } else { "s" }
        ),
    );
    for (n, outcome) in all.outcomes.iter().take(SHOWN).enumerate() {
        labelled(
            &mut out,
            &format!("  {:>2}. {:>7}  ", n + 1, share(all, outcome.share)),
            &words(outcome),
        );
    }
    if n > SHOWN {
        labelled(&mut out, "      ", &format!("and {} rarer ones", n - SHOWN));
    }
    out
}

fn coverage(all: &Exploration) -> String {
    let orders = if all.fixed_order {
        "the order of the steps is fixed"
    } else {
        "every order of calls at one instant"
    };
    match all.coverage {
        Coverage::Exhaustive { states, symmetric } => {
            let shares = if symmetric {
                "Ports and instances in equal states are explored once, so that shares are estimates; what comes always, sometimes and never is exact."
            } else {
                "Shares count every next call and every choice as equally likely."
            };
            let what = if all.fixed_order { "runs" } else { "states" };
            format!("Exhaustive: {orders}, every choice of a port; {states} {what}. {shares}")
        }
        Coverage::Sampled { runs, budget } => format!(
            "Sampled, not exhaustive: there are too many states for the budget of {budget}; {runs} seeded runs, intervals with 95 % confidence. An outcome that is not listed may still happen."
        ),
    }
}

/// A share in percent, with its confidence interval where it was sampled.
fn share(all: &Exploration, share: f64) -> String {
    match all.coverage {
        Coverage::Sampled { runs, .. } => {
            let (low, high) = interval(share, runs);
            format!(
                "{} ({:.1} to {:.1})",
                percent(share),
                low * 100.0,
                high * 100.0
            )
        }
        Coverage::Exhaustive {
            symmetric: true, ..
        } if share > 0.0 && share < 1.0 => {
            format!("about {}", percent(share))
        }
        Coverage::Exhaustive { .. } => percent(share),
    }
}

/// The interval in which a share lies with 95 % confidence (Wilson's).
fn interval(share: f64, runs: usize) -> (f64, f64) {
    const Z: f64 = 1.96;
    let n = runs.max(1) as f64;
    let scale = 1.0 + Z * Z / n;
    let middle = (share + Z * Z / (2.0 * n)) / scale;
    let half = Z / scale * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    ((middle - half).max(0.0), (middle + half).min(1.0))
}

/// A share in percent; what is neither nothing nor everything never looks like it.
fn percent(share: f64) -> String {
    let shown = format!("{:.1} %", share * 100.0);
    match shown.as_str() {
        "0.0 %" if share > 0.0 => "<0.1 %".to_owned(),
        "100.0 %" if share < 1.0 - 1e-9 => ">99.9 %".to_owned(),
        "100.0 %" => "100 %".to_owned(),
        "0.0 %" => "0 %".to_owned(),
        _ => shown,
    }
}

/// `binders bind 2 ok, connect 2 ok; plain connect 2 EADDRNOTAVAIL`.
fn words(outcome: &Outcome) -> String {
    let mut out = String::new();
    for (n, count) in outcome.counts.iter().enumerate() {
        let before = n.checked_sub(1).map(|before| &outcome.counts[before]);
        let same_process = before.is_some_and(|before| before.process == count.process);
        let same_call = same_process && before.is_some_and(|before| before.op == count.op);
        if n > 0 {
            out.push_str(if same_process { ", " } else { "; " });
        }
        if !same_process {
            out.push_str(&format!("{} ", count.process));
        }
        if !same_call {
            out.push_str(&format!("{} ", count.op));
        }
        out.push_str(&format!("{} {}", count.times, count.answer));
    }
    out
}

/// A course of events, call by call.
#[must_use]
pub fn witness(all: &Exploration, n: usize, outcome: &Outcome, replay: &Replay) -> String {
    let mut out = format!(
        "{} on {}, outcome {n} of {}\n",
        all.scenario,
        all.kernel,
        all.outcomes.len()
    );
    labelled(
        &mut out,
        "  ",
        &format!("{}: {}", percent(outcome.share), words(outcome)),
    );
    out.push('\n');
    let mut rows = vec![
        ["", "at", "call", "answer", "because"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for attempt in &replay.attempts {
        let why = attempt.why().map(|why| why.rule.name()).unwrap_or_default();
        rows.push(vec![
            format!("{}.", attempt.n()),
            seconds(attempt.at_ns()),
            attempt.call(),
            attempt.answer(),
            why.to_owned(),
        ]);
    }
    columns(&mut out, 2, &rows);
    let verdict = if replay.same {
        "Repeated: it came to the same outcome."
    } else {
        "Repeated: it did NOT come to the same outcome."
    };
    labelled(&mut out, "  ", verdict);
    out
}
