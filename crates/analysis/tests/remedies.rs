//! The fixes of the report that started it all, of listeners and of collisions, and that every row
//! of the table can be repeated.

use std::path::Path;

use fourtuple_analysis::remedies::{
    Allowance, Cause, Effect, Remedies, Remedy, SocketCounts, examine, scenario_of,
};
use fourtuple_harness::{Engine as _, Model, kernels};
use fourtuple_kernel::profile;
use fourtuple_render::text::remedies as text;
use fourtuple_scenario::{Case, KernelSelector, Scenario, expand, load, parse};

fn report() -> Scenario {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios/rhel-6.5");
    load(&root.join("connect-after-bind.yaml")).expect("the scenario reads")
}

fn case(mut scenario: Scenario, kernel: &str) -> Case {
    scenario.kernel = KernelSelector::of([kernel]);
    let cases = expand(&scenario, &kernels::names()).expect("the kernel exists");
    cases.into_iter().next().expect("there is a case")
}

fn examined(case: &Case) -> Remedies {
    let profile = profile::find(&case.kernel).expect("the kernel exists");
    let mut allowance = Allowance::UNLIMITED;
    examine(case, &profile, &mut allowance, &mut |_, _| {}).expect("the model runs it")
}

fn ids(all: &Remedies, effect: Effect) -> Vec<&str> {
    let with = all.remedies.iter().filter(|one| one.effect == effect);
    with.map(|one| one.id.as_str()).collect()
}

fn find<'a>(all: &'a Remedies, id: &str) -> &'a Remedy {
    all.remedies.iter().find(|one| one.id == id).expect(id)
}

/// Every changed scenario, written and read again, gives what its row says.
fn assert_repeats(all: &Remedies) {
    let names = kernels::names();
    let mut repeated = 0;
    for row in &all.remedies {
        let Some(yaml) = scenario_of(all, row, &[], &names) else {
            continue;
        };
        let scenario =
            parse("row.yaml", &yaml).unwrap_or_else(|error| panic!("{}:\n{error}\n{yaml}", row.id));
        for case in expand(&scenario, &names).expect("its kernel exists") {
            let profile = profile::find(&case.kernel).expect("its kernel exists");
            let report = Model.run(&case, &profile).expect("the model runs it");
            assert_eq!(report.expect_failed, [], "{}:\n{yaml}", row.id);
            assert_eq!(
                Some(SocketCounts::of(&report.attempts)),
                row.after,
                "{}:\n{yaml}",
                row.id
            );
        }
        repeated += 1;
    }
    assert!(repeated > 5, "only {repeated} rows have a scenario");
}

#[test]
fn rhel_6_5_has_the_fixes_of_the_report_and_tw_reuse_is_none() {
    let all = examined(&case(report(), "rhel-6.5"));
    assert_eq!(
        (all.before.ok, all.before.refused, all.before.total),
        (4, 4, 8)
    );
    assert_eq!(
        (all.victims.as_slice(), all.binders.as_slice()),
        (&["plain".to_owned()][..], &["binders".to_owned()][..])
    );
    assert_eq!(
        ids(&all, Effect::Always),
        [
            "connect-without-bind",
            "own-address",
            "wider-range",
            "explicit-ports"
        ]
    );
    assert_eq!(find(&all, "connect-without-bind").who, ["binders"]);
    assert_eq!(find(&all, "own-address").who, ["plain"]);
    assert_eq!(find(&all, "wider-range").who, ["root on app"]);
    for id in ["tw-reuse-1", "tw-reuse-2"] {
        let row = find(&all, id);
        assert_eq!(row.effect, Effect::Nothing);
        assert!(
            row.why
                .as_ref()
                .is_some_and(|why| why.contains("every bucket that bind() made")),
            "{:?}",
            row.why
        );
    }
    for id in [
        "no-port-on-binder",
        "own-address-no-port",
        "port-range-slices",
        "tw-reuse-delay",
    ] {
        assert_eq!(find(&all, id).effect, Effect::Absent, "{id}");
    }
    for id in [
        "reuseaddr-on-binder",
        "reuseaddr-on-victim",
        "reuseport-on-binder",
        "reuseport-on-victim",
    ] {
        assert_eq!(find(&all, id).effect, Effect::Nothing, "{id}");
    }
    assert!(
        find(&all, "tw-recycle")
            .stale
            .as_ref()
            .is_some_and(|why| why.contains("stale advice"))
    );
    assert_repeats(&all);
}

