//! Engines compared: what counts as a difference, and what it does.

mod common;

use std::sync::Arc;

use common::{case, report};
use fourtuple_harness::{Answer, Standing, agreement::compare};
use fourtuple_kernel::Errno;

const REST: &str = "processes: { a: { on: app, count: 3, connect: 10.0.1.1:80 } }\n";

#[test]
fn times_and_reasons_are_not_compared() {
    let reference = report(&case(REST));
    let mut other = reference.clone();
    other.engine = "other";
    for attempt in Arc::make_mut(&mut other.attempts) {
        attempt.at_ns += 1_000_000;
    }
    let found = compare(&reference, &other, Standing::MustAgree);
    assert!(found.agrees && !found.fails());
    assert_eq!((found.attempts, found.differing), (3, 0));
}

#[test]
fn a_difference_fails_unless_it_is_there_for_contrast() {
    let reference = report(&case(REST));
    let mut other = reference.clone();
    other.engine = "other";
    let attempts = Arc::make_mut(&mut other.attempts);
    attempts[1].result = Answer::Errno(Errno::EADDRINUSE);
    attempts[1].local = None;
    attempts[2].local = attempts[0].local;
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
    let mut other = reference.clone();
    Arc::make_mut(&mut other.attempts).pop();
    let found = compare(&reference, &other, Standing::MustAgree);
    assert_eq!(
        (found.attempts, found.differing, found.differing_results),
        (3, 1, 1)
    );
    assert_eq!(found.first.expect("a difference").got, None);
}
