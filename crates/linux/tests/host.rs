//! Programs on the running kernel. Without permission to make namespaces each test prints that it
//! is skipped.
#![cfg(target_os = "linux")]

mod common;

use common::{
    HOSTS, HOSTS_RESULTS, HOSTS_STEPS, ONE_HOST, ONE_HOST_RESULTS, host, program, results,
};
use fourtuple_linux::{RunError, run_all};
use std::time::{Duration, Instant};

#[test]
fn one_namespace() {
    let Some(mut host) = host() else { return };
    let asked = program("[]", ONE_HOST);
    for _ in 0..3 {
        // The second run finds nothing left of the first.
        let answered = host.run(&asked).expect("it runs");
        assert_eq!(results(&answered), ONE_HOST_RESULTS);
        assert!(answered.steps.windows(2).all(|w| w[0].answer.as_ref().unwrap().at_us <= w[1].answer.as_ref().unwrap().at_us));
    }
}

#[test]
fn several_hosts() {
    let Some(mut host) = host() else { return };
    let asked = program(HOSTS, HOSTS_STEPS);
    match host.run(&asked) {
        Ok(answered) => assert_eq!(results(&answered), HOSTS_RESULTS),
        Err(e @ RunError::Setup { .. }) => println!("skipped: {e}"),
        Err(e) => panic!("{e}"),
    }
}

#[test]
fn a_program_ends_with_the_first_part_of_its_hosts_that_fails() {
    let Some(mut host) = host() else { return };
    let hosts = r#"[{"name":"a","sysctls":{"net.ipv4.no_such_setting":"1"}},{"name":"b"}]"#;
    let asked = program(hosts, r#"{"op":"sleep","ms":600000}"#);
    let start = Instant::now();
    let failed = host.run(&asked).err();
    assert!(
        matches!(&failed, Some(RunError::Setup { what, .. }) if what.contains("no_such_setting")),
        "{failed:?}"
    );
    // Far less than the sleep, which would be for nothing, and far more than a busy machine takes
    // for the hosts.
    assert!(start.elapsed() < Duration::from_secs(300));
    // The guest is ready for the next one.
    let asked = program("[]", r#"{"op":"socket","sock":"a"}"#);
    assert_eq!(results(&host.run(&asked).expect("it runs")), ["ok"]);
}

#[test]
fn one_host_has_its_addresses() {
    let Some(mut host) = host() else { return };
    let steps = r#"
        {"op":"ns"}
        {"op":"addr","at":"10.1.1.2"}
        {"op":"socket","sock":"a"}
        {"op":"bind","sock":"a","at":"10.1.1.1:7"}
        {"op":"socket","sock":"b"}
        {"op":"bind","sock":"b","at":"10.1.1.2:7"}
        {"op":"socket","sock":"c"}
        {"op":"bind","sock":"c","at":"10.1.1.3:7"}
    "#;
    let answered = host
        .run(&program(
            r#"[{"name":"h","addresses":["10.1.1.1"]}]"#,
            steps,
        ))
        .expect("it runs");
    let expected = [
        "ok",
        "ok",
        "ok",
        "ok 10.1.1.1:7",
        "ok",
        "ok 10.1.1.2:7",
        "ok",
        "EADDRNOTAVAIL",
    ];
    assert_eq!(results(&answered), expected);
}

#[test]
fn sockets_of_two_users_do_not_share_a_port() {
    let Some(mut host) = host() else { return };
    let steps = r#"
        {"op":"socket","sock":"a","uid":1000}
        {"op":"set","sock":"a","option":"reuseport","value":1}
        {"op":"bind","sock":"a","at":"127.0.0.1:4000"}
        {"op":"socket","sock":"b","uid":1000}
        {"op":"set","sock":"b","option":"reuseport","value":1}
        {"op":"bind","sock":"b","at":"127.0.0.1:4000"}
        {"op":"socket","sock":"c","uid":1001}
        {"op":"set","sock":"c","option":"reuseport","value":1}
        {"op":"bind","sock":"c","at":"127.0.0.1:4000"}
    "#;
    match host.run(&program("[]", steps)) {
        Ok(answered) => assert_eq!(results(&answered)[8], "EADDRINUSE"),
        Err(e @ RunError::Users { .. }) => {
            assert!(!host.has_users());
            println!("skipped: {e}");
        }
        Err(e) => panic!("{e}"),
    }
}

#[test]
fn invalid_program_does_not_affect_the_others() {
    let Some(mut host) = host() else { return };
    let right = program("[]", r#"{"op":"socket","sock":"a"}"#);
    let wrong = program(
        "[]",
        r#"{"op":"sysctl","key":"kernel.hostname","value":"x"}"#,
    );
    let elsewhere = program("[]", r#"{"op":"sysctl","key":"net..ipv4","value":"x"}"#);
    let mut outcome = Vec::new();
    host.run_each(&[right.clone(), wrong, elsewhere, right], |i, r| {
        outcome.push((i, r.map(|p| results(&p)).map_err(|e| e.to_string())));
    })
    .expect("it runs");
    assert_eq!(outcome[0], (0, Ok(vec!["ok".to_owned()])));
    assert!(
        outcome[1].1.as_ref().is_err_and(
            |e| e.starts_with("program `test`, step 1: invalid sysctl `kernel.hostname`")
        )
    );
    assert!(outcome[2].1.is_err());
    assert_eq!(outcome[3], (3, Ok(vec!["ok".to_owned()])));
}

#[test]
fn many_programs_at_a_time_keep_their_order() {
    if host().is_none() {
        return;
    }
    let asked: Vec<_> = (0..50)
        .map(|i| {
            let port = 4000 + i;
            let steps = [
                r#"{"op":"socket","sock":"a"}"#.to_owned(),
                format!(r#"{{"op":"bind","sock":"a","at":"127.0.0.1:{port}"}}"#),
                r#"{"op":"sleep","ms":5}"#.to_owned(),
            ];
            program("[]", &steps.join("\n"))
        })
        .collect();
    for jobs in [1, 4] {
        let answers = run_all(&asked, jobs).expect("it runs");
        for (i, answer) in answers.into_iter().enumerate() {
            assert_eq!(
                results(&answer.expect("it runs"))[1],
                format!("ok 127.0.0.1:{}", 4000 + i)
            );
        }
    }
}
