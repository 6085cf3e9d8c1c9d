//! Processes as bytes.

use fourtuple_program::codec::{TooLong, decode, encode};
use fourtuple_program::{AcceptedFate, Close, HostId, Process, ProcessId, Target};
use fourtuple_syscall::SockOpt;

fn full() -> Process {
    let option = |name, value| SockOpt::parse(name, value).expect("an option");
    Process {
        uid: 1000,
        count: 3,
        start: 5,
        after: vec![ProcessId(1), ProcessId(2)],
        options: vec![
            option("reuseaddr", "true"),
            option("linger", "off"),
            option("local_port_range", "40000-40003"),
            option("bindtodevice", "lo"),
        ],
        bind: vec!["10.0.0.1:0".parse().expect("an address")],
        connect: vec![Target {
            addr: "[fe80::1%2]:80".parse().expect("an address"),
            host: Some(HostId(1)),
        }],
        connections: 7,
        every: u64::MAX,
        hold: Some(9),
        close: Close::Both,
        repeat: 4,
        stop_on_failure: true,
        listen: vec!["[::]:8080".parse().expect("an address")],
        backlog: -1,
        listen_for: Some(0),
        inherit: Some(ProcessId(0)),
        accepted: AcceptedFate::Reset,
        ..Process::new(HostId(2))
    }
}

#[test]
fn processes_survive_encoding() {
    let processes = vec![Process::new(HostId(0)), full()];
    let mut bytes = Vec::new();
    encode(&processes, &mut bytes).expect("they are short");
    bytes.push(42);
    let mut rest = &bytes[..];
    assert_eq!(decode(&mut rest), Some(processes));
    assert_eq!(rest, [42]);
}

#[test]
fn truncated_bytes_are_rejected() {
    let mut bytes = Vec::new();
    encode(&[full()], &mut bytes).expect("it is short");
    for length in 0..bytes.len() {
        assert_eq!(decode(&mut &bytes[..length]), None, "{length}");
    }
}

#[test]
fn long_lists_are_rejected() {
    let process = Process {
        after: vec![ProcessId(0); 1 << 16],
        ..Process::new(HostId(0))
    };
    assert_eq!(encode(&[process], &mut Vec::new()), Err(TooLong));
}
