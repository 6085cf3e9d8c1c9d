//! Expansion of a scenario to its cases: one for each kernel and each point of the matrix.

use std::sync::Arc;

use indexmap::IndexMap;

use crate::diagnostic::{Diagnostic, Errors};
use crate::kernels::{Chosen, KernelNames, Unknown};
use crate::limits::{MAX_CASES, MAX_EXPANDED_VALUES};
use crate::model::{Body, Case, ExpectBlock, Host, Point, Program, Scenario};
use crate::span::Span;
use crate::yaml::{Node, Value};

/// Returns the cases of a scenario: for each kernel in the order of the file, each point of the
/// matrix.
///
/// # Errors
///
/// Kernel names that `kernels` does not contain, and scenarios with too many cases.
pub fn expand(scenario: &Scenario, kernels: &KernelNames) -> Result<Vec<Case>, Errors> {
    let names = checked(scenario, kernels)?;
    let points: Vec<Shared<'_>> = (scenario.points.iter())
        .map(|point| Shared::of(point, kernels))
        .collect();
    let mut cases = Vec::with_capacity(names.len() * points.len());
    for kernel in &names {
        for point in &points {
            cases.push(case(scenario, kernels, kernel, point));
        }
    }
    Ok(cases)
}

/// Checks that a scenario can be expanded, for callers that run it on other kernels than its own.
///
/// # Errors
///
///
/// As [`expand`].
pub fn expandable(scenario: &Scenario, kernels: &KernelNames) -> Result<(), Errors> {
    checked(scenario, kernels).map(|_| ())
}

/// Selects the kernels of a scenario after checking all its kernel names and limits.
fn checked(scenario: &Scenario, kernels: &KernelNames) -> Result<Vec<String>, Errors> {
    let mut problems = Problems {
        scenario,
        list: Vec::new(),
    };
    let names = match kernels.select(&scenario.kernel) {
        Ok(names) => names,
        Err(unknown) => {
            problems.unknown(unknown);
            Vec::new()
        }
    };
    check_hosts(scenario, kernels, &mut problems);
    check_size(scenario, names.len(), &mut problems);
    check_expect(scenario, kernels, &mut problems);
    problems.finish()?;
    Ok(names)
}

/// A point of the matrix, with the parts that its cases on all kernels share.
struct Shared<'a> {
    body: &'a Body,
    axes: Arc<IndexMap<String, String>>,
    hosts: Arc<IndexMap<String, Host>>,
    program: Arc<Program>,
    /// For each block of expectations, the kernels that it applies to; `None` for all.
    expect: Vec<(&'a ExpectBlock, Option<Chosen>)>,
}

impl<'a> Shared<'a> {
    fn of(point: &'a Point, kernels: &KernelNames) -> Self {
        let chosen = |block: &'a ExpectBlock| {
            let selector = block.kernel.as_ref();
            // Cannot fail: `checked` has looked all names up.
            let chosen = selector.map(|one| kernels.chosen(one).unwrap_or_default());
            (block, chosen)
        };
        Shared {
            body: &point.body,
            axes: Arc::new(point.axes.clone()),
            hosts: Arc::new(point.body.hosts.clone()),
            program: Arc::new(point.body.program.clone()),
            expect: point.body.expect.iter().map(chosen).collect(),
        }
    }
}

fn case(scenario: &Scenario, kernels: &KernelNames, kernel: &str, point: &Shared<'_>) -> Case {
    let body = point.body;
    let applies = |(_, chosen): &&(&ExpectBlock, Option<Chosen>)| {
        (chosen.as_ref()).is_none_or(|chosen| kernels.is_among(chosen, kernel))
    };
    let checks = point.expect.iter().filter(applies);
    let checks = checks.flat_map(|(block, _)| block.checks.iter().cloned());
    Case {
        scenario: scenario.name.clone(),
        file: scenario.file.clone(),
        about: scenario.about.clone(),
        kernel: kernel.to_owned(),
        axes: Arc::clone(&point.axes),
        seed: body.seed,
        time_wait: body.time_wait,
        network: body.network.clone(),
        hosts: Arc::clone(&point.hosts),
        program: Arc::clone(&point.program),
        expect: checks.collect(),
    }
}

struct Problems<'a> {
    scenario: &'a Scenario,
    list: Vec<Diagnostic>,
}

impl Problems<'_> {
    fn at(&mut self, span: Span, message: String, expected: &str, help: String) {
        let made = Diagnostic::at(&self.scenario.text, span, message, expected).with_help(help);
        if !self.list.contains(&made) {
            self.list.push(made);
        }
    }

    fn unknown(&mut self, unknown: Vec<Unknown>) {
        for one in unknown {
            self.at(one.span, one.message, "expected a known kernel", one.help);
        }
    }

    fn finish(mut self) -> Result<(), Errors> {
        let place = |one: &Diagnostic| one.place.as_ref().map(|place| (place.line, place.column));
        self.list.sort_by_key(place);
        Errors::check(self.list, 0)
    }
}

fn check_hosts(scenario: &Scenario, kernels: &KernelNames, problems: &mut Problems<'_>) {
    for host in scenario
        .points
        .iter()
        .flat_map(|point| point.body.hosts.values())
    {
        if let Some(kernel) = &host.kernel
            && !kernels.contains(&kernel.value)
        {
            let selector = crate::model::KernelSelector {
                patterns: vec![crate::span::Spanned::new(
                    crate::model::KernelPattern::One(kernel.value.clone()),
                    kernel.span,
                )],
            };
            problems.unknown(kernels.select(&selector).err().unwrap_or_default());
        }
    }
}

fn check_expect(scenario: &Scenario, kernels: &KernelNames, problems: &mut Problems<'_>) {
    for block in scenario.points.iter().flat_map(|point| &point.body.expect) {
        if let Some(selector) = &block.kernel {
            problems.unknown(kernels.select(selector).err().unwrap_or_default());
        }
    }
}

fn check_size(scenario: &Scenario, kernels: usize, problems: &mut Problems<'_>) {
    let cases = kernels.saturating_mul(scenario.points.len());
    let span = scenario
        .kernel
        .patterns
        .first()
        .map(|one| one.span)
        .unwrap_or_default();
    if cases > MAX_CASES {
        let message = format!(
            "{cases} cases: {kernels} kernels times {} matrix points",
            scenario.points.len()
        );
        problems.at(
            span,
            message,
            "",
            format!("the limit is {MAX_CASES} cases; name fewer kernels or values"),
        );
        return;
    }
    let template = Node {
        span: Span::default(),
        value: Value::Map(scenario.written.clone()),
    };
    if template.weight().saturating_mul(cases) > MAX_EXPANDED_VALUES {
        let message = format!("more than {MAX_EXPANDED_VALUES} values in all {cases} cases");
        problems.at(
            span,
            message,
            "",
            "name fewer kernels, or split the scenario".to_owned(),
        );
    }
}
