//! Properties that a process inherits: a umask, ignored signals, an environment, a locale, closed
//! descriptors, a small limit of files. No answer of a verb depends on them.
#![cfg(unix)]

use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::common::scratch;

/// Two processes that compete for one port.
const SCENARIO: &str = "\
about: Do two connections fit into one port?
kernel: [linux-4.4, linux-6.18]
hosts:
  app: { addresses: [192.168.0.12], sysctl: { net.ipv4.ip_local_port_range: 40000-40000 } }
  api: { addresses: [192.168.0.4], listen: 192.168.0.4:3000 }
processes:
  first: { on: app, count: 2, connect: 192.168.0.4:3000 }
expect: { first.connect: { ok: 1, EADDRNOTAVAIL: 1 } }
";

/// A log of `strace`, to be imported.
const LOG: &str = "\
100 10:00:00.000001 socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 3
100 10:00:00.000002 bind(3, {sa_family=AF_INET, sin_port=htons(8080), sin_addr=inet_addr(\"127.0.0.1\")}, 16) = 0
100 10:00:00.000003 listen(3, 128) = 0
";

const VERBS: &[&[&str]] = &[
    &["run", "s.yaml"],
    &["run", "s.yaml", "--format", "json"],
    &["explain", "s.yaml"],
    &["compare", "s.yaml"],
    &["lint", "s.yaml"],
    &["capacity", "s.yaml"],
    &["remedies", "s.yaml"],
    &["explore", "s.yaml"],
    &["import", "strace", "log.strace"],
    &["report", "s.yaml"],
    &["kernels"],
    &["schema"],
    &["completions", "bash"],
    &["man"],
    &["test", "suite"],
    &[
        "fuzz",
        "--engines",
        "model,turmoil",
        "--count",
        "3",
        "--seed",
        "7",
    ],
];

/// Prefixes of a shell command, and whether the answer can still be read from standard output.
const SURROUNDINGS: &[(&str, bool)] = &[
    ("umask 777; exec \"$@\"", true),
    ("trap '' INT HUP PIPE TERM; exec \"$@\"", true),
    ("exec env -i \"$@\"", true),
    ("LC_ALL=C LANG=C exec \"$@\"", true),
    (
        "LC_ALL=tr_TR.UTF-8 LANG=tr_TR.UTF-8 TZ=Asia/Kolkata exec \"$@\"",
        true,
    ),
    ("ulimit -n 24; exec \"$@\"", true),
    ("exec \"$@\" 0<&-", true),
    ("exec \"$@\" 2>&-", true),
    ("exec \"$@\" >&-", false),
    ("exec \"$@\" 0<&- >&- 2>&-", false),
];

fn run_in(surroundings: &str, directory: &Path, verb: &[&str]) -> Output {
    Command::new("sh")
        .args(["-c", surroundings, "sh", env!("CARGO_BIN_EXE_fourtuple")])
        .args(verb)
        .current_dir(directory)
        .env_remove("CLICOLOR_FORCE")
        .stdin(Stdio::null())
        .output()
        .expect("there is a shell")
}

#[test]
fn no_answer_depends_on_what_a_process_inherits() {
    let directory = scratch("surroundings");
    std::fs::write(directory.join("s.yaml"), SCENARIO).expect("a scratch file");
    std::fs::write(directory.join("log.strace"), LOG).expect("a scratch file");
    std::fs::create_dir(directory.join("suite")).expect("a scratch directory");
    std::fs::write(directory.join("suite/s.yaml"), SCENARIO).expect("a scratch file");
    for verb in VERBS {
        let right = run_in("exec \"$@\"", &directory, verb);
        let status = right.status.code();
        let err = String::from_utf8_lossy(&right.stderr);
        assert!(matches!(status, Some(0 | 1)), "{verb:?}: {err}");
        assert!(!right.stdout.is_empty(), "{verb:?}: {err}");
        for (surroundings, is_read) in SURROUNDINGS {
            let name = format!("{verb:?} after `{surroundings}`");
            let said = run_in(surroundings, &directory, verb);
            let err = String::from_utf8_lossy(&said.stderr);
            assert_eq!(said.status.code(), status, "{name}: {err}");
            if *is_read {
                let out = String::from_utf8_lossy(&said.stdout);
                assert_eq!(out, String::from_utf8_lossy(&right.stdout), "{name}");
            }
        }
    }
}

#[test]
fn files_are_written_under_any_umask() {
    let directory = scratch("surroundings-umask");
    std::fs::write(directory.join("s.yaml"), SCENARIO).expect("a scratch file");
    for (verb, made) in [
        (&["report", "s.yaml", "-o", "out.html"][..], "out.html"),
        (&["new", "made.yaml"][..], "made.yaml"),
    ] {
        let said = run_in("umask 777; exec \"$@\"", &directory, verb);
        let err = String::from_utf8_lossy(&said.stderr);
        assert!(matches!(said.status.code(), Some(0 | 1)), "{verb:?}: {err}");
        let written = std::fs::metadata(directory.join(made)).expect("it is there");
        assert!(written.len() > 0, "{verb:?} wrote nothing");
    }
}