#[test]
fn linux_6_18_has_no_port_on_the_binder_first_and_on_the_victim_it_does_nothing() {
    let all = examined(&case(report(), "linux-6.18"));
    assert_eq!(
        ids(&all, Effect::Always),
        [
            "no-port-on-binder",
            "connect-without-bind",
            "own-address",
            "wider-range",
            "explicit-ports"
        ]
    );
    assert_eq!(all.remedies[0].since, "linux-4.2, rhel-7.7");
    for id in [
        "no-port-on-victim",
        "own-address-no-port",
        "tw-reuse-1",
        "port-range-slices",
        "another-kernel",
    ] {
        assert_eq!(find(&all, id).effect, Effect::Nothing, "{id}");
    }
    assert_eq!(find(&all, "tw-recycle").effect, Effect::Absent);
    assert_repeats(&all);
    let table = text::table(std::slice::from_ref(&all), false);
    assert!(
        table.contains("1.  IP_BIND_ADDRESS_NO_PORT on programs that bind"),
        "{table}"
    );
}

#[test]
fn linux_2_6_32_does_not_share_ports_between_addresses() {
    let all = examined(&case(report(), "linux-2.6.32"));
    assert_eq!(find(&all, "own-address").effect, Effect::Nothing);
    assert!(
        find(&all, "own-address")
            .why
            .as_ref()
            .is_some_and(|why| why.contains("skipped every port"))
    );
    assert_repeats(&all);
}

#[test]
fn the_step_form_is_changed_as_well() {
    let steps = r#"
about: A binder on the only port, then a connect by another program
kernel: linux-6.18
hosts:
  app: { addresses: [192.168.0.12], sysctl: { net.ipv4.ip_local_port_range: 40000-40000 } }
  api: { addresses: [192.168.0.4, 192.168.0.5], listen: ["192.168.0.4:3000", "192.168.0.5:3000"] }
steps:
  - { socket: a, by: offender, on: app }
  - { bind: a, at: "192.168.0.12:0", port_as: p }
  - { connect: a, to: "192.168.0.4:3000" }
  - { socket: b, by: plain, on: app }
  - { connect: b, to: "192.168.0.5:3000", expect: EADDRNOTAVAIL }
"#;
    let scenario = parse("steps.yaml", steps).expect("it reads");
    let all = examined(&case(scenario, "linux-6.18"));
    assert_eq!((all.before.ok, all.before.refused), (1, 1));
    assert_eq!(
        ids(&all, Effect::Always),
        [
            "no-port-on-binder",
            "connect-without-bind",
            "own-address",
            "wider-range",
            "explicit-ports"
        ]
    );
    assert_repeats(&all);
}

#[test]
fn pairs_are_tried_if_no_single_fix_works() {
    // Four ports that cannot become more, before ports were shared between addresses; poisoned, and
    // twice as many connections to one destination as there are ports.
    let yaml = r#"
about: Two shortages at once
kernel: linux-3.0
hosts:
  app:
    addresses: [192.168.0.12]
    sysctl: { net.ipv4.ip_local_port_range: 1024-65535, net.ipv4.ip_local_reserved_ports: 1024-65531 }
  api: { addresses: [192.168.0.4, 192.168.0.5], listen: ["192.168.0.4:3000", "192.168.0.5:3000"] }
processes:
  binders: { on: app, count: 4, bind: "192.168.0.12:0", connect: "192.168.0.4:3000" }
  plain: { on: app, after: binders, count: 8, connect: "192.168.0.5:3000" }
"#;
    let scenario = parse("two.yaml", yaml).expect("it reads");
    let all = examined(&case(scenario, "linux-3.0"));
    let works = ids(&all, Effect::Always);
    assert!(
        works.contains(&"connect-without-bind+more-destinations"),
        "{works:?}"
    );
    assert!(works.iter().all(|id| id.contains('+')), "{works:?}");
    assert_repeats(&all);
}

