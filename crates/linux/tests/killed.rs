//! No process or namespace is left behind, however a run ends.
#![cfg(target_os = "linux")]

mod common;

use common::{HOSTS, descendants, processes, program};
use fourtuple_linux::{Host, Image, Vm};
use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

/// Set for the process that is going to be killed: the kind of run.
const VICTIM: &str = "FOURTUPLE_TEST_VICTIM";

/// Not a test of its own: the process that is killed.
#[test]
fn victim() {
    let sleep = r#"{"op":"sleep","ms":3600000}"#;
    match env::var(VICTIM).as_deref() {
        Ok("host") => {
            let _ = Host::start()
                .expect("the parent could")
                .run(&program(HOSTS, sleep));
        }
        Ok("vm") => {
            let image = Image::named(&env::var("FOURTUPLE_VM_IMAGE").expect("the parent has it"))
                .expect("there is one");
            // Sleeps take no time in a virtual machine, so there have to be many.
            let steps = vec![r#"{"op":"sleep","ms":360000000}"#; 40_000].join("\n");
            let _ = Vm::new(image).run(&[program("[]", &steps)]);
        }
        _ => {}
    }
}

fn start_victim(what: &str) -> Child {
    let mut command = Command::new(env::current_exe().expect("it runs"));
    command
        .args(["--exact", "victim", "--nocapture"])
        .env(VICTIM, what);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts")
}

fn network_namespaces() -> BTreeSet<String> {
    let links = processes()
        .into_iter()
        .filter_map(|(pid, _)| fs::read_link(format!("/proc/{pid}/ns/net")).ok());
    links.map(|l| l.display().to_string()).collect()
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "not within 20 s: {what}"
        );
        thread::sleep(Duration::from_millis(10));
    }
}

/// Starts a victim, kills it once it has `at_least` descendants, and waits until those are gone.
fn kill(what: &str, at_least: usize) {
    let mut victim = start_victim(what);
    let mut family = BTreeSet::new();
    wait_until("the victim runs", || {
        family = descendants(victim.id());
        family.len() >= at_least
    });
    let own = fs::read_link("/proc/self/ns/net")
        .expect("it is there")
        .display()
        .to_string();
    let namespaces = |family: &BTreeSet<u32>| -> BTreeSet<String> {
        let links = family
            .iter()
            .filter_map(|pid| fs::read_link(format!("/proc/{pid}/ns/net")).ok());
        links
            .map(|l| l.display().to_string())
            .filter(|n| *n != own)
            .collect()
    };
    let inside = namespaces(&family);
    victim.kill().expect("it runs");
    victim.wait().expect("it has ended");
    wait_until("its processes are gone", || {
        processes().iter().all(|(pid, _)| !family.contains(pid))
    });
    assert!(
        network_namespaces().is_disjoint(&inside),
        "a namespace is still in use"
    );
}

#[test]
fn host_run() {
    if common::host().is_none() {
        return;
    }
    let interfaces = fs::read_to_string("/proc/net/dev")
        .map(|t| t.lines().count())
        .ok();
    for _ in 0..5 {
        // The watcher, the guest itself, and one process for each host.
        kill("host", 5);
    }
    // At arbitrary moments of the start.
    for _ in 0..20 {
        kill("host", 1);
    }
    assert_eq!(
        fs::read_to_string("/proc/net/dev")
            .map(|t| t.lines().count())
            .ok(),
        interfaces
    );
}

#[test]
fn vm_run() {
    if env::var_os("FOURTUPLE_VM_IMAGE").is_none() {
        println!("skipped: FOURTUPLE_VM_IMAGE names no kernel image");
        return;
    }
    for _ in 0..3 {
        kill("vm", 1);
    }
}
