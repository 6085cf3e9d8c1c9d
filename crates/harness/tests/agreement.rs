//! Engines compared: what counts as a difference, and what it does.

use crate::common::{case, report};
use fourtuple_harness::{
    Answer, Attempts, Caller, Recorder, RunReport, SocketId, SocketName, Standing, compare,
};
use fourtuple_kernel::Errno;
use fourtuple_syscall::Returned;

const REST: &str = "processes: { a: { on: app, count: 3, connect: 10.0.1.1:80 } }\n";

/// The part of an attempt that another engine sees.
struct Noted {
    at_ns: u64,
    result: Answer,
    seen: Returned,
}

/// The outcome of another engine, which sees the attempts as `change` leaves them; its `bool` says
/// whether there is one.
fn seen_by_another(
    reference: &RunReport,
    mut change: impl FnMut(usize, &mut Noted) -> bool,
) -> RunReport {
    let mut recorder = Recorder::default();
    for (at, one) in reference.attempts.iter().enumerate() {
        let mut noted = Noted {
            at_ns: one.at_ns(),
            result: one.result().clone(),
            seen: Returned {
                local: one.local(),
                peer: one.peer(),
                bytes: one.bytes(),
                ..Returned::default()
            },
        };
        if !change(at, &mut noted) {
            continue;
        }
        let SocketName::Numbered(_, number) = one.socket() else {
            panic!("a process has no names for its sockets");
        };
        let caller = Caller {
            who: recorder.who(one.host().clone(), one.process().clone()),
            instance: one.instance(),
            socket: SocketId::Numbered(number),
        };
        let slot = recorder.call(noted.at_ns, caller, one.op(), one.args().clone());
        match noted.result {
            Answer::Ok => recorder.ok(slot, noted.seen),
            other => recorder.failed(slot, other, None),
        }
    }
    let attempts: Attempts = recorder.finish();
    RunReport {
        engine: "other",
        attempts: attempts.into(),
        ..reference.clone()
    }
}

#[test]
fn times_and_reasons_are_not_compared() {
    let reference = report(&case(REST));
    let other = seen_by_another(&reference, |_, noted| {
        noted.at_ns += 1_000_000;
        true
    });
    let found = compare(&reference, &other, Standing::MustAgree);
    assert!(found.agrees && !found.fails());
    assert_eq!((found.attempts, found.differing), (3, 0));
}

#[test]
fn a_difference_fails_unless_it_is_there_for_contrast() {
    let reference = report(&case(REST));
    let first = reference.attempts.get(0).and_then(|one| one.local());
    let other = seen_by_another(&reference, |at, noted| {
        match at {
            1 => noted.result = Answer::Errno(Errno::EADDRINUSE),
            2 => noted.seen.local = first,
            _ => {}
        }
        true
    });
    let found = compare(&reference, &other, Standing::MustAgree);
    assert!(found.fails());
    assert_eq!((found.differing, found.differing_results), (2, 1));
    let first = found.first.expect("a difference");
    assert_eq!(
        (first.n, first.call.as_str(), first.got.as_deref()),
        (2, "a.2 connect 10.0.1.1:80", Some("EADDRINUSE"))
    );
    assert!(!compare(&reference, &other, Standing::Contrast).fails());
}

#[test]
fn a_missing_call_is_a_difference() {
    let reference = report(&case(REST));
    let other = seen_by_another(&reference, |at, _| at < 2);
    let found = compare(&reference, &other, Standing::MustAgree);
    assert_eq!(
        (found.attempts, found.differing, found.differing_results),
        (3, 1, 1)
    );
    assert_eq!(found.first.expect("a difference").got, None);
}