#[test]
fn no_fix_is_offered_without_a_refusal() {
    let mut case = case(report(), "linux-6.18");
    let processes = match case.program_mut() {
        fourtuple_scenario::Program::Processes(processes) => processes,
        fourtuple_scenario::Program::Steps(_) => unreachable!("the report is declarative"),
    };
    processes.shift_remove("binders");
    processes["plain"].after.clear();
    let all = examined(&case);
    assert!(!all.needed());
    assert!(all.remedies.is_empty());
    assert!(text::table(&[all], false).contains("there is nothing to fix"));
}

/// The case of a scenario without `kernel`, on a kernel.
fn case_of(yaml: &str, kernel: &str) -> Case {
    let scenario = parse("case.yaml", yaml).unwrap_or_else(|error| panic!("{error}"));
    case(scenario, kernel)
}

/// A listener whose connection was closed by the server first, and its restart.
fn restart(old: &str, new: &str) -> String {
    format!(
        r#"
about: A server closes a connection, stops and starts again at once
kernel: linux-6.18
hosts: {{ h: {{ addresses: [10.0.0.3] }} }}
steps:
  - {{ socket: l, by: old{old} }}
  - {{ bind: l, at: "10.0.0.3:9000" }}
  - {{ listen: l }}
  - {{ socket: c, by: client }}
  - {{ connect: c, to: "10.0.0.3:9000" }}
  - {{ accept: l, as: child }}
  - {{ close: child }}
  - {{ close: c }}
  - {{ close: l }}
  - {{ socket: n, by: new{new} }}
  - {{ bind: n, at: "10.0.0.3:9000" }}
"#
    )
}

const REUSEADDR: &str = ", options: { reuseaddr: true }";

#[test]
fn a_restart_over_time_wait_needs_reuseaddr_on_both() {
    for kernel in ["rhel-6.5", "linux-3.10", "linux-4.19", "linux-6.18"] {
        let all = examined(&case_of(&restart("", ""), kernel));
        assert_eq!(all.cause, Cause::Held, "{kernel}");
        assert_eq!(all.remedies[0].id, "reuseaddr-on-both", "{kernel}");
        assert_eq!(all.remedies[0].effect, Effect::Always);
        assert_eq!(all.remedies[0].who, ["old", "new"]);
        assert!(ids(&all, Effect::Always).contains(&"client-closes-first"));
        assert_eq!(find(&all, "reuseaddr-on-new").effect, Effect::Nothing);
        assert_repeats(&all);
    }
}

#[test]
fn reuseaddr_on_the_new_socket_alone_is_not_enough() {
    let all = examined(&case_of(&restart("", REUSEADDR), "linux-6.18"));
    assert_eq!(all.remedies[0].id, "reuseaddr-on-both");
    // Linux 6.1.0 does not look at TIME-WAIT sockets, which is a bug and no fix.
    let kernel = find(&all, "another-kernel");
    assert_eq!(kernel.effect, Effect::Nothing);
    let why = kernel.why.as_deref().unwrap_or_default();
    assert!(
        why.contains("linux-6.1.0 accepts it only through a bug"),
        "{why}"
    );
}

#[test]
fn a_missing_address_needs_freebind() {
    let yaml = r#"
about: A listener on an address that comes later
kernel: linux-6.18
hosts: { h: { addresses: [10.0.0.3] } }
processes: { s: { listen: "10.0.0.100:80" } }
"#;
    let all = examined(&case_of(yaml, "linux-6.18"));
    assert_eq!(all.cause, Cause::NotLocal);
    assert_eq!(
        ids(&all, Effect::Always),
        ["freebind", "nonlocal-bind", "wildcard"]
    );
    assert_eq!(all.findings[0].kind, "address-not-local");
    assert_repeats_few(&all, 3);
}

