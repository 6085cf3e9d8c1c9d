//! Attempts are packed; a reader gets what was recorded, and equal ones are equal however
//! they came to be packed.

use fourtuple_harness::{Answer, Args, Attempt, Attempts, Caller, Recorder, SocketId, SocketName};
use fourtuple_kernel::{Errno, Refusal, Rule};
use fourtuple_scenario::{Family, Op, Shutdown};
use fourtuple_syscall::Returned;
use std::net::SocketAddr;

/// Of everything that is noted, the kinds that there are.
#[derive(Clone, Debug)]
struct Noted {
    at_ns: u64,
    host: &'static str,
    process: &'static str,
    instance: u32,
    /// Its name, or the number of a socket of the process.
    socket: Result<&'static str, u32>,
    op: Op,
    args: Args,
    /// None as long as it has not returned.
    answer: Option<(Answer, Returned, Option<Refusal>)>,
}

fn at(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn refusal(tried: u32) -> Refusal {
    let path = vec!["tcp_v4_connect", "__inet_hash_connect"];
    let mut refusal = Refusal::plain(Errno::EADDRNOTAVAIL, Rule::ALL[0], path);
    refusal.tried = tried;
    refusal
}

fn seen(local: Option<&str>, peer: Option<&str>, bytes: Option<u32>) -> Returned {
    Returned {
        local: local.map(at),
        peer: peer.map(at),
        bytes,
        ..Returned::default()
    }
}

/// Every kind of arguments, of answers, of names and of addresses.
fn all() -> Vec<Noted> {
    let ok = |seen| Some((Answer::Ok, seen, None));
    let failed = |answer, why| Some((answer, Returned::default(), why));
    let to = Args::To(at("10.0.1.1:80"));
    let kinds = [
        (
            Op::Socket,
            Args::Family(Family::Inet6),
            ok(Returned::default()),
        ),
        (
            Op::Set,
            Args::Option("reuseaddr".into(), "true".into()),
            failed(Answer::Errno(Errno::ENOPROTOOPT), None),
        ),
        (
            Op::Bind,
            Args::At(at("[2001:db8::1]:0")),
            ok(seen(Some("[2001:db8::1]:40000"), None, None)),
        ),
        (
            Op::Listen,
            Args::Backlog(u32::MAX),
            ok(seen(Some("0.0.0.0:0"), None, None)),
        ),
        (
            Op::Connect,
            to.clone(),
            ok(seen(Some("10.0.0.1:65535"), Some("10.0.1.1:80"), None)),
        ),
        (
            Op::Connect,
            Args::To(at("0.0.0.0:80")),
            ok(seen(Some("10.0.0.1:1"), Some("10.0.0.1:80"), None)),
        ),
        (
            Op::Connect,
            Args::To(at("127.0.0.1:80")),
            ok(seen(Some("127.0.0.1:1"), Some("127.0.0.1:80"), None)),
        ),
        (
            Op::Connect,
            to.clone(),
            failed(Answer::Errno(Errno::EADDRNOTAVAIL), Some(refusal(4))),
        ),
        (
            Op::Connect,
            to.clone(),
            failed(Answer::Errno(Errno::EADDRNOTAVAIL), Some(refusal(5))),
        ),
        (
            Op::Connect,
            to.clone(),
            failed(Answer::Foreign("PANIC".into()), None),
        ),
        (Op::Connect, to, None),
        (
            Op::Accept,
            Args::As("b".into()),
            failed(Answer::Waiting, None),
        ),
        (Op::Accept, Args::None, ok(Returned::default())),
        (Op::Send, Args::Len(0), ok(seen(None, None, Some(0)))),
        (Op::Recv, Args::Len(7), ok(seen(None, None, Some(u32::MAX)))),
        (
            Op::Shutdown,
            Args::How(Shutdown::Both),
            ok(Returned::default()),
        ),
        (Op::Close, Args::None, ok(Returned::default())),
        (
            Op::Getpeername,
            Args::None,
            ok(seen(None, Some("10.0.1.1:80"), None)),
        ),
    ];
    let callers = [
        ("app", "a", 1, Ok("a")),
        ("app", "b", 1, Ok("a")),
        ("app", "a", 3, Err(u32::MAX)),
        ("api", "a", u32::MAX, Err(1)),
    ];
    let mut all = Vec::new();
    for (n, (op, args, answer)) in (0..).zip(kinds) {
        for (host, process, instance, socket) in callers {
            all.push(Noted {
                at_ns: u64::MAX - n,
                host,
                process,
                instance,
                socket,
                op,
                args: args.clone(),
                answer: answer.clone(),
            });
        }
    }
    all
}

/// Notes the calls, and answers them in the order of these places.
fn recorded(mut recorder: Recorder, all: &[Noted], order: &[usize]) -> Attempts {
    let mut slots = Vec::new();
    for one in all {
        let caller = Caller {
            who: recorder.who(one.host, one.process),
            instance: one.instance,
            socket: match one.socket {
                Ok(name) => recorder.named(name),
                Err(number) => SocketId::Numbered(number),
            },
        };
        slots.push(recorder.call(one.at_ns, caller, one.op, one.args.clone()));
    }
    for place in order {
        match &all[*place].answer {
            Some((Answer::Ok, seen, _)) => recorder.ok(slots[*place], *seen),
            Some((answer, _, why)) => {
                recorder.failed(slots[*place], answer.clone(), why.clone());
            }
            None => {}
        }
    }
    recorder.finish()
}

fn in_order(all: &[Noted]) -> Attempts {
    let order: Vec<usize> = (0..all.len()).collect();
    recorded(Recorder::default(), all, &order)
}

/// The same, with what is kept once in another order.
fn packed_otherwise(all: &[Noted]) -> Attempts {
    let mut recorder = Recorder::with_capacity(1);
    for (host, process) in [("api", "z"), ("api", "a"), ("app", "b")] {
        let _ = recorder.who(host, process);
    }
    let _ = recorder.named("z");
    let backwards: Vec<usize> = (0..all.len()).rev().collect();
    recorded(recorder, all, &backwards)
}

#[test]
fn recorded_attempts_are_read_back() {
    let all = all();
    let attempts = in_order(&all);
    assert_eq!((attempts.len(), attempts.is_empty()), (all.len(), false));
    for (n, (noted, one)) in (1..).zip(all.iter().zip(&attempts)) {
        let waiting = (Answer::Waiting, Returned::default(), None);
        let (answer, seen, why) = noted.answer.as_ref().unwrap_or(&waiting);
        assert_eq!((one.n(), one.at_ns()), (n, noted.at_ns));
        assert_eq!(
            (&**one.host(), &**one.process(), one.instance()),
            (noted.host, noted.process, noted.instance)
        );
        match (noted.socket, one.socket()) {
            (Ok(name), SocketName::Named(read)) => assert_eq!(&**read, name),
            (Err(number), SocketName::Numbered(of, k)) => {
                assert_eq!((&**of, k), (noted.process, number));
            }
            (noted, read) => panic!("{noted:?} is read as {read:?}"),
        }
        assert_eq!((one.op(), one.args()), (noted.op, &noted.args));
        assert_eq!(one.result(), answer);
        assert_eq!(
            (one.local(), one.peer(), one.bytes()),
            (seen.local, seen.peer, seen.bytes)
        );
        assert_eq!(
            one.why().map(|why| why.ports.tried),
            why.as_ref().map(|why| why.tried)
        );
    }
}

#[test]
fn equal_attempts_are_equal_however_they_are_packed() {
    let all = all();
    let (one, other) = (in_order(&all), packed_otherwise(&all));
    assert_eq!(one, in_order(&all));
    assert_eq!(one, other);
    assert_eq!(format!("{one:?}"), format!("{other:?}"));
    assert_ne!(one, in_order(&all[1..]));
    assert_ne!(one, in_order(&all[..all.len() - 1]));
}

#[test]
fn a_difference_in_anything_is_one() {
    let all = all();
    let one = in_order(&all);
    let changes: [fn(&mut Noted); 8] = [
        |noted| noted.at_ns -= 100,
        |noted| noted.host = "db",
        |noted| noted.process = "c",
        |noted| noted.instance = 9,
        |noted| noted.socket = Err(9),
        |noted| noted.op = Op::Disconnect,
        |noted| noted.args = Args::Len(9),
        |noted| {
            noted.answer = Some((
                Answer::Ok,
                Returned {
                    bytes: Some(9),
                    ..Returned::default()
                },
                None,
            ))
        },
    ];
    for at in 0..all.len() {
        for change in changes {
            let mut changed = all.clone();
            change(&mut changed[at]);
            assert_ne!(one, in_order(&changed), "{:?}", changed[at]);
            assert_ne!(one, packed_otherwise(&changed), "{:?}", changed[at]);
        }
    }
}

#[test]
fn ports_and_reasons_count_where_everything_else_is_the_same() {
    let call = |local, why: Option<u32>| {
        let mut noted = all().swap_remove(0);
        noted.answer = Some(match why {
            None => (Answer::Ok, seen(Some(local), None, None), None),
            Some(tried) => (
                Answer::Errno(Errno::EADDRINUSE),
                Returned::default(),
                Some(refusal(tried)),
            ),
        });
        in_order(&[noted])
    };
    assert_eq!(call("10.0.0.1:1", None), call("10.0.0.1:1", None));
    assert_ne!(call("10.0.0.1:1", None), call("10.0.0.1:2", None));
    assert_ne!(call("10.0.0.1:1", None), call("10.0.0.2:1", None));
    assert_eq!(call("", Some(1)), call("", Some(1)));
    assert_ne!(call("", Some(1)), call("", Some(2)));
}

#[test]
fn attempts_are_read_from_both_ends() {
    let all = in_order(&all());
    let numbers: Vec<u32> = all.iter().rev().map(Attempt::n).collect();
    let length = u32::try_from(all.len()).expect("there are few");
    assert_eq!(numbers, (1..=length).rev().collect::<Vec<_>>());
    assert_eq!(all.iter().len(), all.len());
    assert_eq!(all.get(2).map(Attempt::n), Some(3));
    assert_eq!(all.get(all.len()), None);
}
