//! `capacity`: numbers that a person can plan with, and a program can read.

mod common;

use common::{fourtuple, root, scratch};

const ONE_PROGRAM: &str = "\
about: How many connections does a pool of 100 ports give?
kernel: [linux-3.10, linux-6.18]
hosts:
  app: { addresses: [192.168.0.12], sysctl: { net.ipv4.ip_local_port_range: 40000-40099 } }
  api: { addresses: [192.168.0.4, 192.168.0.5], listen: [\"192.168.0.4:3000\", \"192.168.0.5:3000\"] }
processes:
  client: { on: app, connect: [\"192.168.0.4:3000\", \"192.168.0.5:3000\"], hold: 1s }
";

#[test]
fn one_and_all_destinations_and_the_moment_of_running_out() {
    let dir = scratch("capacity");
    std::fs::write(dir.join("pool.yaml"), ONE_PROGRAM).expect("a scratch file");
    let said = fourtuple(&dir, &["capacity", "pool.yaml"]);
    assert_eq!((said.status, said.err.as_str()), (0, ""));
    for wanted in [
        "pool on linux-3.10",
        "pool on linux-6.18",
        "100 ports x 2 destinations",
        "it runs out after 100 connections",
    ] {
        assert!(said.out.contains(wanted), "{wanted}: {}", said.out);
    }

    let said = fourtuple(&dir, &["capacity", "pool.yaml", "--format", "json"]);
    let document: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!(document["format"], 1);
    let capacities = document["capacities"].as_array().expect("a list");
    assert_eq!(capacities.len(), 2);
    for one in capacities {
        let program = &one["programs"][0];
        assert_eq!(program["to_one"]["counted"], 100);
        assert_eq!(program["to_all"]["counted"], 200);
        assert_eq!(program["rate"]["runs_out_after"], 100);
        let recovers = program["rate"]["recovers_after"].as_f64().expect("a time");
        assert!(recovers > 50.0, "{recovers}");
        // As the range fills, a connect() looks at more ports, up to all of them.
        let looked: Vec<f64> = program["cost"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|cost| cost["expected"].as_f64().expect("a number"))
            .collect();
        assert!(looked.is_sorted(), "{looked:?}");
        assert_eq!(looked.last(), Some(&100.0));
    }
    // Before 4.2 a connect() went on where the last one had stopped; the second half has been slow since then.
    let at = |kernel: usize, fill: usize| {
        capacities[kernel]["programs"][0]["cost"][fill]["expected"].as_f64()
    };
    assert!(at(0, 1) < at(1, 1), "{:?} {:?}", at(0, 1), at(1, 1));
}

#[test]
fn a_scenario_without_connections_is_told() {
    let dir = scratch("capacity-nobody");
    let yaml = "\
about: Nobody connects
kernel: linux-6.18
hosts: { h: { addresses: [192.168.0.1] } }
processes: { server: { listen: \"192.168.0.1:80\" } }
";
    std::fs::write(dir.join("nobody.yaml"), yaml).expect("a scratch file");
    let said = fourtuple(&dir, &["capacity", "nobody.yaml"]);
    assert_eq!((said.status, said.out.as_str()), (2, ""));
    assert!(
        said.err.contains("no program of this scenario connects"),
        "{}",
        said.err
    );
    let said = fourtuple(&root(), &["capacity", "no-such-file.yaml"]);
    assert_eq!(said.status, 2);
}
