//! The release from which on a scenario has another outcome.

use fourtuple_analysis::{History, histories};
use fourtuple_harness::{Group, Model, kernels, runner};
use fourtuple_render::text;
use fourtuple_scenario::{expand, parse};

fn walked(kernel: &str, process: &str) -> (Vec<History>, String) {
    let yaml = format!(
        r#"about: One after the other
kernel: {kernel}
hosts:
  app: {{ addresses: [192.168.0.12, 192.168.0.13], sysctl: {{ net.ipv4.ip_local_port_range: 40000-40003 }} }}
  api: {{ addresses: [192.168.0.4], listen: ["192.168.0.4:3000", "192.168.0.4:3001"] }}
processes:
  binders: {{ on: app, count: 4, bind: "192.168.0.12:0", connect: "192.168.0.4:3000" }}
  others: {{ on: app, after: binders, {process} }}
"#
    );
    let scenario = parse("changes.yaml", &yaml).unwrap_or_else(|errors| panic!("{errors}"));
    let cases = expand(&scenario, &kernels::names()).unwrap_or_else(|errors| panic!("{errors}"));
    let report = runner::run(&scenario, cases, &[&Model]);
    let found = histories(&report, &Group::all(&report));
    (found, text::compare::compare(&report))
}

const OWN_ADDRESS: &str = r#"bind: "192.168.0.13:0", connect: "192.168.0.4:3001""#;

#[test]
fn kernels_in_between_are_run_to_find_the_first_change() {
    let (found, text) = walked("[linux-2.6.32, linux-6.18]", OWN_ADDRESS);
    assert_eq!(found.len(), 1);
    // Ports are shared between addresses from 3.3 on; neither it nor its neighbour was asked for.
    assert_eq!(found[0].first_change(), "linux-3.3");
    let groups: Vec<_> = found[0].stretches.iter().map(|one| one.group).collect();
    assert_eq!(groups, [Some(0), Some(1)]);
    assert_eq!(found[0].stretches[0].last, "linux-3.2");
    assert!(text.contains("First change: linux-3.3."), "{text}");
}

#[test]
fn each_family_has_its_own_history() {
    let (found, _) = walked("all", OWN_ADDRESS);
    // RHEL had it from the first release that the model knows on, so that nothing changes there.
    let changes: Vec<&str> = found.iter().map(History::first_change).collect();
    assert_eq!(changes, ["linux-3.3"]);
}

#[test]
fn two_families_are_compared_along_mainline() {
    let (found, _) = walked("[linux-2.6.32, rhel-9]", OWN_ADDRESS);
    assert_eq!(found[0].first_change(), "linux-3.3");
    assert_eq!(found[0].stretches[1].last, "rhel-9");
}

#[test]
fn without_a_change_there_is_no_history() {
    let plain = r#"connect: "192.168.0.4:3001""#;
    let (found, text) = walked("[linux-2.6.32, linux-6.18]", plain);
    assert_eq!(found, []);
    assert!(
        text.contains("All of these kernels give the same answers"),
        "{text}"
    );
}

#[test]
fn every_change_over_time_names_its_behaviour() {
    // Shared between addresses from 3.3 on, and 6.1.0 has an address table that misses TIME-WAIT
    // sockets.
    let yaml = r#"
about: A restart, and the daemon gives up when bind() fails
kernel: [linux-6.0, linux-6.1.0, linux-6.18]
hosts: { h: { addresses: [127.0.0.1] } }
steps:
  - { socket: l, by: old }
  - { bind: l, at: "127.0.0.1:9090" }
  - { listen: l }
  - { connect: c, to: "127.0.0.1:9090" }
  - { accept: l, as: child }
  - { close: child }
  - { close: c }
  - { close: l }
  - { socket: n, by: new, options: { reuseaddr: true } }
  - { bind: n, at: "127.0.0.1:9090" }
"#;
    let scenario = parse("changes.yaml", yaml).unwrap_or_else(|errors| panic!("{errors}"));
    let cases = expand(&scenario, &kernels::names()).unwrap_or_else(|errors| panic!("{errors}"));
    let report = runner::run(&scenario, cases, &[&Model]);
    let found = histories(&report, &Group::all(&report));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].stretches.len(), 3);
    for made in &found[0].differences {
        assert!(made.alone, "{made:?}");
        assert!(
            made.behaviours.iter().any(|one| one.name == "bhash2"),
            "{made:?}"
        );
    }
    assert_eq!(found[0].differences.len(), 2);
    let text = text::compare::compare(&report);
    assert_eq!(text.matches("bhash2  ").count(), 2, "{text}");
}
