//! A run owns its memory: its answers do not depend on what ran before it.

/// Two sockets have one 4-tuple, because the first is bound to a device.
const SHARED_TUPLE: &str = "
about: two sockets with one 4-tuple
kernel: linux-6.18
seed: 531
hosts:
  app: { addresses: 10.0.0.2, sysctl: { net.ipv4.ip_local_port_range: 32768-32771 }, listen: [10.0.0.2:3000, 10.0.0.2:32768] }
processes:
  a: { options: { bindtodevice: lo }, connect: 10.0.0.2:3000 }
  c: { count: 2, connect: 10.0.0.2:3000 }
";

/// A run that leaves large tables.
const LARGE: &str = "
about: many connections
kernel: linux-6.18
hosts:
  app: { addresses: 10.0.0.2, listen: 10.0.0.2:3000 }
processes:
  many: { count: 9000, connect: 10.0.0.2:3000 }
";

fn answers(text: &str) -> Vec<String> {
    let report = crate::common::report(&crate::common::whole_case(text));
    report.attempts.iter().map(|one| one.answer()).collect()
}

#[test]
fn a_run_is_the_same_whatever_ran_before_it() {
    let first = answers(SHARED_TUPLE);
    // As on Linux: the challenge ACK to the second SYN goes to the newest socket, which resets the
    // old connection.
    assert!(
        first.iter().all(|answer| answer.starts_with("ok")),
        "{first:?}"
    );
    answers(LARGE);
    assert_eq!(answers(SHARED_TUPLE), first);
    let elsewhere = std::thread::spawn(|| answers(SHARED_TUPLE));
    assert_eq!(elsewhere.join().expect("no panic"), first);
}
