//! Capacity: counted on the model, next to the formula.

use fourtuple_analysis::capacity::{Capacities, Capacity, Measured, measure};
use fourtuple_harness::kernels;
use fourtuple_kernel::profile;
use fourtuple_render::text::capacity as text;
use fourtuple_scenario::{expand, parse};

fn measured(kernel: &str, sysctl: &str, process: &str) -> Capacities {
    let yaml = format!(
        r#"
about: How much can this host do?
kernel: {kernel}
hosts:
  app: {{ addresses: [192.168.0.12, 192.168.0.13], sysctl: {{ {sysctl} }} }}
  api: {{ addresses: [192.168.0.4, 192.168.0.5], listen: ["192.168.0.4:3000", "192.168.0.5:3000"] }}
processes:
  p: {{ on: app, connect: ["192.168.0.4:3000", "192.168.0.5:3000"], {process} }}
"#
    );
    let scenario = parse("capacity.yaml", &yaml).expect("it reads");
    let case = expand(&scenario, &kernels::names())
        .expect("the kernel exists")
        .remove(0);
    let profile = profile::find(kernel).expect("the kernel exists");
    measure(&case, &profile, &mut Measured::default(), &mut |_| {}).expect("it can be measured")
}

fn only(all: &Capacities) -> &Capacity {
    assert_eq!(all.programs.len(), 1);
    &all.programs[0]
}

const RANGE: &str = "net.ipv4.ip_local_port_range: 40000-40099";

#[test]
fn a_plain_program_has_the_range_for_every_destination() {
    for kernel in [
        "linux-2.6.32",
        "rhel-6.5",
        "linux-4.4",
        "linux-5.10",
        "linux-6.18",
    ] {
        let all = measured(kernel, RANGE, "hold: 1s");
        let one = only(&all);
        assert_eq!(
            (one.to_one.counted, one.to_one.formula),
            (100, Some(100)),
            "{kernel}"
        );
        assert_eq!(
            (one.to_all.counted, one.to_all.formula),
            (200, Some(200)),
            "{kernel}"
        );
        assert_eq!(one.to_one.then.as_deref(), Some("EADDRNOTAVAIL"));
        assert_eq!(one.rate.runs_out_after, Some(100), "{kernel}");
        let recovers = one.rate.recovers_after.expect("TIME-WAIT ends");
        assert!((55.0..=75.0).contains(&recovers), "{kernel}: {recovers}");
        let rate = one.rate.per_second.expect("ports set a limit");
        assert!((1.3..1.8).contains(&rate), "{kernel}: {rate}");
        assert!(text::report(std::slice::from_ref(&all)).contains("100 ports x 2 destinations"));
    }
}

#[test]
fn each_family_is_counted_by_itself() {
    let yaml = r#"
about: A client of each family
kernel: linux-6.18
hosts:
  app: { addresses: [192.168.0.12, "fd00::12"], sysctl: { net.ipv4.ip_local_port_range: 40000-40009 } }
  api: { addresses: [192.168.0.4, "fd00::4"], listen: ["192.168.0.4:3000", "192.168.0.4:3001", "[fd00::4]:3000"] }
processes:
  old: { on: app, bind: "192.168.0.12:0", options: { bind_address_no_port: true }, connect: ["192.168.0.4:3000", "192.168.0.4:3001"] }
  new: { on: app, bind: "[fd00::12]:0", options: { bind_address_no_port: true }, connect: "[fd00::4]:3000" }
"#;
    let scenario = parse("capacity.yaml", yaml).expect("it reads");
    let cases = expand(&scenario, &kernels::names()).expect("the kernel exists");
    let profile = profile::find("linux-6.18").expect("the kernel exists");
    let all = measure(&cases[0], &profile, &mut Measured::default(), &mut |_| {})
        .expect("it can be measured");
    let counted: Vec<(u32, u32)> = all
        .programs
        .iter()
        .map(|one| (one.destinations, one.to_all.counted))
        .collect();
    assert_eq!(counted, [(2, 20), (1, 10)]);
    assert_eq!(
        text::report(std::slice::from_ref(&all))
            .matches("to all")
            .count(),
        1
    );
}

