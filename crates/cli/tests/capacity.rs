//! `capacity`: numbers that a person can plan with, and a program can read.

use crate::common::{fourtuple, root, scratch};

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
        "client on app (linux-3.10)",
        "client on app (linux-6.18)",
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
    // Before 4.2 a connect() went on where the last one had stopped; the second half has been slow
    // since then.
    let at = |kernel: usize, fill: usize| {
        capacities[kernel]["programs"][0]["cost"][fill]["expected"].as_f64()
    };
    assert!(at(0, 1) < at(1, 1), "{:?} {:?}", at(0, 1), at(1, 1));
}

#[test]
fn a_scenario_without_connections_is_reported() {
    let dir = scratch("capacity-no-client");
    let yaml = "\
about: No program connects
kernel: linux-6.18
hosts: { h: { addresses: [192.168.0.1] } }
processes: { server: { listen: \"192.168.0.1:80\" } }
";
    std::fs::write(dir.join("no-client.yaml"), yaml).expect("a scratch file");
    let said = fourtuple(&dir, &["capacity", "no-client.yaml"]);
    assert_eq!((said.status, said.out.as_str()), (2, ""));
    assert!(
        said.err.contains("no program of this scenario connects"),
        "{}",
        said.err
    );
    let said = fourtuple(&root(), &["capacity", "no-such-file.yaml"]);
    assert_eq!(said.status, 2);
}

#[test]
fn a_load_gives_the_range_that_it_needs() {
    let dir = scratch("capacity-need");
    std::fs::write(dir.join("pool.yaml"), ONE_PROGRAM).expect("a scratch file");
    let need = "1000 connections to 2 destinations, 10 per second";
    let said = fourtuple(
        &dir,
        &["capacity", "pool.yaml", "--need", need, "--format", "json"],
    );
    assert_eq!((said.status, said.err.as_str()), (0, ""));
    let document: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
    for one in document["ranges"].as_array().expect("ranges") {
        // 500 held for each destination, and 300 in TIME-WAIT.
        assert_eq!((&one["held"], &one["closed"]), (&500.into(), &300.into()));
        assert_eq!(one["range"], "60200-60999");
        assert_eq!(one["counted"], 800);
    }
    let said = fourtuple(
        &dir,
        &["capacity", "pool.yaml", "--need", "many connections"],
    );
    assert_eq!(said.status, 2);
    assert!(said.err.contains("invalid number `many`"), "{}", said.err);
}

#[test]
fn tables_can_be_pasted_into_a_pull_request() {
    let file = "scenarios/rhel-6.5/connect-after-bind.yaml";
    for verb in ["capacity", "remedies", "compare"] {
        let said = fourtuple(&root(), &[verb, file, "--export", "markdown"]);
        assert_eq!((said.status, said.err.as_str()), (0, ""), "{verb}");
        let lines: Vec<&str> = said
            .out
            .lines()
            .filter(|line| line.starts_with('|'))
            .collect();
        assert!(lines.len() > 2, "{verb}: {}", said.out);
        assert!(lines[1].starts_with("| --- |"), "{verb}: {}", said.out);
        // Escaped bars aside, every row has as many cells as the head.
        let bars = |line: &str| line.replace("\\|", "").matches('|').count();
        assert!(
            lines.iter().all(|line| bars(line) == bars(lines[0])),
            "{verb}: {}",
            said.out
        );
    }
}