/// As [`assert_repeats`], for a case to which few fixes apply.
fn assert_repeats_few(all: &Remedies, least: usize) {
    let names = kernels::names();
    let mut repeated = 0;
    for row in all.remedies.iter().filter(|row| row.effect.works()) {
        let yaml = scenario_of(all, row, &[], &names).expect("a scenario");
        let scenario = parse("row.yaml", &yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"));
        for case in expand(&scenario, &names).expect("its kernel exists") {
            let profile = profile::find(&case.kernel).expect("its kernel exists");
            let report = Model.run(&case, &profile).expect("the model runs it");
            assert_eq!(report.expect_failed, [], "{}:\n{yaml}", row.id);
        }
        repeated += 1;
    }
    assert!(repeated >= least, "only {repeated}");
}

#[test]
fn a_dual_stack_owner_needs_v6only() {
    let yaml = r#"
about: A dual-stack server has the port, and an IPv4 server wants it
kernel: linux-6.18
hosts: { h: {} }
processes:
  six: { listen: "[::]:3000" }
  four: { after: six, listen: "0.0.0.0:3000" }
"#;
    let all = examined(&case_of(yaml, "linux-6.18"));
    assert_eq!(all.remedies[0].id, "v6only");
    assert_eq!(all.remedies[0].who, ["six", "four"]);
    assert_eq!(all.findings[0].kind, "dual-stack");
}

#[test]
fn a_listener_behind_an_outgoing_connection_needs_its_port_reserved() {
    let yaml = r#"
about: An outgoing connection takes the port of a listener
kernel: linux-6.18
hosts:
  pod:
    addresses: [10.244.0.20]
    sysctl: { net.ipv4.ip_local_port_range: 8080-8083 }
  peer: { addresses: [10.96.192.49], listen: "10.96.192.49:9090" }
processes:
  early: { on: pod, count: 3, connect: "10.96.192.49:9090", hold: 10ms }
  app: { on: pod, start: 1s, listen: "0.0.0.0:8081", options: { reuseaddr: true } }
"#;
    let all = examined(&case_of(yaml, "linux-6.18"));
    assert_eq!(all.cause, Cause::Collision);
    assert_eq!(all.remedies[0].id, "reserved-ports");
    assert_eq!(all.remedies[0].effect, Effect::Always);
    assert!(!find(&all, "another-kernel").effect.works());
    assert!(all.unchanged.good > 0 && all.unchanged.good < all.unchanged.of);
    // Where connect() does not prefer one parity, a wider range only makes it rarer.
    let all = examined(&case_of(yaml, "linux-3.10"));
    assert_eq!(all.remedies[0].id, "reserved-ports");
    assert_eq!(all.remedies[0].effect, Effect::Always);
    assert_ne!(find(&all, "wider-range").effect, Effect::Always);
}

#[test]
fn listen_after_a_refused_bind_is_refused() {
    let yaml = r#"
about: A bind that fails, then listen on the same socket
kernel: linux-6.18
hosts: { h: { addresses: [10.0.0.3] } }
steps:
  - { bind: a, at: "10.0.0.3:9000" }
  - { listen: a }
  - { bind: b, at: "10.0.0.3:9000" }
  - { listen: b }
"#;
    let all = examined(&case_of(yaml, "linux-6.18"));
    assert_eq!(
        (all.before.ok, all.before.refused, all.before.total),
        (1, 1, 2)
    );
    assert_eq!(all.findings[0].kind, "listens-on-unknown-port");
    assert!(ids(&all, Effect::Always).contains(&"reuseport-on-both"));
    assert!(ids(&all, Effect::Always).contains(&"stop-first"));
}

#[test]
fn more_destinations_move_the_refused_connection() {
    let yaml = r#"
about: The last connection finds no port
kernel: linux-6.18
hosts:
  host: { addresses: [10.0.0.3], sysctl: { net.ipv4.ip_local_port_range: 40000-40007 } }
  peers: { addresses: [10.0.1.1], listen: ["10.0.1.1:9092"] }
processes:
  held: { on: host, connections: 8, connect: "10.0.1.1:9092" }
  new: { on: host, after: held, connect: "10.0.1.1:9092" }
"#;
    let all = examined(&case_of(yaml, "linux-6.18"));
    assert_eq!(find(&all, "more-destinations").effect, Effect::Always);
}

#[test]
fn a_connection_to_itself_is_named_with_its_cure() {
    let yaml = r#"
about: One program tries a dead local port sixty times
kernel: linux-4.18
hosts: { h: { sysctl: { net.ipv4.ip_local_port_range: 40000-40019 } } }
processes:
  loop: { connections: 60, every: 100ms, connect: "127.0.0.1:40006", hold: 1ms, close: reset }
"#;
    let all = examined(&case_of(yaml, "linux-4.18"));
    assert_eq!(all.cause, Cause::ToItself);
    assert!(all.before.to_itself > 0);
    assert_eq!(all.remedies[0].id, "reserved-ports");
    assert_eq!(all.findings[0].kind, "connected-to-itself");
}

#[test]
fn a_pool_and_closing_with_the_peer_are_among_the_fixes() {
    let yaml = r#"
about: Short connections use up the range
kernel: linux-6.18
hosts:
  app: { addresses: [10.0.0.3], sysctl: { net.ipv4.ip_local_port_range: 40000-40003 } }
  api: { addresses: [10.0.1.1], listen: ["10.0.1.1:80"] }
processes:
  client: { on: app, connections: 8, hold: 1ms, connect: "10.0.1.1:80" }
"#;
    let all = examined(&case_of(yaml, "linux-6.18"));
    assert_eq!(find(&all, "reuse-connections").effect, Effect::Always);
    let yaml = r#"
about: A client that never closes what its server has closed
kernel: linux-6.18
hosts:
  app: { addresses: [10.0.0.3], sysctl: { net.ipv4.ip_local_port_range: 40000-40000 } }
  api: { addresses: [10.0.1.1] }
steps:
  - { socket: l, by: server, on: api }
  - { bind: l, at: "10.0.1.1:80" }
  - { listen: l }
  - { socket: a, by: client, on: app }
  - { connect: a, to: "10.0.1.1:80" }
  - { accept: l, as: x }
  - { close: x }
  - { socket: b, by: client, on: app }
  - { connect: b, to: "10.0.1.1:80" }
"#;
    let all = examined(&case_of(yaml, "linux-6.18"));
    assert_eq!(find(&all, "close-with-peer").effect, Effect::Always);
}

#[test]
fn one_table_holds_every_kernel() {
    let all: Vec<Remedies> = profile::all()
        .iter()
        .map(|profile| examined(&case(report(), &profile.name)))
        .collect();
    let table = text::table(&all, false);
    let lines = table.lines().count();
    assert!(lines < 60, "{lines} lines:\n{table}");
    assert!(
        table.lines().all(|line| line.chars().count() <= 160),
        "{table}"
    );
    let one = text::table(&all[..1], false);
    assert!(one.lines().count() <= 30, "{one}");
}

#[test]
fn few_calls_are_spent_on_the_fixes_for_the_cause() {
    let case = case(report(), "linux-6.18");
    let profile = profile::find(&case.kernel).expect("the kernel exists");
    // A run of the report takes 12 calls.
    let mut allowance = Allowance::of(100);
    let few = examine(&case, &profile, &mut allowance, &mut |_, _| {}).expect("the model runs it");
    assert_eq!(
        ids(&few, Effect::Always)[..2],
        ids(&examined(&case), Effect::Always)[..2]
    );
    assert!(!ids(&few, Effect::Untried).is_empty());
    let table = text::table(&[few], false);
    assert!(table.contains("Not tried, for want of calls: "), "{table}");
}
