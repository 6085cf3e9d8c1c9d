//! Fixes for UDP programs, and for connections that a NAT host loses: each measured.

use fourtuple_analysis::remedies::{
    Allowance, Cause, Effect, Remedies, Remedy, SocketCounts, examine, scenario_of,
};
use fourtuple_harness::{Engine as _, Model, kernels};
use fourtuple_kernel::profile;
use fourtuple_scenario::{expand, parse};

fn examined(yaml: &str) -> Remedies {
    let scenario = parse("paths.yaml", yaml).unwrap_or_else(|errors| panic!("{errors}"));
    let case = expand(&scenario, &kernels::names())
        .expect("the kernel exists")
        .remove(0);
    let profile = profile::find(&case.kernel).expect("the kernel exists");
    let mut allowance = Allowance::UNLIMITED;
    examine(&case, &profile, &mut allowance, &mut |_, _| {}).expect("the model runs it")
}

fn find<'a>(all: &'a Remedies, id: &str) -> &'a Remedy {
    let found = all.remedies.iter().find(|one| one.id == id);
    found.unwrap_or_else(|| panic!("no row {id}"))
}

/// The effect of a fix, and the sockets with it.
fn effect(all: &Remedies, id: &str) -> (Effect, Option<(u32, u32)>) {
    let one = find(all, id);
    (one.effect, one.after.map(|after| (after.ok, after.refused)))
}

/// The changed scenario of a row, written and read again, gives what the row says.
fn assert_repeats(all: &Remedies, id: &str) {
    let (names, row) = (kernels::names(), find(all, id));
    let yaml = scenario_of(all, row, &[], &names).expect("it has a changed case");
    let scenario =
        parse("row.yaml", &yaml).unwrap_or_else(|error| panic!("{id}:\n{error}\n{yaml}"));
    let case = expand(&scenario, &names)
        .expect("its kernel exists")
        .remove(0);
    let profile = profile::find(&case.kernel).expect("its kernel exists");
    let report = Model.run(&case, &profile).expect("the model runs it");
    assert_eq!(
        Some(SocketCounts::of(&report.attempts)),
        row.after,
        "{id}:\n{yaml}"
    );
}

fn resolver(more: &str) -> Remedies {
    examined(&format!(
        r#"about: A resolver with a socket for each query
kernel: linux-6.18
hosts:
  app: {{ addresses: [10.0.0.1], sysctl: {{ net.ipv4.ip_local_port_range: 40000-40003 }} }}
  dns: {{ addresses: [10.0.0.53, 10.0.0.54] }}
processes:
  queries: {{ on: app, protocol: udp, connect: [10.0.0.53:53, 10.0.0.54:53], {more} }}
"#
    ))
}

#[test]
fn one_udp_socket_serves_all_destinations() {
    let all = resolver("count: 6");
    assert_eq!((all.cause, all.before.refused), (Cause::Shortage, 2));
    assert_eq!(
        effect(&all, "udp-one-socket"),
        (Effect::Always, Some((1, 0)))
    );
    assert_eq!(effect(&all, "wider-range").0, Effect::Always);
    assert_eq!(effect(&all, "more-addresses").0, Effect::Always);
    // All at the same instant: no socket is closed before the next one is opened.
    assert_eq!(effect(&all, "udp-close-sooner").0, Effect::Nothing);
    // The destination plays no part.
    assert_eq!(effect(&all, "more-destinations").0, Effect::Nothing);
    assert_repeats(&all, "udp-one-socket");
}

#[test]
fn a_udp_socket_that_closes_sooner_gives_its_port_back() {
    let all = resolver("connections: 8, every: 500ms, hold: 5s");
    assert!(all.before.refused > 0);
    let sooner = find(&all, "udp-close-sooner");
    assert_eq!(
        (sooner.effect, sooner.after.map(|after| after.ok)),
        (Effect::Always, Some(8))
    );
    assert_repeats(&all, "udp-close-sooner");
}

#[test]
fn a_refused_sendto_is_a_socket_without_its_port() {
    let all = examined(
        r#"about: Datagrams of sockets that were never bound
kernel: linux-6.18
hosts:
  app: { addresses: [10.0.0.1], sysctl: { net.ipv4.ip_local_port_range: 40000-40000 } }
  dns: { addresses: [10.0.0.53] }
steps:
  - { socket: a, by: first, on: app, type: dgram }
  - { sendto: a, to: "10.0.0.53:53" }
  - { socket: b, by: second, on: app, type: dgram }
  - { sendto: b, to: "10.0.0.53:53" }
"#,
    );
    assert_eq!((all.before.ok, all.before.refused), (1, 1));
    assert_eq!(all.victims, ["second"]);
    assert_eq!(effect(&all, "wider-range").0, Effect::Always);
}

