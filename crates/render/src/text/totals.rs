//! Sums over all scenarios of a run, as `run` ends with.

use std::collections::BTreeMap;

use fourtuple_harness::{
    Agreement, Assessment, EngineRun, LeftOut, ScenarioReport, ScenarioVerdict, counts,
};

use super::{Style, Text};

/// Maximum number of reasons for omitted cases in the summary.
const REASONS: usize = 5;

/// Sums over scenarios.
#[derive(Debug, Default)]
pub struct Totals {
    scenarios: usize,
    runs: usize,
    failed: usize,
    as_expected: usize,
    incomplete: usize,
    nothing_expected: usize,
    /// Calls of the scenarios that expect nothing.
    ok: usize,
    refused: usize,
    /// Scenarios in which engines that must agree differ.
    differing: usize,
    compared: bool,
    /// Number of runs of each selected engine.
    by_engine: BTreeMap<&'static str, usize>,
    left_out: Vec<LeftOut>,
    /// The first scenario whose refused calls are worth an explanation.
    unexplained: Option<String>,
}

impl Totals {
    /// The sums of one scenario.
    #[must_use]
    pub fn of(report: &ScenarioReport, assessment: &Assessment) -> Self {
        let mut totals = Totals {
            scenarios: 1,
            runs: assessment.runs,
            left_out: assessment.left_out.clone(),
            ..Totals::default()
        };
        match assessment.verdict {
            ScenarioVerdict::Failed => totals.failed = 1,
            ScenarioVerdict::AsExpected => totals.as_expected = 1,
            ScenarioVerdict::Incomplete => totals.incomplete = 1,
            ScenarioVerdict::NothingExpected => {
                totals.nothing_expected = 1;
                totals.ok = assessment.ok;
                totals.refused = assessment.refused;
            }
        }
        let is_open = assessment.verdict != ScenarioVerdict::AsExpected;
        if is_open && assessment.refused > 0 {
            totals.unexplained = Some(report.file.to_string());
        }
        let agreement = || report.cases.iter().flat_map(|case| &case.agreement);
        totals.differing = usize::from(agreement().any(Agreement::fails));
        totals.compared = agreement().any(|one| one.required);
        for run in report.cases.iter().flat_map(|case| &case.runs) {
            let (engine, ran) = match run {
                EngineRun::Ran(report) => (report.engine, 1),
                EngineRun::NotRun { engine, .. } => (*engine, 0),
            };
            *totals.by_engine.entry(engine).or_default() += ran;
        }
        totals
    }

    /// Adds the sums of other scenarios.
    pub fn add(&mut self, other: Totals) {
        self.scenarios += other.scenarios;
        self.runs += other.runs;
        self.failed += other.failed;
        self.as_expected += other.as_expected;
        self.incomplete += other.incomplete;
        self.nothing_expected += other.nothing_expected;
        self.ok += other.ok;
        self.refused += other.refused;
        self.differing += other.differing;
        self.compared |= other.compared;
        for (engine, runs) in other.by_engine {
            *self.by_engine.entry(engine).or_default() += runs;
        }
        for one in other.left_out {
            let same =
                |known: &&mut LeftOut| known.engine == one.engine && known.reason == one.reason;
            match self.left_out.iter_mut().find(same) {
                Some(known) => known.cases += one.cases,
                None => self.left_out.push(one),
            }
        }
        self.unexplained = self.unexplained.take().or(other.unexplained);
    }

    /// The verdict in one line.
    #[must_use]
    pub fn line(&self) -> String {
        let s = |n: usize| if n == 1 { "" } else { "s" };
        let (scenarios, runs) = (self.scenarios, self.runs);
        let mut parts: Vec<String> = Vec::new();
        if self.failed > 0 {
            parts.push(format!("{} NOT AS EXPECTED", self.failed));
        }
        if self.differing > 0 {
            parts.push(format!("engines DIFFER in {}", self.differing));
        }
        if self.as_expected == scenarios && scenarios > 0 {
            parts.push("all as expected".to_owned());
        } else if self.as_expected > 0 {
            parts.push(format!("{} as expected", self.as_expected));
        }
        if self.incomplete > 0 {
            parts.push(format!("{} not run in full", self.incomplete));
        }
        if self.nothing_expected > 0 {
            let counts = counts(self.ok, self.refused);
            parts.push(match self.nothing_expected == scenarios {
                true => format!("nothing expected, {counts}"),
                false => format!("{} expect nothing ({counts})", self.nothing_expected),
            });
        }
        if self.compared && self.differing == 0 {
            parts.push("engines agree".to_owned());
        }
        if parts.is_empty() {
            parts.push("nothing to run".to_owned());
        }
        format!(
            "{scenarios} scenario{}, {runs} run{}: {}",
            s(scenarios),
            s(runs),
            parts.join(", ")
        )
    }

    /// The summary for people: omitted cases, the verdict, and the next step.
    #[must_use]
    pub fn summary(&self) -> Text {
        let mut out = Text::default();
        for one in self.left_out.iter().take(REASONS) {
            let s = if one.cases == 1 { "" } else { "s" };
            let line = format!(
                "{} left out {} case{s}: {}",
                one.engine, one.cases, one.reason
            );
            out.labelled((None, ""), Some(Style::Faint), &line);
        }
        if let Some(more) = self.left_out.len().checked_sub(REASONS + 1) {
            let line = format!("and more for {} other reasons\n", more + 1);
            out.styled(Style::Faint, &line);
        }
        let style = match self {
            Totals { failed: 1.., .. } => Style::Bad,
            Totals {
                incomplete: 0,
                nothing_expected: 0,
                ..
            } => Style::Good,
            _ => Style::Heading,
        };
        out.styled(style, &self.line());
        out.push("\n");
        if let Some(file) = &self.unexplained {
            out.push(&format!(
                "help: fourtuple explain {0}   (why)\nhelp: fourtuple remedies {0}   (possible fixes)\n",
                quoted(file)
            ));
        }
        out
    }

    /// Returns whether no scenario failed.
    #[must_use]
    pub fn none_failed(&self) -> bool {
        self.failed == 0
    }

    /// An engine that ran nothing although it was selected by name, or because nothing ran at all;
    /// with the reason.
    #[must_use]
    pub fn idle_engine(&self, named: &[String]) -> Option<(&'static str, &str)> {
        let mut idle = self.by_engine.iter().filter(|(_, runs)| **runs == 0);
        let (engine, _) =
            idle.find(|(engine, _)| self.runs == 0 || named.iter().any(|name| name == *engine))?;
        let reason = self.left_out.iter().find(|one| one.engine == *engine);
        Some((engine, reason.map_or("no case", |one| one.reason.as_str())))
    }
}

/// Quotes a path for a shell.
fn quoted(path: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:,@%".contains(c);
    match path.chars().all(is_plain) {
        true => path.to_owned(),
        false => format!("'{}'", path.replace('\'', r"'\''")),
    }
}
