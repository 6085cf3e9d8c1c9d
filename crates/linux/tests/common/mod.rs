//! Helpers of the engines' tests.

#![allow(dead_code, reason = "each test file uses some of it")]

use fourtuple_linux::{Answer, Host, Outcome, Program, trace};
use fourtuple_syscall::Returned;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The programs in a text of JSON Lines.
pub(crate) fn programs(text: &str) -> Vec<Program> {
    let boots =
        trace::read(text.as_bytes(), Path::new("inline")).expect("the test's programs are right");
    boots.into_iter().flat_map(|b| b.programs).collect()
}

/// One program of steps, each a JSON object on a line of its own.
pub(crate) fn program(hosts: &str, steps: &str) -> Program {
    let steps: Vec<_> = steps
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .collect();
    let hosts = hosts.replace('\n', " ");
    let text = format!(
        r#"{{"program":"test","hosts":{hosts},"steps":[{}]}}"#,
        steps.join(",")
    );
    programs(&text).remove(0)
}

/// The results with the ports and addresses that matter: `ok 40000`, `EADDRINUSE`.
pub(crate) fn results(program: &Program) -> Vec<String> {
    let answers = program
        .steps
        .iter()
        .map(|s| s.answer.as_ref().expect("every step was run"));
    let word = |answer: &Answer| match answer.outcome {
        Outcome::Ok(Returned {
            local: Some(addr), ..
        })
        | Outcome::Ok(Returned {
            peer: Some(addr), ..
        }) => format!("ok {addr}"),
        other => other.to_string(),
    };
    answers.map(word).collect()
}

/// A guest on the running kernel; otherwise prints why the test is skipped.
pub(crate) fn host() -> Option<Host> {
    match Host::start() {
        Ok(host) => Some(host),
        Err(e) => {
            println!("skipped: {e}");
            None
        }
    }
}

/// Every process and its parent, without zombies.
pub(crate) fn processes() -> Vec<(u32, u32)> {
    let pids = fs::read_dir("/proc").expect("it is mounted").flatten();
    let pids = pids.filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The process name before it may contain any character.
        let mut rest = stat.rsplit_once(')')?.1.split_whitespace();
        let state = rest.next()?;
        let parent = rest.next()?.parse().ok()?;
        (state != "Z").then_some((pid, parent))
    })
    .collect()
}

/// All descendants of a process.
pub(crate) fn descendants(of: u32) -> BTreeSet<u32> {
    let all = processes();
    let mut found = BTreeSet::from([of]);
    while let Some((pid, _)) = all
        .iter()
        .find(|(pid, parent)| found.contains(parent) && !found.contains(pid))
    {
        found.insert(*pid);
    }
    found.remove(&of);
    found
}

/// A binder that leaves no port for a plain connect, wildcards, refusals, and a wait.
pub(crate) const ONE_HOST: &str = r#"
    {"op":"sysctl","key":"net.ipv4.ip_local_port_range","value":"40000 40000"}
    {"op":"sysctl","key":"net.ipv4.no_such_sysctl","value":"1"}
    {"op":"socket","sock":"l"}
    {"op":"set","sock":"l","option":"reuseaddr","value":1}
    {"op":"bind","sock":"l","at":"127.0.0.1:5000"}
    {"op":"listen","sock":"l"}
    {"op":"accept","sock":"l","new":"c"}
    {"op":"close","sock":"c"}
    {"op":"socket","sock":"a"}
    {"op":"bind","sock":"a","at":"127.0.0.2:0"}
    {"op":"connect","sock":"a","to":"127.0.0.1:5000"}
    {"op":"socket","sock":"b"}
    {"op":"connect","sock":"b","to":"127.0.0.1:5001"}
    {"op":"bind","sock":"b","at":"127.0.0.2:40000"}
    {"op":"bind","sock":"b","at":"127.0.0.2:5000"}
    {"op":"accept","sock":"l","new":"c"}
    {"op":"send","sock":"a","len":10}
    {"op":"recv","sock":"c","len":100}
    {"op":"recv","sock":"c","len":100}
    {"op":"getpeername","sock":"c"}
    {"op":"socket","sock":"d","family":"inet6"}
    {"op":"connect","sock":"d","to":"[::1]:5000"}
    {"op":"close","sock":"unknown"}
