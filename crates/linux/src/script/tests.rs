//! Scripts on the running kernel.

use super::Script;
use crate::Host;
use fourtuple_scenario::{expand, parse};
use std::time::{Duration, Instant};

/// The case of a scenario with one.
fn case(text: &str) -> fourtuple_scenario::Case {
    let scenario = parse("case.yaml", text).expect("it is right");
    let mut cases = expand(&scenario, &fourtuple_harness::kernels::names()).expect("it is right");
    cases.remove(0)
}

fn host() -> Option<Host> {
    Host::start().inspect_err(|e| println!("skipped: {e}")).ok()
}

#[test]
fn no_call_waits_past_the_deadline() {
    let Some(mut host) = host() else { return };
    let case = case(
        "about: Does anything answer?\nkernel: linux-6.18\nhosts: { h: { addresses: [10.0.0.1] } }\n\
         steps:\n  - { connect: a, to: \"10.0.0.9:80\" }\n  - { connect: b, to: \"10.0.0.9:80\" }\n  - { connect: c, to: \"10.0.0.9:80\" }\n",
    );
    let script = Script::of(&case, Duration::from_secs(3)).expect("a kernel can run it");
    let script = script.ending_within(Duration::from_millis(300));
    let start = Instant::now();
    let answered = host.run_request(&script).expect("it runs");
    assert!(start.elapsed() < Duration::from_secs(3));
    let answers = answered.attempts.iter().map(|one| one.answer().to_string());
    assert_eq!(answers.collect::<Vec<_>>(), ["WAITING"; 3]);
}

#[test]
fn a_hosts_own_listener_accepts_whatever_its_backlog_is() {
    let Some(mut host) = host() else { return };
    let case = case(
        "about: Does the backlog fill?\nkernel: linux-6.18\n\
         hosts: { h: { addresses: [10.0.0.1], sysctl: { net.core.somaxconn: 1 }, listen: \"10.0.0.1:80\" } }\n\
         steps:\n  - { connect: a, to: \"10.0.0.1:80\" }\n  - { connect: b, to: \"10.0.0.1:80\" }\n\
         \x20 - { connect: c, to: \"10.0.0.1:80\" }\n  - { connect: d, to: \"127.0.0.1:80\" }\n",
    );
    let script = Script::of(&case, Duration::from_secs(1)).expect("a kernel can run it");
    let answered = host.run_request(&script).expect("it runs");
    let answers = answered.attempts.iter().map(|one| one.result().to_string());
    let refused = "ECONNREFUSED";
    assert_eq!(answers.collect::<Vec<_>>(), ["ok", "ok", "ok", refused]);
}

#[test]
fn attempts_show_the_scope_of_an_address() {
    let Some(mut host) = host() else { return };
    let case = case(
        "about: Is the scope shown?\nkernel: linux-6.18\nhosts: { h: { addresses: [10.0.0.1] } }\n\
         steps:\n  - { socket: a, family: inet6 }\n  - { bind: a, at: \"[fe80::1%lo]:53\" }\n",
    );
    let script = Script::of(&case, Duration::from_secs(1)).expect("a kernel can run it");
    let answered = host.run_request(&script).expect("it runs");
    let bind = answered.attempts.iter().next_back().expect("a bind");
    assert_eq!(bind.call().to_string(), "a bind [fe80::1%lo]:53");
    assert_eq!(bind.result().to_string(), "EADDRNOTAVAIL");
}

#[test]
fn duplicate_address_detection_is_refused_where_it_cannot_be_timed() {
    let reason = |hosts: &str| {
        let text = format!(
            "about: Can it be bound?\nkernel: linux-6.18\nhosts: {{ {hosts} }}\nsteps:\n  - {{ connect: a, to: \"[fd00::9]:80\" }}\n"
        );
        let script = Script::of(&case(&text), Duration::from_secs(1));
        script.err().map(|cannot| cannot.reason)
    };
    assert_eq!(
        reason(r#"h: { addresses: ["fd00::1"], tentative: 2s }"#),
        None
    );
    for (hosts, why) in [
        (
            r#"h: { addresses: ["fd00::1"], tentative: 100ms }"#,
            "shorter than 200 ms",
        ),
        (
            r#"h: { addresses: ["fd00::1", "fd00::2"], tentative: 2s }"#,
            "several tentative addresses of host `h`",
        ),
        (
            r#"h: { addresses: ["fd00::9"], tentative: 2s }"#,
            "looks for it on its links",
        ),
    ] {
        let said = reason(hosts).expect("it is refused");
        assert!(said.contains(why), "{said}");
    }
}
