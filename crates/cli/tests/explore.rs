//! `explore`: what can happen, and witnesses that repeat.

use crate::common::{fourtuple, root, scratch};

const SMALL: &str = "\
about: The report at three ports, two binders and two plain programs in any order
kernel: linux-6.18
hosts:
  app: { addresses: [192.168.0.12], sysctl: { net.ipv4.ip_local_port_range: 40000-40002 } }
  api: { addresses: [192.168.0.4, 192.168.0.5], listen: [\"192.168.0.4:3000\", \"192.168.0.5:3000\"] }
processes:
  binders: { on: app, count: 2, bind: \"192.168.0.12:0\", connect: \"192.168.0.4:3000\" }
  plain: { on: app, count: 2, connect: \"192.168.0.5:3000\" }
";

#[test]
fn help_has_an_example() {
    let said = fourtuple(&root(), &["explore", "--help"]);
    assert_eq!(said.status, 0);
    assert!(
        said.out.contains("Example: fourtuple explore"),
        "{}",
        said.out
    );
}

#[test]
fn every_outcome_has_a_witness_and_there_is_no_other() {
    let dir = scratch("explore");
    std::fs::write(dir.join("small.yaml"), SMALL).expect("a scratch file");
    let said = fourtuple(&dir, &["explore", "small.yaml"]);
    assert_eq!(said.status, 0, "{}", said.err);
    assert!(said.out.contains("Exhaustive: every order"), "{}", said.out);
    let json = fourtuple(&dir, &["explore", "small.yaml", "--format", "json"]);
    let document: serde_json::Value = serde_json::from_str(&json.out).expect("JSON");
    let outcomes = document["explorations"][0]["outcomes"]
        .as_array()
        .expect("outcomes")
        .len();
    assert!(outcomes > 1);
    for n in 1..=outcomes {
        repeats(&dir, "linux-6.18", n);
    }
    let said = fourtuple(
        &dir,
        &[
            "explore",
            "small.yaml",
            "--witness",
            &(outcomes + 1).to_string(),
        ],
    );
    assert_eq!(said.status, 2);
    assert!(said.err.contains("unknown outcome"), "{}", said.err);
    for jobs in ["1", "3"] {
        let again = fourtuple(
            &dir,
            &["explore", "small.yaml", "--format", "json", "--jobs", jobs],
        );
        assert_eq!(again.out, json.out);
    }
}

/// The witness of an outcome comes to that outcome again.
fn repeats(dir: &std::path::Path, kernel: &str, n: usize) {
    let n = n.to_string();
    let said = fourtuple(
        dir,
        &["explore", "small.yaml", "--kernel", kernel, "--witness", &n],
    );
    assert_eq!(said.status, 0, "{}", said.err);
    assert!(
        said.out.contains("came to the same outcome"),
        "{kernel}: {}",
        said.out
    );
}

#[test]
fn every_port_can_be_reached_on_the_kernel_of_the_report() {
    let dir = scratch("explore-rhel");
    std::fs::write(dir.join("small.yaml"), SMALL).expect("a scratch file");
    let arguments = [
        "explore",
        "small.yaml",
        "--kernel",
        "rhel-6.5",
        "--format",
        "json",
    ];
    let said = fourtuple(&dir, &arguments);
    let document: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
    let outcomes = document["explorations"][0]["outcomes"].as_array();
    let outcomes = outcomes.expect("outcomes").len();
    // Either the binders have a port each and a plain connect() is left with one, or the other way
    // round.
    assert_eq!(outcomes, 2);
    for n in 1..=outcomes {
        repeats(&dir, "rhel-6.5", n);
    }
}

#[test]
fn too_many_states_are_sampled() {
    let dir = scratch("explore-sampled");
    std::fs::write(dir.join("small.yaml"), SMALL).expect("a scratch file");
    let said = fourtuple(
        &dir,
        &["explore", "small.yaml", "--budget", "5", "--samples", "50"],
    );
    assert_eq!(said.status, 0, "{}", said.err);
    assert!(said.out.contains("Sampled, not exhaustive"), "{}", said.out);
}