"#;

/// The results of [`ONE_HOST`] on every kernel.
pub(crate) const ONE_HOST_RESULTS: [&str; 23] = [
    "ok",
    "ENOENT",
    "ok",
    "ok",
    "ok 127.0.0.1:5000",
    "ok 127.0.0.1:5000",
    "WAITING",
    "EBADF",
    "ok",
    "ok 127.0.0.2:40000",
    "ok 127.0.0.2:40000",
    "ok",
    "EADDRNOTAVAIL",
    "EADDRINUSE",
    "ok 127.0.0.2:5000",
    "ok 127.0.0.2:40000",
    "ok",
    "ok",
    "WAITING",
    "ok 127.0.0.2:40000",
    "ok",
    "EADDRNOTAVAIL",
    "EBADF",
];

/// Three hosts, the last one with addresses of both families.
pub(crate) const HOSTS: &str = r#"[
    {"name":"app","addresses":["192.168.0.12","192.168.0.13"],"sysctls":{"net.ipv4.ip_local_port_range":"40000 40000"}},
    {"name":"api","addresses":["192.168.0.4","fd00::4"]},
    {"name":"db","addresses":["10.0.0.1","fd00::1"],"sysctls":{"net.ipv4.ip_local_port_range":"50000 50000"}}]"#;

/// Connections between [`HOSTS`].
pub(crate) const HOSTS_STEPS: &str = r#"
    {"op":"socket","sock":"l","host":"api"}
    {"op":"bind","sock":"l","at":"192.168.0.4:3000"}
    {"op":"listen","sock":"l"}
    {"op":"socket","sock":"m","host":"api","family":"inet6"}
    {"op":"set","sock":"m","option":"v6only","value":1}
    {"op":"bind","sock":"m","at":"[fd00::4]:3000"}
    {"op":"listen","sock":"m"}
    {"op":"socket","sock":"a","host":"app"}
    {"op":"connect","sock":"a","to":"192.168.0.4:3000"}
    {"op":"accept","sock":"l","new":"c"}
    {"op":"socket","sock":"b"}
    {"op":"bind","sock":"b","at":"192.168.0.13:40000"}
    {"op":"connect","sock":"b","to":"192.168.0.4:3000"}
    {"op":"socket","sock":"d","host":"db","family":"inet6"}
    {"op":"connect","sock":"d","to":"[fd00::4]:3000"}
    {"op":"accept","sock":"m","new":"e"}
    {"op":"socket","sock":"f","host":"db"}
    {"op":"connect","sock":"f","to":"192.168.0.13:1"}
    {"op":"connect","sock":"f","to":"192.168.0.99:1"}
    {"op":"bind","sock":"f","at":"192.168.0.12:1"}
"#;

/// The results of [`HOSTS_STEPS`] on every kernel.
pub(crate) const HOSTS_RESULTS: [&str; 20] = [
    "ok",
    "ok 192.168.0.4:3000",
    "ok 192.168.0.4:3000",
    "ok",
    "ok",
    "ok [fd00::4]:3000",
    "ok [fd00::4]:3000",
    "ok",
    "ok 192.168.0.12:40000",
    "ok 192.168.0.12:40000",
    "ok",
    "ok 192.168.0.13:40000",
    "ok 192.168.0.13:40000",
    "ok",
    "ok [fd00::1]:50000",
    "ok [fd00::1]:50000",
    "ok",
    "ECONNREFUSED",
    "ENETUNREACH",
    "EADDRNOTAVAIL",
];
