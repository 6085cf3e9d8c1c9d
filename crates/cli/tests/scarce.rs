//! Limits of the system: with few file descriptors, processes or little memory each verb gives the
//! right answer, or a sentence and exit status 2. It never hangs, panics, or reports success for
//! what has not run.
#![cfg(target_os = "linux")]

mod common;

use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use common::{root, scratch};

/// Two hosts with a listener on one of them, for any kernel.
const SCENARIO: &str = "\
about: Is there an answer or a sentence?
kernel: all
hosts:
  app: { addresses: [192.168.0.12], sysctl: { net.ipv4.ip_local_port_range: 40000-40003 } }
  api: { addresses: [192.168.0.4], listen: 192.168.0.4:3000 }
processes:
  first: { on: app, count: 2, connect: 192.168.0.4:3000 }
expect: { first.connect: ok }
";

/// Far longer than any of the runs takes on a busy machine.
const HANGS: Duration = Duration::from_secs(240);

/// The command under a limit, such as `--nofile=10`, as an ordinary user if `uid` says so.
fn limited(limit: &str, uid: Option<u32>, arguments: &[&str]) -> Command {
    let mut command = Command::new("prlimit");
    command
        .args([limit, env!("CARGO_BIN_EXE_fourtuple")])
        .args(arguments)
        .current_dir(root())
        .env_remove("CLICOLOR_FORCE")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(uid) = uid {
        command.uid(uid).gid(uid);
    }
    command
}

/// Returns the output of the command; none if it did not end in time.
fn ended(mut command: Command) -> Option<Output> {
    let mut child = command.spawn().expect("prlimit, of util-linux");
    let start = Instant::now();
    while child.try_wait().expect("it can be asked").is_none() {
        if start.elapsed() > HANGS {
            let _ = child.kill();
            return None;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.wait_with_output().ok()
}

fn file(name: &str) -> String {
    let path = scratch(name).join("scenario.yaml");
    std::fs::write(&path, SCENARIO).expect("a scratch file");
    path.to_str().expect("text").to_owned()
}

/// Runs each verb under each limit. A limit under which not even `--version` starts is not the
/// command's matter.
fn try_all(resource: &str, limits: &[u64], verbs: &[&[&str]]) {
    for verb in verbs {
        let right = ended(limited("--core=0", None, verb)).expect("it ends");
        let err = String::from_utf8_lossy(&right.stderr);
        if err.contains("the running kernel cannot be used") {
            eprintln!("not tested: {verb:?}: {}", err.trim());
            continue;
        }
        assert_eq!(right.status.code(), Some(0), "{verb:?}: {err}");
        let mut failed = 0;
        for limit in limits {
            let limit = format!("{resource}={limit}");
            let starts = ended(limited(&limit, None, &["--version"]));
            if !starts.is_some_and(|said| said.status.success()) {
                failed += 1;
                continue;
            }
            let name = format!("{limit} {verb:?}");
            let said = ended(limited(&limit, None, verb));
            let said = said.unwrap_or_else(|| panic!("{name} hangs"));
            if said.status.code() == Some(0) {
                let out = String::from_utf8_lossy(&said.stdout);
                assert_eq!(out, String::from_utf8_lossy(&right.stdout), "{name}");
            } else {
                failed += 1;
                is_reported(&name, &said);
            }
        }
        // The model needs nothing but memory.
        let is_real = verb.iter().any(|word| ["linux", "host"].contains(word));
        let needs_it = resource == "--as" || is_real;
        assert!(
            failed > 0 || !needs_it,
            "{resource}: no limit is too small for {verb:?}"
        );
        assert!(
            failed < limits.len(),
            "{resource}: each limit is too small for {verb:?}"
        );
    }
}

/// The failure is a sentence and exit status 2.
fn is_reported(name: &str, said: &Output) {
    let err = String::from_utf8_lossy(&said.stderr);
    assert_eq!(
        said.status.code(),
        Some(2),
        "{name}: {:?}: {err}",
        said.status
    );
    assert!(err.starts_with("error: "), "{name}: {err}");
    assert!(!err.contains("panicked"), "{name}: {err}");
}

#[test]
fn few_file_descriptors() {
    let file = file("scarce-files");
    let limits = [4, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 24, 64];
    let verbs: [&[&str]; 3] = [
        &["run", &file, "-q"],
        &["run", &file, "-q", "--engine", "linux"],
        &["certify", &file, "--on", "host"],
    ];
    try_all("--nofile", &limits, &verbs);
}

#[test]
fn few_processes() {
    let file = file("scarce-processes");
    // The limit does not hold for root.
    let is_root = std::fs::metadata("/proc/self").expect("proc").uid() == 0;
    let uid = is_root.then_some(61_234);
    let starts = limited("--core=0", uid, &["run", &file, "-q", "--engine", "model"]).output();
    if !starts.is_ok_and(|said| said.status.success()) {
        eprintln!("not tested: another user may not start the command here");
        return;
    }
    let limits: &[u64] = match is_root {
        true => &[1, 2, 3, 4, 5, 6, 8, 10, 16, 200],
        // Others of the user's processes count.
        false => &[1, 100_000],
    };
    for engine in ["model", "turmoil", "linux"] {
        for limit in limits {
            let name = format!("--nproc={limit} {engine}");
            let verb = ["run", &file, "-q", "--engine", engine];
            let said = ended(limited(&format!("--nproc={limit}"), uid, &verb));
            let said = said.unwrap_or_else(|| panic!("{name} hangs"));
            // The engines without a kernel need no thread but the first.
            match said.status.success() {
                false if engine == "linux" => is_reported(&name, &said),
                is_good => assert!(is_good, "{name}: {said:?}"),
            }
        }
    }
}

#[test]
fn little_memory() {
    let file = file("scarce-memory");
    let limits = [
        8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 128, 192, 256, 512, 4096,
    ];
    let limits = limits.map(|mib: u64| mib << 20);
    let verbs: [&[&str]; 2] = [
        &["run", &file, "-q"],
        &["run", &file, "-q", "--engine", "model"],
    ];
    try_all("--as", &limits, &verbs);
}