#[test]
fn bind_takes_the_ports_from_all_destinations_together() {
    for kernel in ["rhel-6.5", "linux-6.18"] {
        let all = measured(kernel, RANGE, "bind: \"192.168.0.12:0\"");
        let one = only(&all);
        assert_eq!(
            (one.to_all.counted, one.to_all.formula),
            (100, Some(100)),
            "{kernel}"
        );
        assert_eq!(one.to_all.then.as_deref(), Some("EADDRINUSE"));
        assert!(one.cost.is_empty());
    }
    let all = measured(
        "linux-6.18",
        RANGE,
        "bind: \"192.168.0.12:0\", options: { bind_address_no_port: true }",
    );
    assert_eq!(
        (only(&all).to_all.counted, only(&all).to_all.formula),
        (200, Some(200))
    );
    let all = measured(
        "linux-6.18",
        RANGE,
        "bind: [\"192.168.0.12:0\", \"192.168.0.13:0\"]",
    );
    assert_eq!(
        (only(&all).to_all.counted, only(&all).to_all.formula),
        (200, Some(200))
    );
    // Before ports were shared between addresses, a second address gave nothing.
    let all = measured(
        "linux-2.6.32",
        RANGE,
        "bind: [\"192.168.0.12:0\", \"192.168.0.13:0\"]",
    );
    assert_eq!(
        (only(&all).to_all.counted, only(&all).to_all.formula),
        (100, Some(100))
    );
}

#[test]
fn closing_side_and_tw_reuse_decide_the_rate() {
    let all = measured("linux-6.18", RANGE, "hold: 1s, close: reset");
    assert_eq!(
        (only(&all).rate.runs_out_after, only(&all).rate.per_second),
        (None, None)
    );
    let all = measured("linux-6.18", RANGE, "hold: 1s, close: server");
    assert_eq!(only(&all).rate.per_second, None);
    let reuse = format!("{RANGE}, net.ipv4.tcp_tw_reuse: 1");
    let all = measured("linux-6.18", &reuse, "hold: 1s");
    let recovers = only(&all).rate.recovers_after.expect("reuse sets in");
    assert!((0.9..=1.3).contains(&recovers), "{recovers}");
    assert!(only(&all).rate.per_second.is_some_and(|rate| rate > 70.0));
}

#[test]
fn the_odd_half_is_what_makes_connect_slow() {
    let cost = |kernel: &str, fill: u32| {
        let all = measured(kernel, RANGE, "hold: 1s");
        let costs = only(&all).cost.iter().find(|cost| cost.fill == fill);
        costs.unwrap_or_else(|| panic!("{kernel} {fill}")).clone()
    };
    // Up to half of the range the even ports serve; after that each search walks all of them first.
    assert!(cost("linux-6.18", 0).expected < 2.0);
    assert!(cost("linux-6.18", 50).expected >= 50.0);
    assert!(cost("linux-6.18", 90).expected > cost("linux-3.10", 90).expected);
    for kernel in ["linux-3.10", "linux-6.18"] {
        assert_eq!(cost(kernel, 100).most, 100, "{kernel}");
    }
}

fn of_yaml(yaml: &str) -> Capacities {
    let scenario = parse("capacity.yaml", yaml).unwrap_or_else(|errors| panic!("{errors}"));
    let case = expand(&scenario, &kernels::names())
        .expect("the kernel exists")
        .remove(0);
    let profile = profile::find(&case.kernel).expect("the kernel exists");
    measure(&case, &profile, &mut Measured::default(), &mut |_| {}).expect("it can be measured")
}

/// A host with ten ports, two resolvers, and what runs.
fn resolvers(kernel: &str, program: &str) -> Capacities {
    of_yaml(&format!(
        r#"
about: How many queries at once?
kernel: {kernel}
hosts:
  app: {{ addresses: [10.0.0.1, 10.0.0.2], sysctl: {{ net.ipv4.ip_local_port_range: 40000-40009 }} }}
  dns: {{ addresses: [10.0.0.53, 10.0.0.54] }}
{program}
"#
    ))
}

/// The counted sockets to one destination and to all, and the answer after them.
fn counted(one: &Capacity) -> (u32, u32, Option<&str>) {
    let then = one.to_all.then.as_deref();
    (one.to_one.counted, one.to_all.counted, then)
}

