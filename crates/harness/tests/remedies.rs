//! The ways out on the report that started it all, and that every row of the table can be repeated.

use std::path::Path;

use fourtuple_harness::remedies::{
    Effect, Remedies, Remedy, Score, Who, examine, scenario_of, text,
};
use fourtuple_harness::{Engine as _, Model, kernels};
use fourtuple_kernel::profile;
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
    examine(case, &profile, &mut |_, _| {}).expect("the model runs it")
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
                Some(Score::of(&report.attempts)),
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
fn rhel_6_5_has_the_ways_out_of_the_report_and_tw_reuse_is_none() {
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
        ids(&all, Effect::Works),
        [
            "connect-without-bind",
            "own-address",
            "wider-range",
            "explicit-ports"
        ]
    );
    assert_eq!(find(&all, "connect-without-bind").who, [Who::Offender]);
    assert_eq!(find(&all, "own-address").who, [Who::Victim]);
    assert_eq!(find(&all, "wider-range").who, [Who::Operator]);
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
        ids(&all, Effect::Works),
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
    let table = text::table(&all);
    assert!(
        table.contains("1.  IP_BIND_ADDRESS_NO_PORT on the binder"),
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
about: A binder on the only port, then a connect by somebody else
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
        ids(&all, Effect::Works),
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
fn where_nothing_works_alone_pairs_are_tried() {
    // Four ports that cannot become more, before ports were shared between addresses; poisoned, and twice as many
    // connections to one destination as there are ports.
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
    let works = ids(&all, Effect::Works);
    assert!(
        works.contains(&"connect-without-bind+more-destinations"),
        "{works:?}"
    );
    assert!(works.iter().all(|id| id.contains('+')), "{works:?}");
    assert_repeats(&all);
}

#[test]
fn nothing_is_offered_where_nobody_is_refused() {
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
    assert!(text::table(&all).contains("there is nothing to mend"));
}
