//! The rules of `lint`, each on a scenario that breaks it and on one that does not.

use fourtuple_analysis::{LintFinding, LintRule, lint};
use fourtuple_harness::kernels;
use fourtuple_scenario::parse;

fn findings(yaml: &str) -> Vec<LintFinding> {
    let scenario = parse("lint.yaml", yaml).unwrap_or_else(|errors| panic!("{errors}"));
    lint(&scenario, &kernels::names(), &mut |_| {}).unwrap_or_else(|errors| panic!("{errors}"))
}

/// Rules, lines, and the text in the file that the carets are under.
fn found(yaml: &str) -> Vec<(&'static str, usize, String)> {
    let found = findings(yaml).into_iter().map(|one| {
        let place = one.diagnostic.place.expect("a place in the file");
        (one.rule.name(), place.line, place.marked().to_owned())
    });
    found.collect()
}

/// The only finding.
fn one(yaml: &str) -> LintFinding {
    let mut found = findings(yaml);
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

/// A declarative scenario with one client host and one server.
fn client(kernel: &str, sysctl: &str, more: &str) -> String {
    format!(
        r#"about: One client
kernel: {kernel}
hosts:
  app:
    addresses: [192.168.0.12]
    sysctl:
      {sysctl}
  api: {{ addresses: [192.168.0.4], listen: "192.168.0.4:3000" }}
processes:
  client: {{ on: app, connect: "192.168.0.4:3000", {more} }}
"#
    )
}

const EVEN: &str = "net.ipv4.ip_local_port_range: 40000-40003";

/// The even range and one more sysctl.
fn with(sysctl: &str) -> String {
    format!("{EVEN}\n      {sysctl}")
}

#[test]
fn a_scenario_without_faults_has_no_finding() {
    assert_eq!(found(&client("all", EVEN, "count: 5")), []);
}

#[test]
fn odd_ranges_are_for_kernels_that_search_in_steps_of_two() {
    let odd = "net.ipv4.ip_local_port_range: 40000-40004";
    assert_eq!(
        found(&client("linux-6.18", odd, "count: 5")),
        [("odd-range", 7, odd.to_owned())]
    );
    let old = "[rhel-6.5, linux-3.10, linux-4.4]";
    assert_eq!(found(&client(old, odd, "count: 5")), []);
    let finding = one(&client("[linux-4.4, linux-4.19]", odd, "count: 5"));
    let note = &finding.diagnostic.notes[0];
    assert!(note.starts_with("on linux-4.19 "), "{note}");
    // One port is found by every search.
    let single = "net.ipv4.ip_local_port_range: 40000-40000";
    assert_eq!(found(&client("linux-6.18", single, "count: 5")), []);
}

#[test]
fn listeners_inside_the_range_are_reported_unless_their_port_is_reserved() {
    let listens = r#"listen: "192.168.0.12:40001", count: 1"#;
    assert_eq!(
        found(&client("linux-6.18", EVEN, listens)),
        [(
            "listener-in-range",
            10,
            r#""192.168.0.12:40001""#.to_owned()
        )]
    );
    let reserved = with("net.ipv4.ip_local_reserved_ports: 40001");
    let rules = |kernel: &str| -> Vec<LintRule> {
        let found = findings(&client(kernel, &reserved, listens));
        found.iter().map(|one| one.rule).collect()
    };
    assert!(!rules("linux-6.18").contains(&LintRule::ListenerInRange));
    // There is no such sysctl there, so that the port is not kept.
    assert_eq!(
        rules("linux-2.6.32"),
        [LintRule::UnknownSysctl, LintRule::ListenerInRange]
    );
    let outside = r#"listen: "192.168.0.12:80", count: 1"#;
    assert_eq!(found(&client("linux-6.18", EVEN, outside)), []);
}

#[test]
fn listeners_of_steps_are_found_where_they_bind() {
    let yaml = r#"about: A listener in steps
kernel: linux-6.18
hosts: { h: { sysctl: { net.ipv4.ip_local_port_range: 40000-40003 } } }
steps:
  - { bind: c, at: "127.0.0.1:40002" }
  - { bind: l, at: "127.0.0.1:40001" }
  - { listen: l }
  - { connect: p, to: "127.0.0.1:40001" }
"#;
    assert_eq!(
        found(yaml),
        [(
            "listener-in-range",
            6,
            r#"at: "127.0.0.1:40001""#.to_owned()
        )]
    );
}

#[test]
fn settings_that_a_kernel_has_not_are_reported_with_its_name() {
    let delay = with("net.ipv4.tcp_tw_reuse_delay: 1");
    let finding = one(&client("[linux-6.12, linux-6.14]", &delay, "count: 5"));
    assert_eq!(finding.rule, LintRule::UnknownSysctl);
    let message = &finding.diagnostic.message;
    assert!(message.ends_with("on linux-6.12"), "{message}");
    assert_eq!(
        finding.diagnostic.help.as_deref(),
        Some("who has it: linux-6.14")
    );

    let option = r#"bind: "192.168.0.12:0", count: 5, options: { bind_address_no_port: true }"#;
    let finding = one(&client("[linux-4.1, linux-4.2]", EVEN, option));
    assert_eq!(finding.rule, LintRule::IgnoredOption);
    let message = &finding.diagnostic.message;
    assert!(message.contains("ENOPROTOOPT on linux-4.1"), "{message}");

    // Which takes it of a socket with SO_REUSEPORT only.
    let group = "about: Which kernel lets a group choose?\nkernel: [linux-4.5, linux-4.6]\nhosts: { h: { addresses: [127.0.0.1] } }\nsteps:\n  \
                 - { socket: a, by: app, options: { reuseport: true } }\n  - { set: a, options: { attach_reuseport_cbpf: true } }\n  \
                 - { bind: a, at: \"127.0.0.1:80\" }\n";
    let found = findings(group);
    let of_group = found
        .iter()
        .filter(|one| one.rule == LintRule::IgnoredOption);
    let messages: Vec<&String> = of_group.map(|one| &one.diagnostic.message).collect();
    let [message] = messages[..] else {
        panic!("{found:?}");
    };
    assert!(
        message.ends_with("with ENOPROTOOPT on linux-4.5"),
        "{message}"
    );

    let unknown = with("net.ipv4.no_such_setting: 0");
    let finding = one(&client("linux-6.18", &unknown, "count: 5"));
    let message = &finding.diagnostic.message;
    assert!(message.contains("the model does not know"), "{message}");

    let value = with("net.ipv4.tcp_tw_reuse: 3");
    let finding = one(&client("linux-6.18", &value, "count: 5"));
    assert_eq!(finding.rule, LintRule::RefusedValue);
}

#[test]
fn a_sysctl_that_only_the_first_namespace_has_is_no_sysctl_of_a_container() {
    let yaml = r#"about: A container of an old kernel sets what belongs to the machine
kernel: linux-4.4
hosts:
  node: { machine: m, addresses: [192.168.0.1] }
  pod:
    machine: m
    addresses: [192.168.0.2]
    sysctl:
      net.ipv4.tcp_tw_reuse: 1
processes:
  client: { on: node, connect: "192.168.0.2:80" }
  server: { on: pod, listen: "192.168.0.2:80" }
"#;
    let finding = one(yaml);
    assert_eq!(finding.rule, LintRule::UnknownSysctl);
    let message = &finding.diagnostic.message;
    assert!(
        message.contains("belongs to the whole machine"),
        "{message}"
    );
}

#[test]
fn ends_of_a_slice_outside_of_the_range_are_reported() {
    let slice = |range: &str| format!("count: 5, options: {{ local_port_range: {range} }}");
    let finding = one(&client("linux-6.18", EVEN, &slice("30000-40001")));
    assert_eq!(finding.rule, LintRule::IgnoredOption);
    let message = &finding.diagnostic.message;
    assert!(message.contains("30000, outside"), "{message}");
    let inside = slice("40000-40001");
    let found = findings(&client("linux-6.18", EVEN, &inside));
    let rules: Vec<LintRule> = found.iter().map(|one| one.rule).collect();
    // The slice alone decides now.
    assert_eq!(rules, [LintRule::DoesNothing]);
}

#[test]
fn settings_without_effect_are_found_by_trying() {
    let reuse = with("net.ipv4.tcp_tw_reuse: 1");
    // Nothing is closed, so that there is no TIME-WAIT to use again.
    assert_eq!(
        found(&client("linux-6.18", &reuse, "count: 5")),
        [("does-nothing", 8, "net.ipv4.tcp_tw_reuse: 1".to_owned())]
    );
    // Here there is: the fifth connection needs one of the four ports.
    let busy = "connections: 5, hold: 1s, every: 2s";
    assert_eq!(found(&client("linux-6.18", &reuse, busy)), []);
    // What is written as it is anyway says what is meant.
    let default = with("net.ipv4.tcp_tw_reuse: 2");
    assert_eq!(found(&client("linux-6.18", &default, "count: 5")), []);
    let own = "count: 5, options: { bind_address_no_port: true }";
    let finding = one(&client("linux-6.18", EVEN, own));
    assert_eq!(finding.rule, LintRule::DoesNothing);
    let note = &finding.diagnostic.notes[0];
    assert!(note.contains("does not bind"), "{note}");
}

#[test]
fn a_setting_that_matters_at_one_point_of_the_matrix_matters() {
    let matrix = |holds: &str| {
        let more = r#"connections: 5, hold: "${hold}", every: 2s"#;
        let yaml = client("linux-6.18", &with("net.ipv4.tcp_tw_reuse: 1"), more);
        let matrix = format!("matrix: {{ hold: {holds} }}\nprocesses:");
        yaml.replace("processes:", &matrix)
    };
    assert_eq!(found(&matrix("[1s, forever]")), []);
    assert_eq!(one(&matrix("[forever]")).rule, LintRule::DoesNothing);
}

#[test]
fn without_its_network_nothing_is_said_to_do_nothing() {
    let yaml = client("linux-6.18", &with("net.ipv4.tcp_tw_reuse: 1"), "count: 5");
    let network = format!("{yaml}network: {{ latency: 10ms }}\n");
    assert_eq!(found(&network), []);
}

#[test]
fn stale_advice_is_named() {
    let recycle = with("net.ipv4.tcp_tw_recycle: 1");
    for kernel in ["linux-3.10", "linux-6.18"] {
        let finding = one(&client(kernel, &recycle, "count: 5"));
        assert_eq!(finding.rule, LintRule::StaleAdvice, "{kernel}");
    }
    let finding = one(&client(
        "linux-6.18",
        &with("net.ipv4.tcp_fin_timeout: 10"),
        "count: 5",
    ));
    let note = &finding.diagnostic.notes[0];
    assert!(note.contains("FIN-WAIT-2"), "{note}");
}

#[test]
fn step_widths_without_effect_are_found_by_the_size_of_the_range() {
    let note = |range: &str, width: &str| {
        let sysctl = format!(
            "net.ipv4.ip_local_port_range: {range}\n      net.ipv4.ip_local_port_step_width: {width}"
        );
        // One connection takes the first port that it looks at, whatever the distance to the next.
        let finding = one(&client("linux-7.1", &sysctl, "count: 1"));
        assert_eq!(finding.rule, LintRule::DoesNothing, "{range} {width}");
        finding.diagnostic.notes[0].clone()
    };
    let by_one = "every distance up to it would leave ports of this range out";
    let order = "it changes the order in which connect() looks at ports";
    // A pass visits 4 ports, so that only odd factors reach them all; or 5, or 6.
    for (range, width, hint) in [
        ("40000-40007", "1", by_one),
        ("40000-40007", "2", by_one),
        ("40000-40007", "3", order),
        ("40000-40009", "2", order),
        ("40000-40011", "4", by_one),
        ("40000-40011", "5", order),
    ] {
        let note = note(range, width);
        assert!(note.starts_with(hint), "{range} {width}: {note}");
    }
}

#[test]
fn multipath_tcp_is_written_as_a_process_that_binds() {
    let finding = one(&client(
        "linux-6.18",
        &with("net.mptcp.enabled: 1"),
        "count: 5",
    ));
    assert_eq!(finding.rule, LintRule::DoesNothing);
    let note = &finding.diagnostic.notes[0];
    assert!(note.contains("every subflow but the first binds"), "{note}");
}

#[test]
fn findings_are_allowed_by_comments_and_comments_do_not_outlive_them() {
    for sysctl in [
        "# lint: allow does-nothing: that is the point\n      net.ipv4.tcp_tw_reuse: 1",
        "net.ipv4.tcp_tw_reuse: 1 # lint: allow does-nothing",
    ] {
        let yaml = client("linux-6.18", &with(sysctl), "count: 5");
        assert_eq!(found(&yaml), [], "{sysctl}");
    }
    let yaml = client("linux-6.18", EVEN, "count: 5");
    assert_eq!(
        found(&format!(
            "# lint: allow-file does-nothing, odd-ranges\n{yaml}"
        )),
        [
            ("unused-allow", 1, "does-nothing".to_owned()),
            ("unused-allow", 1, "odd-ranges".to_owned()),
        ]
    );
}

#[test]
fn reuseaddr_on_one_of_two_listeners_says_that_both_need_it() {
    let finding = one(r#"about: A restart
kernel: linux-6.18
hosts: { h: { addresses: [10.0.0.3] } }
steps:
  - { socket: l, by: old }
  - { bind: l, at: "10.0.0.3:9000" }
  - { listen: l }
  - { socket: c, by: client }
  - { connect: c, to: "10.0.0.3:9000" }
  - { accept: l, as: child }
  - { close: child }
  - { close: c }
  - { close: l }
  - { socket: n, by: new, options: { reuseaddr: true } }
  - { bind: n, at: "10.0.0.3:9000" }
"#);
    assert_eq!(finding.rule, LintRule::DoesNothing);
    let text = finding.diagnostic.to_string();
    assert!(
        text.contains("both the old and the new socket need it"),
        "{text}"
    );
}

#[test]
fn a_connection_to_itself_is_found() {
    let finding = one(r#"about: A client of a dead local port
kernel: linux-6.18
hosts: { h: { sysctl: { net.ipv4.ip_local_port_range: 40000-40001 } } }
processes: { client: { connect: "127.0.0.1:40000" } }
"#);
    assert_eq!(finding.rule, LintRule::ToItself);
}

/// Two pods behind a node with a NAT rule, four ports, and a server.
fn behind_nat(sysctl: &str, rule: &str, more: &str) -> String {
    format!(
        r#"about: Two pods behind a node
kernel: linux-6.18
hosts:
  a: {{ addresses: [10.1.0.2], via: node }}
  b: {{ addresses: [10.2.0.2], via: node }}
  node:
    addresses: [192.0.2.1, 192.0.2.2, 192.0.2.3]
    sysctl: {{ {sysctl} }}
    nat: {{ {rule} }}
  db: {{ addresses: [198.51.100.7], listen: "198.51.100.7:5432" }}
processes:
  a: {{ on: a, count: 3, connect: "198.51.100.7:5432" }}
  b: {{ on: b, after: a, count: {more}, connect: "198.51.100.7:5432" }}
"#
    )
}

const FOUR: &str = "masquerade: { ports: 40000-40003 }";

#[test]
fn settings_of_sockets_do_nothing_for_a_nat_host() {
    for (sysctl, reason) in [
        (
            "net.ipv4.ip_local_port_range: 40000-40001",
            "NAT takes its ports from the rule",
        ),
        (
            "net.ipv4.tcp_tw_reuse: 1",
            "nf_conntrack_tcp_timeout_time_wait",
        ),
    ] {
        let finding = one(&behind_nat(sysctl, FOUR, "1"));
        assert_eq!(finding.rule.name(), "does-nothing");
        let text = finding.diagnostic.to_string();
        assert!(text.contains(reason), "{text}");
    }
    // A setting of connection tracking on a host that does none of it.
    let elsewhere = behind_nat("", FOUR, "1").replace(
        "db: { addresses: [198.51.100.7],",
        "db: { addresses: [198.51.100.7], sysctl: { net.netfilter.nf_conntrack_max: 10 },",
    );
    let text = one(&elsewhere).diagnostic.to_string();
    assert!(text.contains("the host does no NAT"), "{text}");
}

#[test]
fn random_makes_no_room_where_connections_are_lost() {
    let rule = format!("{FOUR}, random: fully-random");
    assert_eq!(
        found(&behind_nat("", &rule, "2")),
        [("nat-does-nothing", 9, "random: fully-random".to_owned())]
    );
    // No connection is lost.
    assert_eq!(found(&behind_nat("", &rule, "1")), []);
    assert_eq!(found(&behind_nat("", FOUR, "2")), []);
}

#[test]
fn addresses_that_no_hash_can_give_are_found() {
    let two = "snat: [192.0.2.1, 192.0.2.2], ports: 40000-40003";
    assert_eq!(found(&behind_nat("", two, "1")), []);
    let three = "snat: [192.0.2.1, 192.0.2.2, 192.0.2.3], ports: 40000-40003";
    let [(rule, line, marked)] = &found(&behind_nat("", three, "1"))[..] else {
        panic!("one finding");
    };
    assert_eq!((*rule, *line), ("nat-does-nothing", 9));
    assert!(marked.starts_with("snat"), "{marked}");
    let one = "snat: [192.0.2.1], ports: 40000-40003, persistent: true";
    assert_eq!(
        found(&behind_nat("", one, "1")),
        [("nat-does-nothing", 9, "persistent: true".to_owned())]
    );
}
