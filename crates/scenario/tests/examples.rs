//! Decoding of example scenarios, their expansion, and encoding them again.

use std::path::Path;
use std::time::Duration;

use fourtuple_scenario::{
    Answer, Case, Close, Expected, Family, Hold, KernelNames, Op, PortRange, Program, Scenario,
    SockOpt, Step, discover, expand, load, parse,
};

fn example(name: &str) -> Scenario {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/examples/{name}.yaml"));
    load(&path).unwrap_or_else(|errors| panic!("{errors}"))
}

fn kernels() -> KernelNames {
    KernelNames::new([
        ("linux-2.6.32", &[][..]),
        ("linux-3.10", &["rhel-6.5", "rhel-7.0"]),
        ("linux-4.2", &["linux-4.4"]),
        ("linux-6.1", &["debian-12"]),
        ("linux-6.18", &["linux-6.17.13"]),
    ])
}

fn cases(name: &str) -> Vec<Case> {
    expand(&example(name), &kernels()).unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn the_declarative_example_is_decoded() {
    let cases = cases("connect-after-bind");
    let names: Vec<&str> = cases.iter().map(|case| case.kernel.as_str()).collect();
    assert_eq!(names, ["rhel-6.5", "linux-6.18"]);
    let case = &cases[0];
    assert_eq!(case.scenario, "connect-after-bind");
    assert_eq!(case.seed, 1);
    assert_eq!(case.time_wait, None);
    assert!(case.network.is_ideal());
    assert_eq!(
        case.hosts["app"].sysctl["net.ipv4.ip_local_port_range"],
        "40000 40003"
    );
    let processes = case.program.processes().expect("the declarative form");
    assert_eq!(processes["binders"].count, 4);
    assert_eq!(
        processes["binders"].bind_of(3, 0),
        "192.168.0.12:0".parse().ok()
    );
    assert_eq!(processes["binders"].hold, Hold::Forever);
    assert_eq!(processes["plain"].bind_of(0, 0), None);
    assert_eq!(
        processes["plain"].connect_of(3, 0),
        "192.168.0.5:3000".parse().ok()
    );
    assert_eq!(processes["plain"].after, ["binders"]);
    assert_eq!(processes["plain"].close, Close::Client);
}

#[test]
fn the_step_example_is_decoded() {
    let cases = cases("steps");
    let Program::Steps(steps) = &*cases[0].program else {
        panic!("the step form");
    };
    // 15 steps of the file and the implicit `socket` step of `b`.
    assert_eq!(steps.len(), 16);
    let Step::Socket(made) = &steps[8].value else {
        panic!("a socket before its first use");
    };
    assert_eq!(
        (made.socket.as_str(), made.implicit, made.family),
        ("b", true, Family::Inet)
    );
    // The steps name `server` and `client`, so sockets without `by` belong to neither.
    assert_eq!(
        (made.by.as_str(), made.on.as_str(), made.uid),
        ("main", "h", 0)
    );
    let Step::Bind(bind) = &steps[9].value else {
        panic!("the bind");
    };
    assert_eq!(bind.at.variable(), Some("p"));
    assert_eq!(
        bind.at.resolve(|_| Some(40001)),
        "127.0.0.2:40001".parse().ok()
    );
    assert_eq!(
        bind.expect,
        [Answer::from_name("EADDRINUSE").expect("an errno")]
    );
    assert_eq!(steps[9].line(), Some(13));
    assert_eq!(steps[13].op(), None);
    let Step::Sleep(sleep) = &steps[13].value else {
        panic!("the sleep");
    };
    assert_eq!(sleep.sleep, Duration::from_secs(60));
    assert_eq!(
        steps[15].expect(),
        [
            Answer::OK,
            Answer::from_name("EADDRNOTAVAIL").expect("an errno")
        ]
    );
}

#[test]
fn every_declared_field_is_read() {
    let cases = cases("everything-declared");
    // 5 kernels (rhel-6.5, linux-4.2 and 6.1, linux-2.6.32 and 3.10) and 2 x 2 x 2 points.
    assert_eq!(cases.len(), 5 * 8);
    let kernels: Vec<&str> = cases
        .iter()
        .step_by(8)
        .map(|case| case.kernel.as_str())
        .collect();
    assert_eq!(
        kernels,
        [
            "rhel-6.5",
            "linux-4.2",
            "linux-6.1",
            "linux-2.6.32",
            "linux-3.10"
        ]
    );
    let axes: Vec<String> = cases[..3]
        .iter()
        .map(|case| case.axes.values().cloned().collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(axes, ["1 1 none", "1 1 192.168.0.12:0", "1 3 none"]);
    let case = &cases[3];
    assert_eq!(case.seed, 1);
    assert_eq!(case.time_wait, Some(Duration::from_secs(120)));
    assert_eq!(case.network.loss.per_million, 5_000);
    let order: Vec<&str> = case
        .network
        .faults
        .iter()
        .map(|fault| fault.kind.as_str())
        .collect();
    assert_eq!(
        order,
        ["hold", "release", "partition", "repair", "crash", "bounce"]
    );
    assert_eq!(case.kernel_of("app"), "linux-6.18");
    assert_eq!(case.kernel_of("api"), "rhel-6.5");
    assert_eq!(case.hosts["app"].machine.as_deref(), Some("m3"));
    let processes = case.program.processes().expect("the declarative form");
    let first = &processes["first-3"];
    assert_eq!(first.count, 3);
    assert_eq!(first.uid, 1000);
    assert_eq!(first.every, Duration::from_millis(1500));
    assert_eq!(first.bind_of(0, 0), "192.168.0.12:0".parse().ok());
    assert_eq!(first.total_connections(), 3 * 2 * 3);
    assert!(first.options.has(SockOpt::RESET));
    assert_eq!(
        first.options.local_port_range(),
        Some(PortRange::new(40000, 0))
    );
    assert!(first.options.has(SockOpt::Linger2(-1)));
    let names: Vec<&str> = first.options.iter().map(|option| option.name()).collect();
    assert_eq!(names.len(), SockOpt::MODELLED.len());
    assert!(processes["second"].options.has(SockOpt::Linger(Some(30))));
    assert_eq!(processes["second"].after, ["first-3"]);
    // `expect` is limited to some kernels in its second block.
    let expects = |kernel: &str| {
        cases
            .iter()
            .find(|case| case.kernel == kernel)
            .expect("the kernel")
            .expect
            .len()
    };
    assert_eq!((expects("rhel-6.5"), expects("linux-4.2")), (2, 3));
    let check = &case.expect[0].value;
    assert_eq!((check.process.as_str(), check.op), ("first-3", Op::Connect));
    assert!(matches!(&check.expected, Expected::Counts(counts) if counts[&Answer::OK] == 3));
}

#[test]
fn every_step_is_read() {
    let cases = cases("every-step");
    let steps = cases[0].program.steps().expect("the step form");
    let mut kinds: Vec<Option<Op>> = steps.iter().map(|step| step.op()).collect();
    kinds.dedup();
    for op in Op::ALL {
        assert!(
            kinds.contains(&Some(*op)),
            "{op} is missing from the example"
        );
    }
    assert!(
        !steps
            .iter()
            .any(|step| matches!(&step.value, Step::Socket(made) if made.implicit))
    );
}

#[test]
fn lists_are_taken_in_turn_over_all_instances() {
    let scenario = parse(
        "turn.yaml",
        "about: Turns\nhosts: { h: { addresses: [10.0.0.1] } }\nprocesses:\n  p: { count: 2, connections: 3, connect: [10.0.0.1:1, 10.0.0.1:2] }\n",
    )
    .expect("valid");
    let processes = scenario.points()[0]
        .body
        .program
        .processes()
        .expect("processes");
    let ports: Vec<u16> = (0..2)
        .flat_map(|instance| (0..3).map(move |connection| (instance, connection)))
        .filter_map(|(instance, connection)| processes["p"].connect_of(instance, connection))
        .map(|address| address.port())
        .collect();
    assert_eq!(ports, [1, 2, 1, 2, 1, 2]);
}

#[test]
fn encoded_scenarios_decode_to_the_same() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/examples");
    for file in discover([directory]).expect("examples") {
        let scenario = load(&file).unwrap_or_else(|errors| panic!("{errors}"));
        let text = scenario.to_yaml();
        let again = parse("again.yaml", &text).unwrap_or_else(|errors| panic!("{text}\n{errors}"));
        assert_eq!(again, scenario, "{text}");
        assert_eq!(again.to_yaml(), text);
    }
}

#[test]
fn a_case_written_as_a_scenario_is_the_same_case() {
    for name in [
        "connect-after-bind",
        "steps",
        "everything-declared",
        "every-step",
    ] {
        for case in cases(name) {
            let text = Scenario::from_case(&case).to_yaml();
            let scenario =
                parse("again.yaml", &text).unwrap_or_else(|errors| panic!("{text}\n{errors}"));
            let mut again =
                expand(&scenario, &kernels()).unwrap_or_else(|errors| panic!("{text}\n{errors}"));
            assert_eq!(again.len(), 1);
            let mut again = again.remove(0);
            // Equality of cases does not include where they come from.
            again.scenario = case.scenario.clone();
            again.file = case.file.clone();
            again.axes = case.axes.clone();
            assert_eq!(again, case, "{text}");
        }
    }
}

#[test]
fn failed_checks_report_expected_and_actual_results() {
    let cases = cases("everything-declared");
    let counts = &cases[0].expect[0].value;
    assert_eq!(counts.failure(["ok"]), None);
    assert_eq!(
        counts.failure(["ok", "ECONNREFUSED"]).as_deref(),
        Some("first-1.connect: expected 1 × ok, 0 × ECONNREFUSED, got 1 × ok, 1 × ECONNREFUSED")
    );
    assert!(counts.failure(["ok", "ETIMEDOUT"]).is_some());
    assert!(counts.failure([]).is_some());
    let each = &cases[0].expect[1].value;
    assert_eq!(each.failure(["ok", "EADDRINUSE", "ok"]), None);
    assert_eq!(
        each.failure([]).as_deref(),
        Some("second.bind: expected ok or EADDRINUSE each time, got no attempt")
    );
    assert!(each.failure(["EINVAL"]).is_some());
}
