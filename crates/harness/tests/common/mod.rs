//! Runs scenarios that are written in tests.

use fourtuple_harness::{Attempt, Engine as _, Model, RunReport, kernels};
use fourtuple_kernel::profile;
use fourtuple_scenario::{Case, expand, parse};

/// One host `app` that calls, one host `api` that listens; processes or steps follow.
const HOSTS: &str = "
about: a scenario of the tests
kernel: linux-6.18
hosts:
  app: { addresses: [10.0.0.1, 10.0.0.2], sysctl: { net.ipv4.ip_local_port_range: 40000-40007 } }
  api: { addresses: [10.0.1.1, 10.0.1.2], listen: [10.0.1.1:80, 10.0.1.2:80] }
";

/// The case of a scenario with the hosts above.
pub(crate) fn case(rest: &str) -> Case {
    whole_case(&text(rest))
}

/// The text of a scenario with the hosts above.
pub(crate) fn text(rest: &str) -> String {
    format!("{HOSTS}{rest}")
}

/// The case of a whole scenario.
pub(crate) fn whole_case(text: &str) -> Case {
    let scenario = parse("test.yaml", text).unwrap_or_else(|errors| panic!("{errors}"));
    let cases = expand(&scenario, &kernels::names()).unwrap_or_else(|errors| panic!("{errors}"));
    cases.into_iter().next().expect("a case")
}

/// Runs it on the model.
pub(crate) fn report(case: &Case) -> RunReport {
    let profile = profile::find(&case.kernel).expect("a kernel");
    Model
        .run(case, &profile)
        .unwrap_or_else(|cannot| panic!("{cannot}"))
}

/// The attempts in words, without ports: `1.5s a.1 connect ok`.
pub(crate) fn story(rest: &str) -> Vec<String> {
    report(&case(rest)).attempts.iter().map(line).collect()
}

fn line(attempt: Attempt<'_>) -> String {
    let ms = attempt.at_ns() / 1_000_000;
    assert_eq!(
        attempt.at_ns() % 1_000_000,
        0,
        "the tests use whole milliseconds"
    );
    format!(
        "{ms} {} {} {}",
        attempt.socket(),
        attempt.op(),
        attempt.result()
    )
}