/// Two pods behind a node that has four ports towards each destination.
fn node(kernel: &str, nat: &str, sysctl: &str, first: &str, second: &str) -> Remedies {
    examined(&format!(
        r#"about: Two pods behind a node
kernel: {kernel}
hosts:
  pod-a: {{ addresses: [10.1.0.2], via: node }}
  pod-b: {{ addresses: [10.2.0.2], via: node }}
  node: {{ addresses: [192.0.2.1], sysctl: {{ {sysctl} }}, nat: {nat} }}
  db: {{ addresses: [198.51.100.7], listen: "198.51.100.7:5432" }}
processes:
  a: {{ on: pod-a, connect: "198.51.100.7:5432", {first} }}
  b: {{ on: pod-b, connect: "198.51.100.7:5432", {second} }}
"#
    ))
}

const FOUR: &str = "{ masquerade: { ports: 40000-40003 } }";

#[test]
fn a_full_nat_host_has_fixes_of_its_own() {
    for kernel in ["linux-4.14", "linux-6.1", "linux-6.18"] {
        let all = node(kernel, FOUR, "", "count: 4", "after: a, count: 2");
        assert_eq!((all.cause, all.before.refused), (Cause::Nat, 2), "{kernel}");
        assert_eq!(all.victims, ["b"]);
        for (id, expected) in [
            ("nat-wider-range", Effect::Always),
            ("more-destinations", Effect::Always),
            ("nat-fully-random", Effect::Nothing),
            ("nat-time-wait", Effect::Nothing),
            ("nat-local-range", Effect::Nothing),
            ("nat-tw-reuse", Effect::Nothing),
            ("wider-range", Effect::Nothing),
            ("nat-larger-table", Effect::DoesNotApply),
        ] {
            assert_eq!(find(&all, id).effect, expected, "{kernel}: {id}");
        }
        assert_eq!(find(&all, "nat-wider-range").who, ["root on node"]);
        assert!(find(&all, "nat-wider-range").change.contains("40000-40007"));
        assert_repeats(&all, "nat-wider-range");
        assert_repeats(&all, "nat-fully-random");
    }
}

#[test]
fn a_second_address_is_used_only_where_the_hash_gives_it() {
    // Two clients and one destination: at most two addresses, and which is a hash.
    let all = node("linux-6.18", FOUR, "", "count: 4", "after: a, count: 4");
    let more = find(&all, "nat-more-addresses");
    let one = node("linux-6.18", FOUR, "", "count: 5", "after: a, count: 1");
    // One client takes more than an address has, so that no address helps.
    let single = find(&one, "nat-more-addresses");
    assert_ne!(single.effect, Effect::Always);
    assert!(more.after.is_some());
    assert_repeats(&all, "nat-more-addresses");
}

#[test]
fn a_shorter_time_wait_helps_before_closing_flows_give_their_ports_away() {
    let short = ("count: 4, hold: 100ms", "start: 40s, count: 4");
    let all = node("linux-6.1", FOUR, "", short.0, short.1);
    assert!(all.before.refused > 0, "{:?}", all.before);
    assert_eq!(effect(&all, "nat-time-wait").0, Effect::Always);
    assert_repeats(&all, "nat-time-wait");
    let newer = node("linux-6.18", FOUR, "", short.0, short.1);
    assert!(newer.before.refused < all.before.refused);
}

#[test]
fn a_full_table_and_a_quota_are_named_as_what_they_are() {
    let table = "net.netfilter.nf_conntrack_max: 3";
    let all = node(
        "linux-6.18",
        "masquerade",
        table,
        "count: 3",
        "after: a, count: 1",
    );
    assert_eq!(all.cause, Cause::Nat);
    assert_eq!(effect(&all, "nat-larger-table").0, Effect::Always);
    assert_eq!(find(&all, "nat-wider-range").effect, Effect::DoesNotApply);
    let quota = "{ ports-per-client: 2, hold-after-close: 120s }";
    let all = node("linux-6.18", quota, "", "count: 3", "after: a, count: 1");
    assert_eq!(
        (all.cause, all.victims.as_slice()),
        (Cause::Nat, &["a".to_owned()][..])
    );
    assert_eq!(effect(&all, "nat-wider-range").0, Effect::Always);
    let text = find(&all, "nat-wider-range").change.clone();
    assert_eq!(text, "4 ports for each client");
    assert_repeats(&all, "nat-wider-range");
}
