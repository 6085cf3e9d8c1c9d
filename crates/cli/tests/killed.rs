//! Nothing stays behind when the command is killed in the middle of a scenario: no process, no
//! namespace, no interface, no sysctl. Where namespaces are not permitted the test says so and
//! checks nothing.
#![cfg(target_os = "linux")]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use common::{command, fourtuple, ignores_interrupts, processes, root, scratch};

/// Two hosts with processes and settings of their own, and a wait that outlasts
/// the test.
const SCENARIO: &str = "\
about: Are namespaces and processes removed when the command is killed?
kernel: all
hosts:
  app:
    addresses: [192.168.0.12]
    sysctl: { net.ipv4.ip_local_port_range: 40000-40003, net.ipv4.tcp_tw_reuse: 0 }
  api: { addresses: [192.168.0.4], listen: 192.168.0.4:3000 }
processes:
  first: { on: app, count: 2, connect: 192.168.0.4:3000 }
  second: { on: app, uid: 0, start: 1h, connect: 192.168.0.4:3000 }
  server: { on: api, listen: 192.168.0.4:80 }
";

fn descendants(of: u32) -> BTreeSet<u32> {
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

fn namespaces(of: impl IntoIterator<Item = u32>) -> BTreeSet<String> {
    let links = of
        .into_iter()
        .filter_map(|pid| fs::read_link(format!("/proc/{pid}/ns/net")).ok());
    links.map(|link| link.display().to_string()).collect()
}

/// Traces that a run could leave on the machine: interfaces, named namespaces, settings.
fn machine() -> Vec<String> {
    let mut all = Vec::new();
    for directory in ["/sys/class/net", "/run/netns"] {
        let mut names: Vec<String> = fs::read_dir(directory)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| format!("{directory}/{}", entry.file_name().display()))
            .collect();
        names.sort();
        all.extend(names);
    }
    for key in [
        "ip_local_port_range",
        "tcp_tw_reuse",
        "ip_local_reserved_ports",
    ] {
        let value = fs::read_to_string(format!("/proc/sys/net/ipv4/{key}"));
        all.push(format!("{key} {}", value.unwrap_or_default().trim()));
    }
    all
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(60), "never: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn start(file: &str) -> Child {
    let arguments = ["certify", file, "--on", "host", "--max-wait", "100000"];
    command(&root(), &arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the command starts")
}

/// Ends the command as `signal` does and waits until nothing is left of all that it had started.
fn end(mut victim: Child, signal: &str, family: &BTreeSet<u32>) {
    let own = namespaces([std::process::id()]);
    let inside: BTreeSet<String> = namespaces(family.iter().copied())
        .difference(&own)
        .cloned()
        .collect();
    let sent = Command::new("kill")
        .args([signal, &victim.id().to_string()])
        .status();
    assert!(sent.expect("kill is there").success());
    let mut status = None;
    wait_until("it has ended", || {
        status = victim.try_wait().expect("it can be asked");
        status.is_some()
    });
    let status = status.expect("it has ended");
    assert!(!status.success(), "it was in the middle of a run");
    wait_until("its processes are gone", || {
        processes().iter().all(|(pid, _)| !family.contains(pid))
    });
    // A process that started after the last look may still be ending.
    wait_until("its namespaces are gone", || {
        namespaces(processes().iter().map(|(pid, _)| *pid)).is_disjoint(&inside)
    });
}

/// The file of a scenario that waits, or nothing where there is no kernel to run it on.
fn waiting(name: &str) -> Option<String> {
    let file = scratch(name).join("wait.yaml");
    fs::write(&file, SCENARIO).expect("a scratch file");
    let file = file.display().to_string();
    // With the usual limit the scenario is left out, so that this only asks whether there is a
    // kernel to run on.
    let can = fourtuple(&root(), &["certify", &file, "--on", "host"]);
    if !can.err.starts_with("error: nothing ran") {
        eprintln!("skipped: {}", can.err.trim());
        return None;
    }
    Some(file)
}

#[test]
fn nothing_stays_after_a_hundred_kills() {
    let Some(file) = waiting("killed") else {
        return;
    };
    let before = machine();
    let interrupt = match ignores_interrupts() {
        true => "-TERM",
        false => "-INT",
    };
    for round in 0..100 {
        let victim = start(&file);
        // From the first process of its own to the whole family: the watcher, the one inside, two
        // hosts, two or three processes.
        let at_least = [6, 1, 3, 6][round % 4];
        let mut family = BTreeSet::new();
        wait_until("the scenario runs", || {
            family.extend(descendants(victim.id()));
            family.len() >= at_least
        });
        let signal = if round % 10 == 9 { interrupt } else { "-KILL" };
        end(victim, signal, &family);
    }
    assert_eq!(machine(), before);
}

/// The command lives on and says that the run says nothing, with the status of a call that could
/// not be answered.
#[test]
fn a_run_that_breaks_off_is_no_answer() {
    let Some(file) = waiting("broken-off") else {
        return;
    };
    let run = ["run", &file, "--engine", "linux"];
    let certify = ["certify", &file, "--on", "host"];
    for verb in [run, certify] {
        let arguments = [&verb, ["--max-wait", "100000"].as_slice()].concat();
        let command = command(&root(), &arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command starts");
        // Two hosts, and a process of its own for each process of the scenario.
        let own = namespaces([std::process::id()]);
        let mut family = BTreeSet::new();
        wait_until("the scenario runs", || {
            family = descendants(command.id());
            namespaces(family.iter().copied()).difference(&own).count() >= 2
        });
        for pid in &family {
            // The first takes others with it.
            let _ = Command::new("kill")
                .args(["-9", &pid.to_string()])
                .stderr(Stdio::null())
                .status();
        }
        let said = command.wait_with_output().expect("it ends");
        let err = String::from_utf8_lossy(&said.stderr);
        assert_eq!(said.status.code(), Some(2), "{verb:?}: {err}");
        assert!(err.starts_with("error: a run broke off: "), "{err}");
    }
}