#[test]
fn a_udp_socket_needs_a_port_whatever_its_destination_is() {
    let to = "connect: [\"10.0.0.53:53\", \"10.0.0.54:53\"]";
    let process =
        |more: &str| format!("processes: {{ q: {{ on: app, protocol: udp, {to}{more} }} }}");
    for kernel in ["linux-2.6.32", "linux-3.10", "linux-6.18"] {
        let all = resolvers(kernel, &process(""));
        let one = only(&all);
        assert_eq!(counted(one), (10, 10, Some("EAGAIN")), "{kernel}");
        assert_eq!(
            (one.protocol.as_str(), one.to_all.formula),
            ("udp", Some(10))
        );
        // A closed socket leaves nothing behind.
        assert_eq!((one.rate.runs_out_after, one.rate.per_second), (None, None));
        let bound = resolvers(kernel, &process(", bind: \"10.0.0.1:0\""));
        assert_eq!(
            counted(only(&bound)),
            (10, 10, Some("EADDRINUSE")),
            "{kernel}"
        );
        let two = resolvers(kernel, &process(", bind: [\"10.0.0.1:0\", \"10.0.0.2:0\"]"));
        assert_eq!(
            (only(&two).to_all.counted, only(&two).to_all.formula),
            (20, Some(20))
        );
        let text = text::report(std::slice::from_ref(&all));
        assert!(text.contains("UDP, connects without bind"), "{text}");
        assert!(!text.contains("bind() has chosen it"), "{text}");
    }
    // The port is chosen later, and is still one for each socket.
    let no_port = ", bind: \"10.0.0.1:0\", options: { bind_address_no_port: true }";
    let late = resolvers("linux-6.18", &process(no_port));
    assert_eq!(counted(only(&late)), (10, 10, Some("EAGAIN")));
}

#[test]
fn ports_set_no_limit_to_udp_sockets_that_share_them() {
    let process = |option: &str| {
        format!(
            "processes: {{ q: {{ on: app, protocol: udp, bind: \"0.0.0.0:0\", options: {{ {option}: true }} }} }}"
        )
    };
    let all = resolvers("linux-6.18", &process("reuseaddr"));
    let one = only(&all);
    assert_eq!((one.destinations, one.to_one.formula), (0, None));
    assert_eq!(one.to_one.then, None);
    let text = text::report(std::slice::from_ref(&all));
    assert!(
        text.contains("no limit") && text.contains("SO_REUSEADDR"),
        "{text}"
    );
    // Before 3.9 there is no SO_REUSEPORT.
    assert_eq!(
        only(&resolvers("linux-3.10", &process("reuseport")))
            .to_one
            .formula,
        None
    );
    let old = resolvers("linux-2.6.32", &process("reuseport"));
    assert_eq!(counted(only(&old)), (10, 10, Some("EADDRINUSE")));
}

#[test]
fn steps_are_counted_by_the_type_of_their_sockets() {
    let steps = r#"steps:
  - { socket: l, by: server, on: dns }
  - { bind: l, at: "10.0.0.53:53" }
  - { listen: l }
  - { socket: u, by: resolver, on: app, type: dgram }
  - { sendto: u, to: "10.0.0.53:53" }
  - { socket: v, by: resolver, type: dgram }
  - { connect: v, to: "10.0.0.54:53" }
  - { socket: b, by: resolver, type: dgram }
  - { bind: b, at: "0.0.0.0:0" }
  - { socket: t, by: resolver }
  - { connect: t, to: "10.0.0.53:53" }
"#;
    let all = resolvers("linux-6.18", steps);
    let found: Vec<(&str, u32, Option<&str>)> = (all.programs.iter())
        .map(|one| {
            (
                one.protocol.as_str(),
                one.to_all.counted,
                one.to_all.then.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            ("udp", 10, Some("EAGAIN")),
            ("udp", 10, Some("EADDRINUSE")),
            ("tcp", 10, Some("EADDRNOTAVAIL")),
        ]
    );
    assert_eq!(all.programs[0].destinations, 2);
    assert_eq!(all.programs[2].destinations, 1);
}

#[test]
fn options_of_steps_count() {
    let steps = r#"steps:
  - { socket: a, by: client, on: app, options: { bind_address_no_port: true } }
  - { bind: a, at: "10.0.0.1:0" }
  - { connect: a, to: "10.0.0.53:80" }
  - { socket: b, by: client, options: { bind_address_no_port: true } }
  - { bind: b, at: "10.0.0.1:0" }
  - { connect: b, to: "10.0.0.54:80" }
"#;
    let all = resolvers("linux-6.18", steps);
    assert_eq!(
        (only(&all).to_all.counted, only(&all).to_all.formula),
        (20, Some(20))
    );
}
