//! Exploration: exhaustive where it says so, the same for any number of threads, and every witness
//! repeats.

use std::path::{Path, PathBuf};

use fourtuple_analysis::explore::{Budget, Class, Coverage, Exploration, Often, explore, replay};
use fourtuple_harness::{Engine as _, Model, kernels, tally};
use fourtuple_kernel::profile;
use fourtuple_render::text::explore as text;
use fourtuple_scenario::{Case, KernelSelector, Op, expand, load, parse};

const BUDGET: Budget = Budget {
    states: 20_000,
    samples: 400,
    threads: 2,
};

fn report(range: &str, binders: u32, plain: u32, after: &str, kernel: &str) -> Case {
    let yaml = format!(
        r#"
about: The report, smaller
kernel: {kernel}
hosts:
  app: {{ addresses: [192.168.0.12], sysctl: {{ net.ipv4.ip_local_port_range: {range} }} }}
  api: {{ addresses: [192.168.0.4, 192.168.0.5], listen: ["192.168.0.4:3000", "192.168.0.5:3000"] }}
processes:
  binders: {{ on: app, count: {binders}, bind: "192.168.0.12:0", connect: "192.168.0.4:3000" }}
  plain: {{ on: app, {after} count: {plain}, connect: "192.168.0.5:3000" }}
"#
    );
    let scenario = parse("report.yaml", &yaml).expect("it reads");
    expand(&scenario, &kernels::names())
        .expect("the kernel exists")
        .remove(0)
}

fn explored(case: &Case, budget: Budget) -> Exploration {
    let profile = profile::find(&case.kernel).expect("the kernel exists");
    explore(case, &profile, budget, &mut |_| {}).expect("it can be explored")
}

fn class<'a>(all: &'a Exploration, process: &str, op: Op, answer: &str) -> &'a Class {
    let mut classes = all.classes.iter();
    let found =
        classes.find(|one| &*one.process == process && one.op == op && one.answer.word() == answer);
    found.unwrap_or_else(|| panic!("no {process} {op} {answer} in {:?}", all.classes))
}

fn assert_witnesses(case: &Case, all: &Exploration) {
    let profile = profile::find(&case.kernel).expect("the kernel exists");
    for outcome in &all.outcomes {
        let again = replay(case, &profile, outcome).expect("it can be repeated");
        assert!(
            again.same,
            "{} on {}: {:?}",
            case.scenario, case.kernel, outcome.counts
        );
        assert!(!again.attempts.is_empty());
    }
    let total: f64 = all.outcomes.iter().map(|outcome| outcome.share).sum();
    assert!((total - 1.0).abs() < 1e-6, "the shares add up to {total}");
}

#[test]
fn the_report_with_three_ports_and_two_and_two_is_exhaustive_and_says_so() {
    for kernel in ["rhel-6.5", "linux-4.4", "linux-6.12", "linux-6.18"] {
        let case = report("40000-40002", 2, 2, "", kernel);
        let all = explored(&case, BUDGET);
        assert!(
            matches!(all.coverage, Coverage::Exhaustive { states, .. } if states > 20),
            "{:?}",
            all.coverage
        );
        assert!(text::report(&all).contains("Exhaustive"));
        assert_witnesses(&case, &all);
        // The first program takes the ports: one kind of failure or the other occurs, never
        // neither.
        assert_eq!(
            class(&all, "plain", Op::Connect, "EADDRNOTAVAIL").often,
            Often::Sometimes
        );
        assert_eq!(
            class(&all, "binders", Op::Bind, "EADDRINUSE").often,
            Often::Sometimes
        );
        assert_eq!(
            class(&all, "binders", Op::Connect, "EADDRNOTAVAIL").often,
            Often::Never
        );
    }
}

#[test]
fn once_the_binders_hold_all_ports_the_failure_comes_always() {
    for kernel in ["rhel-6.5", "linux-6.18"] {
        let case = report("40000-40003", 4, 4, "after: binders,", kernel);
        let all = explored(&case, BUDGET);
        assert_eq!(all.outcomes.len(), 1);
        assert_eq!(
            class(&all, "plain", Op::Connect, "EADDRNOTAVAIL").often,
            Often::Always
        );
        assert_eq!(class(&all, "plain", Op::Connect, "ok").often, Often::Never);
        assert_witnesses(&case, &all);
    }
}

