//! Limits of the system: with few file descriptors, processes or little memory each verb gives the right answer, or a
//! sentence and exit status 2. It never hangs, panics, or reports success for what has not run.
#![cfg(target_os = "linux")]

mod common;

use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
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

/// A shell that sets a limit and becomes the command, as an ordinary user if `uid` says so.
fn limited(flag: &str, limit: u64, uid: Option<u32>, arguments: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit \"$1\" \"$2\" && shift 2 && exec \"$@\"", "sh"])
        .args([flag, &limit.to_string(), env!("CARGO_BIN_EXE_fourtuple")])
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

/// What the command said; none if it had not ended in time.
fn ended(mut command: Command) -> Option<Output> {
    let mut child = command.spawn().expect("a shell");
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

fn file() -> PathBuf {
    let path = scratch("scarce").join("scenario.yaml");
    std::fs::write(&path, SCENARIO).expect("a scratch file");
    path
}

/// Runs each verb under each limit. A limit under which not even `--version` starts is not the command's matter.
fn try_all(flag: &str, limits: &[u64], uid: Option<u32>, verbs: &[&[&str]]) {
    for verb in verbs {
        let right = ended(limited("-c", 0, uid, verb)).expect("it ends");
        let err = String::from_utf8_lossy(&right.stderr);
        if err.contains("may not be read") || err.contains("the running kernel cannot be used") {
            eprintln!("not tested: {verb:?}: {}", err.trim());
            continue;
        }
        assert_eq!(right.status.code(), Some(0), "{verb:?}: {err}");
        let mut failed = 0;
        for &limit in limits {
            let starts = ended(limited(flag, limit, uid, &["--version"]));
            if !starts.is_some_and(|said| said.status.success()) {
                failed += 1;
                continue;
            }
            let name = format!("ulimit {flag} {limit}, {verb:?}");
            let said =
                ended(limited(flag, limit, uid, verb)).unwrap_or_else(|| panic!("{name} hangs"));
            let err = String::from_utf8_lossy(&said.stderr);
            match said.status.code() {
                Some(0) => assert_eq!(
                    String::from_utf8_lossy(&said.stdout),
                    String::from_utf8_lossy(&right.stdout),
                    "{name}: another answer"
                ),
                Some(2) => {
                    failed += 1;
                    assert!(
                        err.lines().any(|line| line.starts_with("error: ")),
                        "{name}: {err}"
                    );
                    assert!(!err.contains("panicked"), "{name}: {err}");
                }
                code => panic!("{name}: status {code:?}: {err}"),
            }
        }
        assert!(
            failed > 0,
            "{flag}: no limit is small enough to test anything with {verb:?}"
        );
        assert!(
            failed < limits.len(),
            "{flag}: each limit is too small for {verb:?}"
        );
    }
}

#[test]
fn few_file_descriptors() {
    let file = file();
    let file = file.to_str().expect("text");
    let limits = [4, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 24, 64];
    let verbs: [&[&str]; 3] = [
        &["run", file, "-q"],
        &["run", file, "-q", "--engine", "linux"],
        &["certify", file, "--on", "host"],
    ];
    try_all("-n", &limits, None, &verbs);
}

#[test]
fn few_processes() {
    let file = file();
    let file = file.to_str().expect("text");
    // The limit does not hold for root.
    let is_root = std::fs::metadata("/proc/self").expect("proc").uid() == 0;
    let uid = is_root.then_some(61_234);
    let readable = Command::new(env!("CARGO_BIN_EXE_fourtuple"))
        .arg("--version")
        .uid(uid.unwrap_or(0))
        .output();
    if is_root && !readable.is_ok_and(|said| said.status.success()) {
        eprintln!("not tested: another user may not start the command here");
        return;
    }
    let verbs: [&[&str]; 2] = [
        &["run", file, "-q"],
        &["run", file, "-q", "--engine", "linux"],
    ];
    for verb in verbs {
        // The model needs no thread of its own, and answers in any case.
        let limits: &[u64] = match is_root {
            true => &[1, 2, 3, 4, 6, 8, 200],
            false => &[1, 100_000],
        };
        for &limit in limits {
            let said = ended(limited("-u", limit, uid, verb));
            let said = said.unwrap_or_else(|| panic!("ulimit -u {limit}, {verb:?} hangs"));
            let err = String::from_utf8_lossy(&said.stderr);
            let good = match said.status.code() {
                Some(0) => true,
                Some(2) => err.starts_with("error: ") && !err.contains("panicked"),
                _ => false,
            };
            assert!(
                good,
                "ulimit -u {limit}, {verb:?}: {:?}: {err}",
                said.status
            );
        }
    }
}

#[test]
fn little_memory() {
    let file = file();
    let file = file.to_str().expect("text");
    let limits = [
        10, 16, 24, 32, 40, 48, 56, 64, 80, 96, 128, 192, 256, 512, 1024, 4096,
    ];
    let limits = limits.map(|mib: u64| mib << 10);
    try_all(
        "-v",
        &limits,
        None,
        &[
            &["run", file, "-q"],
            &["run", file, "-q", "--engine", "model"],
        ],
    );
}
