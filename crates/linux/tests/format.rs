//! Reading and writing traces.

mod common;

use common::programs;
use fourtuple_kernel::profile::find;
use fourtuple_linux::{profile_of_recording, trace};
use std::path::Path;

const TRACE: &str = concat!(
    r#"{"trace":1,"kernel":"k","release":"r","profile":"p"}"#,
    "\n",
    r#"{"program":"x","steps":[{"op":"ns","at_us":1,"result":"ok"},"#,
    r#"{"op":"socket","at_us":2,"result":"ok","sock":"a","family":"inet6"},"#,
    r#"{"op":"set","at_us":3,"result":"ENOPROTOOPT","sock":"a","option":"local_port_range","value":"40000-40001"},"#,
    r#"{"op":"bind","at_us":4,"result":"EINVAL","sock":"a","at":"[::ffff:127.0.0.1]:0","port":null},"#,
    r#"{"op":"bind","at_us":5,"result":"ok","sock":"a","at":"[::]:0","port":40000},"#,
    r#"{"op":"connect","at_us":6,"result":"WAITING","sock":"a","to":"127.0.0.1:5000"},"#,
    r#"{"op":"close","at_us":7,"result":"NOSOCK","sock":"b"}]}"#,
    "\n",
);

#[test]
fn traces_survive_a_round_trip() {
    let boots = trace::read(TRACE.as_bytes(), Path::new("t")).expect("it is right");
    let mut written = Vec::new();
    trace::write(&mut written, &boots).expect("memory takes it");
    assert_eq!(String::from_utf8(written).expect("it is text"), TRACE);
}

#[test]
fn defaults_may_be_written() {
    let steps = |flag: &str, backlog: &str, uid: &str| {
        programs(&format!(
            concat!(
                r#"{{"program":"x","steps":[{{"op":"socket","sock":"a"{uid}}},"#,
                r#"{{"op":"set","sock":"a","option":"reuseaddr","value":{flag}}},"#,
                r#"{{"op":"listen","sock":"a"{backlog}}}]}}"#
            ),
            flag = flag,
            backlog = backlog,
            uid = uid
        ))
    };
    let short = steps("true", "", "");
    assert_eq!(steps("1", r#","backlog":128"#, r#","uid":0"#), short);
    assert_ne!(steps("0", "", ""), short);
}

#[test]
fn errors_name_the_line() {
    let wrong = [
        ("{", "t:2: column 1: EOF"),
        (
            r#"{"program":"x"}"#,
            "t:2: column 15: missing field `steps`",
        ),
        (
            r#"{"program":"x","steps":[{"op":"jump"}]}"#,
            "t:2: column 38: unknown op `jump`: expected ns, ",
        ),
        (
            r#"{"program":"x","steps":[{"op":"bind","sock":"a"}]}"#,
            "t:2: column 49: `bind` needs `at`",
        ),
        (
            r#"{"program":"x","steps":[{"op":"bind","sock":"a","at":"x"}]}"#,
            "t:2: column 58: invalid `at` value `x`: `bind` needs an address",
        ),
        (
            r#"{"program":"x","steps":[{"op":"set","sock":"a","option":"x","value":1}]}"#,
            "t:2: column 71: invalid socket option `x` with value `1`: unknown socket option",
        ),
        (
            r#"{"program":"x","steps":[{"op":"ns","result":"EWHAT"}]}"#,
            "t:2: column 53: `result`: invalid result `EWHAT`",
        ),
        (
            r#"{"program":"x","steps":[{"op":"ns","colour":1}]}"#,
            "t:2: column 43: unknown field `colour`",
        ),
        (
            r#"{"trace":2}"#,
            "t:2: unknown trace format 2: expected format 1",
        ),
        ("\u{0}", "t:2: column 1: "),
    ];
    for (line, message) in wrong {
        let e = trace::read(format!("\n{line}\n").as_bytes(), Path::new("t"))
            .expect_err(line)
            .to_string();
        assert!(e.starts_with(message), "{line}: {e}");
    }
    let e = trace::read(&b"\xff\n"[..], Path::new("t"))
        .expect_err("it is not text")
        .to_string();
    assert_eq!(e, "t:1: not UTF-8");
    assert_eq!(programs("\n\n").len(), 0);
}

#[test]
fn a_recording_has_the_profile_of_its_stable_release() {
    let cases = [
        ("linux-6.16", "6.16.12+deb13-cloud-amd64", "linux-6.16.1"),
        ("linux-6.16", "6.16.0", "linux-6.16"),
        ("linux-6.1", "6.18.1", "linux-6.1"),
        ("ubuntu-24.04", "6.8.0-31-generic", "ubuntu-24.04"),
        ("ubuntu-24.04", "6.8.1", "ubuntu-24.04.0"),
    ];
    for (header, release, profile) in cases {
        let found = profile_of_recording(header, release).map(|found| found.behaviours);
        assert_eq!(
            found,
            find(profile).map(|right| right.behaviours),
            "{header}, {release}"
        );
    }
}
