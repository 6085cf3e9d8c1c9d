//! JUnit XML: a suite for each scenario, a test for each case and engine.

use std::io;

use fourtuple_harness::{CaseReport, EngineRun, ScenarioReport};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::output::Output;

/// The report as it grows.
pub(crate) struct Suites {
    report: Report,
}

impl Suites {
    pub(crate) fn new() -> Self {
        Suites {
            report: Report::new("fourtuple"),
        }
    }

    /// Adds a scenario. No times: they would make equal runs differ.
    pub(crate) fn add(&mut self, scenario: &ScenarioReport) {
        let mut suite = TestSuite::new(&*scenario.name);
        for case in &scenario.cases {
            for run in &case.runs {
                suite.add_test_case(test(case, run));
            }
        }
        self.report.add_test_suite(suite);
    }

    /// Adds a snapshot and the problem with it, if there is one.
    pub(crate) fn compared(&mut self, name: &str, problem: &str) {
        let status = if problem.is_empty() {
            TestCaseStatus::success()
        } else {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message(problem.lines().next().unwrap_or_default());
            status.set_description(problem);
            status
        };
        let mut suite = TestSuite::new(name);
        suite.add_test_case(TestCase::new("snapshot", status));
        self.report.add_test_suite(suite);
    }

    pub(crate) fn write(self, out: &mut Output) -> io::Result<()> {
        self.report
            .serialize(out)
            .map_err(|error| io::Error::other(error.to_string()))
    }
}

fn test(case: &CaseReport, run: &EngineRun) -> TestCase {
    let point = fourtuple_harness::group::point(case);
    let point = if point.is_empty() {
        point
    } else {
        format!(" {point}")
    };
    match run {
        EngineRun::Cannot { engine, reason } => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(reason.as_str());
            TestCase::new(format!("{}{point} {engine}", case.case.kernel), status)
        }
        EngineRun::Ran(report) => {
            let mut wrong: Vec<String> = Vec::new();
            if case.judged().any(|judged| judged.engine == report.engine) {
                wrong.extend(report.expect_failed.iter().map(|unmet| unmet.text.clone()));
            }
            let differing = case
                .agreement
                .iter()
                .filter(|one| one.engine == report.engine && one.fails());
            wrong.extend(differing.map(|one| {
                fourtuple_harness::text::summary::agreement(one, case.reference(), report)
            }));
            let status = if wrong.is_empty() {
                TestCaseStatus::success()
            } else {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                status.set_message(wrong.join("; "));
                status
            };
            TestCase::new(
                format!("{}{point} {}", report.kernel, report.engine),
                status,
            )
        }
    }
}