#[test]
fn threads_change_nothing() {
    let case = report("40000-40003", 3, 3, "", "linux-6.18");
    for states in [20_000, 10] {
        let with = |threads| {
            let all = explored(
                &case,
                Budget {
                    states,
                    threads,
                    ..BUDGET
                },
            );
            serde_json::to_string(&all).expect("JSON")
        };
        assert_eq!(with(1), with(2));
        assert_eq!(with(1), with(7));
    }
}

/// States that count as equal must not lose or invent outcomes: seeded runs, which know nothing of
/// equal states, find the same ones about as often.
#[test]
fn samples_agree_with_the_exhaustive_search() {
    let closing = r#"
about: Pairs of connections that are closed, twice, on two addresses in turn
kernel: linux-6.18
hosts:
  app: { addresses: [192.168.0.12, 192.168.0.13], sysctl: { net.ipv4.ip_local_port_range: 40000-40002 } }
  api: { addresses: [192.168.0.4], listen: ["192.168.0.4:3000"] }
processes:
  short: { on: app, count: 2, connections: 2, connect: "192.168.0.4:3000", hold: 1s, close: reset, repeat: 2 }
  bound: { on: app, count: 2, start: 1s, bind: ["192.168.0.12:0", "192.168.0.13:0"], connect: "192.168.0.4:3000", hold: 1s }
"#;
    let closing = parse("closing.yaml", closing).expect("it reads");
    let closing = expand(&closing, &kernels::names())
        .expect("the kernel exists")
        .remove(0);
    for case in [
        report("40000-40003", 2, 3, "", "linux-6.18"),
        report("40000-40002", 2, 2, "", "rhel-6.5"),
        closing,
    ] {
        let exact = explored(
            &case,
            Budget {
                states: 200_000,
                ..BUDGET
            },
        );
        assert!(
            matches!(exact.coverage, Coverage::Exhaustive { .. }),
            "{}: {:?}",
            case.scenario,
            exact.coverage
        );
        let sampled = explored(
            &case,
            Budget {
                states: 1,
                samples: 3000,
                threads: 2,
            },
        );
        assert!(matches!(
            sampled.coverage,
            Coverage::Sampled { runs: 3000, .. }
        ));
        assert!(text::report(&sampled).contains("not exhaustive"));
        for outcome in &sampled.outcomes {
            assert!(
                exact
                    .outcomes
                    .iter()
                    .any(|one| one.counts == outcome.counts),
                "{:?}",
                outcome.counts
            );
        }
        for outcome in &exact.outcomes {
            let share = sampled
                .outcomes
                .iter()
                .find(|one| one.counts == outcome.counts)
                .map_or(0.0, |one| one.share);
            assert!(
                (share - outcome.share).abs() < 0.05,
                "{} / {share}: {:?}",
                outcome.share,
                outcome.counts
            );
        }
        assert_witnesses(&case, &exact);
        assert_witnesses(&case, &sampled);
    }
}

fn corpus() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios/rhel-6.5");
    let mut files: Vec<PathBuf> = std::fs::read_dir(root)
        .expect("the corpus is there")
        .map(|entry| entry.expect("a file").path())
        .filter(|path| !path.ends_with("full-size.yaml"))
        .collect();
    files.sort();
    files
}

/// The outcome of `run` is among the explored ones.
#[test]
fn the_models_own_run_is_among_the_outcomes() {
    for path in corpus() {
        let mut scenario = load(&path).expect("it reads");
        scenario.kernel = KernelSelector::of(["linux-2.6.32", "rhel-6.5", "linux-6.18"]);
        for case in expand(&scenario, &kernels::names()).expect("the kernels exist") {
            let all = explored(&case, BUDGET);
            if !matches!(all.coverage, Coverage::Exhaustive { .. }) {
                continue;
            }
            let profile = profile::find(&case.kernel).expect("the kernel exists");
            let run = Model.run(&case, &profile).expect("the model runs it");
            let tallies = tally(&run.attempts);
            let fits = all.outcomes.iter().any(|outcome| {
                let answers = tallies
                    .iter()
                    .flat_map(|tally| tally.answers.iter().map(move |answer| (tally, answer)));
                let same = answers.clone().all(|(tally, (answer, times))| {
                    outcome.counts.iter().any(|count| {
                        count.process == tally.process
                            && count.op == tally.op
                            && count.answer == *answer
                            && count.times == *times
                    })
                });
                same && answers.count() == outcome.counts.len()
            });
            assert!(
                fits,
                "{} on {}: {tallies:?} is none of {:?}",
                case.scenario, case.kernel, all.outcomes
            );
            assert_witnesses(&case, &all);
        }
    }
}

