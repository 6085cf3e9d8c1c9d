//! JUnit XML: a suite for each scenario, a test for each case and engine.

use std::io::{self, Write};

use fourtuple_harness::{Assessment, CaseReport, EngineRun, ScenarioReport, ScenarioVerdict};

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::text;

/// The report under construction.
pub struct Suites {
    report: Report,
}

impl Default for Suites {
    fn default() -> Self {
        Suites {
            report: Report::new("fourtuple"),
        }
    }
}

impl Suites {
    /// Adds a scenario. Times are omitted, as they would make equal runs differ.
    pub fn add(&mut self, scenario: &ScenarioReport) {
        let mut suite = TestSuite::new(&*scenario.name);
        let assessment = Assessment::of(scenario);
        // Without an expectation a run neither passes nor fails.
        let neutral = (assessment.verdict == ScenarioVerdict::NothingExpected)
            .then(|| format!("nothing is expected: {}", assessment.counts()));
        for case in &scenario.cases {
            for run in &case.runs {
                let mut test = test(case, run, neutral.as_deref());
                test.set_classname(&*scenario.name);
                test.extra.insert("file".into(), (&*scenario.file).into());
                suite.add_test_case(test);
            }
        }
        self.report.add_test_suite(suite);
    }

    /// Adds a snapshot and the problem with it, if there is one.
    pub fn compared(&mut self, name: &str, problem: &str) {
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

    /// Writes the report.
    ///
    /// # Errors
    /// When writing the output fails.
    pub fn write(self, out: &mut impl Write) -> io::Result<()> {
        // The serialiser hides the kind of its output's error.
        let mut text = Vec::new();
        self.report.serialize(&mut text).map_err(io::Error::other)?;
        out.write_all(&text)
    }
}

fn test(case: &CaseReport, run: &EngineRun, neutral: Option<&str>) -> TestCase {
    let point = case.point();
    let point = if point.is_empty() {
        point
    } else {
        format!(" {point}")
    };
    match run {
        EngineRun::NotRun { engine, reason } => {
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
            wrong.extend(
                differing.map(|one| text::summary::agreement(one, case.reference(), report)),
            );
            let status = match neutral {
                _ if !wrong.is_empty() => {
                    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                    status.set_message(wrong.join("; "));
                    status
                }
                Some(words) => {
                    let mut status = TestCaseStatus::skipped();
                    status.set_message(words);
                    status
                }
                None => TestCaseStatus::success(),
            };
            TestCase::new(
                format!("{}{point} {}", report.kernel, report.engine),
                status,
            )
        }
    }
}