#[test]
fn equal_ports_and_instances_are_explored_once() {
    // One socket more than there are ports: the one that comes last has none, whichever it is.
    let case = report("40000-40019", 10, 11, "", "linux-6.18");
    let all = explored(&case, BUDGET);
    assert!(
        matches!(all.coverage, Coverage::Exhaustive { states, symmetric: true } if states < 5_000),
        "{:?}",
        all.coverage
    );
    let refused = class(&all, "plain", Op::Connect, "EADDRNOTAVAIL");
    assert_eq!((refused.often, refused.fewest), (Often::Sometimes, 0));
    assert_eq!(
        class(&all, "binders", Op::Bind, "EADDRINUSE").often,
        Often::Sometimes
    );
    // Twenty sockets fit on twenty ports in every order.
    let fits = explored(&report("40000-40019", 10, 10, "", "linux-6.18"), BUDGET);
    assert_eq!(
        class(&fits, "plain", Op::Connect, "EADDRNOTAVAIL").often,
        Often::Never
    );
}

fn written(yaml: &str) -> Case {
    let scenario = parse("written.yaml", yaml).expect("it reads");
    expand(&scenario, &kernels::names())
        .expect("the kernel exists")
        .remove(0)
}

#[test]
fn searches_go_on_from_where_the_last_one_ended() {
    // A global hint moves on by two for each search: one port after the other of a parity. Cells of
    // newer kernels move on by two to sixteen, so that a port comes every other time at most.
    for (kernel, least, most) in [("linux-4.18", 6, 6), ("linux-6.18", 0, 30)] {
        let case = written(&format!(
            r#"
about: A program tries a local port without a listener
kernel: {kernel}
hosts: {{ h: {{ sysctl: {{ net.ipv4.ip_local_port_range: 40000-40019 }} }} }}
processes: {{ loop: {{ connections: 60, every: 100ms, connect: "127.0.0.1:40006", hold: 1ms, close: reset }} }}
"#
        ));
        let all = explored(&case, BUDGET);
        let exhaustive = matches!(
            all.coverage,
            Coverage::Exhaustive {
                symmetric: false,
                ..
            }
        );
        // Cells of newer kernels have too many starts to explore them all.
        assert_eq!(exhaustive, least == most, "{kernel}: {:?}", all.coverage);
        let itself = class(&all, "loop", Op::Connect, "ok");
        assert!(
            least <= itself.fewest && itself.most <= most,
            "{kernel}: {itself:?}"
        );
        if least == most {
            assert_eq!(itself.fewest, least);
        }
        assert_witnesses(&case, &all);
    }
}

#[test]
fn the_phase_of_the_time_wait_timer_is_a_choice() {
    for (after, often) in [
        ("59s", Often::Never),
        ("61s", Often::Sometimes),
        ("63s", Often::Always),
    ] {
        let case = written(&format!(
            r#"
about: A server binds again when its TIME-WAIT has just ended
kernel: linux-6.18
hosts: {{ h: {{ addresses: [10.0.0.3], sysctl: {{ net.ipv4.ip_local_port_range: 40000-40003 }} }} }}
processes:
  old: {{ listen: "10.0.0.3:9000", hold: 1s }}
  user: {{ start: 100ms, connect: "10.0.0.3:9000", hold: 0s, close: server }}
  new: {{ start: {after}, listen: "10.0.0.3:9000" }}
"#
        ));
        let all = explored(&case, BUDGET);
        assert!(matches!(all.coverage, Coverage::Exhaustive { .. }));
        assert_eq!(class(&all, "new", Op::Bind, "ok").often, often, "{after}");
        assert_witnesses(&case, &all);
    }
}
