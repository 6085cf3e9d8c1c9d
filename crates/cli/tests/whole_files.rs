//! Whatever ends the command, the files that it writes are there whole or not at all, and it says
//! what happened.

#![cfg(target_os = "linux")]

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::{Said, command, fourtuple, ignores_interrupts, root, scratch};

const SCENARIO: &str = "scenarios/rhel-6.5/connect-after-bind.yaml";

fn report(to: &Path) -> Said {
    fourtuple(
        &root(),
        &["report", SCENARIO, "-o", to.to_str().expect("text")],
    )
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).expect("the directory can be read");
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        let name = entry.expect("an entry").file_name();
        name.into_string().expect("text")
    };
    let mut names: Vec<String> = entries.map(name).collect();
    names.sort();
    names
}

#[test]
fn a_file_is_replaced_in_one_step_and_keeps_its_permissions() {
    let directory = scratch("whole-replaced");
    let page = directory.join("report.html");
    std::fs::write(&page, "what was there").expect("written");
    std::fs::set_permissions(&page, std::fs::Permissions::from_mode(0o640)).expect("set");
    let before = page.metadata().expect("there").ino();
    assert_eq!(report(&page).status, 0);
    let after = page.metadata().expect("there");
    assert_ne!(before, after.ino(), "the old file was overwritten in place");
    assert_eq!(after.mode() & 0o777, 0o640);
    let text = std::fs::read_to_string(&page).expect("text");
    assert!(text.trim_end().ends_with("</html>"));
    assert_eq!(names(&directory), ["report.html"]);
}

#[test]
fn behind_a_link_the_file_is_replaced_and_the_link_stays() {
    let directory = scratch("whole-link");
    std::fs::write(directory.join("page"), "").expect("written");
    let link = directory.join("link.html");
    std::os::unix::fs::symlink("page", &link).expect("a link");
    assert_eq!(report(&link).status, 0);
    assert!(link.is_symlink());
    assert!(directory.join("page").metadata().expect("there").len() > 1000);
}

#[test]
fn a_full_disk_is_reported() {
    for arguments in [
        &["report", SCENARIO, "-o", "/dev/full"][..],
        &["man", "/dev/full/x"],
    ] {
        let said = fourtuple(&root(), arguments);
        assert_eq!(said.status, 2, "{said:?}");
        assert!(
            said.err.starts_with("error: failed to write /dev/full"),
            "{said:?}"
        );
        assert_eq!(said.err.lines().count(), 1, "{said:?}");
    }
    // Standard output on a full disk.
    for verb in [
        &["run", SCENARIO][..],
        &["run", SCENARIO, "--engine", "model", "--format", "json"],
        &[
            "run",
            SCENARIO,
            "--engine",
            "model",
            "--format",
            "json-lines",
        ],
        &["run", SCENARIO, "--engine", "model", "--format", "junit"],
        &["report", SCENARIO, "--engine", "model"],
        &["explain", SCENARIO],
        &["--help"],
        &["schema"],
        &["completions", "bash"],
        &["man"],
    ] {
        let full = std::fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .expect("Linux has it");
        let output = command(&root(), verb)
            .stdout(full)
            .output()
            .expect("it starts");
        assert_eq!(output.status.code(), Some(2), "{verb:?}");
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(
            err.contains("failed to write") && !err.contains("panicked"),
            "{verb:?}: {err}"
        );
    }
}

/// A disk of 8 KiB, in a mount namespace of its own, on which there is a page already.
#[test]
fn a_disk_that_is_full_half_way_keeps_what_was_there() {
    let directory = scratch("whole-full");
    let script = "mount -t tmpfs -o size=8k none \"$1\" || exit 77
        echo 'what was there' > \"$1/report.html\"
        \"$2\" report \"$3\" -o \"$1/report.html\"
        echo \"status $?\"
        ls -A \"$1\"
        cat \"$1/report.html\"";
    let output = Command::new("unshare")
        .args([
            "--user",
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            script,
            "sh",
        ])
        .arg(&directory)
        .args([env!("CARGO_BIN_EXE_fourtuple"), SCENARIO])
        .current_dir(root())
        .env_remove("CLICOLOR_FORCE")
        .output();
    let output = match output {
        Ok(output) if ![Some(1), Some(77)].contains(&output.status.code()) => output,
        other => {
            eprintln!("not tested: no disk can be made here ({other:?})");
            return;
        }
    };
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(
        err.starts_with("error: ") && err.ends_with("report.html: no storage space\n"),
        "{err}"
    );
    let out = String::from_utf8_lossy(&output.stdout);
    assert_eq!(out, "status 2\nreport.html\nwhat was there\n");
}

#[test]
fn a_directory_that_may_not_be_written_to_is_reported_and_left_alone() {
    let directory = scratch("whole-read-only");
    std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o555)).expect("set");
    let page = directory.join("report.html");
    let mut call = command(
        &root(),
        &["report", SCENARIO, "-o", page.to_str().expect("text")],
    );
    if Path::new("/proc/self").metadata().expect("proc").uid() == 0 {
        // Permissions do not hold root back.
        call.uid(65534).gid(65534);
    }
    let output = match call.output() {
        Ok(output) => output,
        Err(error) => {
            eprintln!("not tested: another user may not start the command here ({error})");
            return;
        }
    };
    let err = String::from_utf8_lossy(&output.stderr);
    if err.contains("permission denied") || err.contains("no such file") {
        eprintln!("not tested: another user may not read the scenarios here");
        return;
    }
    assert_eq!(output.status.code(), Some(2), "{err}");
    let expected = format!(
        "error: failed to write {}: permission denied\n",
        page.display()
    );
    assert_eq!(err, expected);
    assert!(names(&directory).is_empty());
}

#[test]
fn a_file_that_must_not_be_replaced_is_left_alone() {
    let directory = scratch("whole-kept");
    std::fs::write(directory.join("mine.yaml"), "mine").expect("written");
    let said = fourtuple(&directory, &["new", "mine.yaml"]);
    assert_eq!(said.status, 2);
    assert_eq!(
        said.err,
        "error: failed to write mine.yaml: it already exists\n"
    );
    assert_eq!(names(&directory), ["mine.yaml"]);
    let text = std::fs::read_to_string(directory.join("mine.yaml")).expect("text");
    assert_eq!(text, "mine");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    for verb in [
        &[
            "run",
            "scenarios/rhel-6.5",
            "--engine",
            "model",
            "--format",
            "json",
        ][..],
        &["run", "scenarios/parity", "--engine", "model", "-v"],
        &[
            "run",
            "scenarios/parity",
            "--engine",
            "model",
            "--format",
            "json-lines",
        ],
        &[
            "run",
            "scenarios/parity",
            "--engine",
            "model",
            "--format",
            "junit",
        ],
        &[
            "run",
            "scenarios/parity",
            "--engine",
            "model",
            "--format",
            "github",
        ],
        &["report", SCENARIO, "--engine", "model"],
        &["explain", SCENARIO],
        &["run", "--help"],
        &["kernels"],
        &["schema"],
    ] {
        let mut child = command(&root(), verb)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut line = String::new();
        {
            let out = child.stdout.take().expect("piped");
            BufReader::with_capacity(16, out)
                .read_line(&mut line)
                .expect("a line");
        }
        let mut err = String::new();
        let mut from = child.stderr.take().expect("piped");
        from.read_to_string(&mut err).expect("text");
        let status = child.wait().expect("it ends");
        assert_eq!((status.code(), err.as_str()), (Some(0), ""), "{verb:?}");
        assert!(!line.is_empty());
    }
}

/// The command, for which a signal has its usual effect also where these tests run with it ignored.
fn heeding(signal: &str, arguments: &[&str]) -> Command {
    if signal != "INT" || !ignores_interrupts() {
        return command(&root(), arguments);
    }
    let mut wrapped = Command::new("env");
    wrapped
        .arg("--default-signal=INT")
        .arg(env!("CARGO_BIN_EXE_fourtuple"))
        .args(arguments)
        .current_dir(root());
    wrapped
}

/// Ends the command after ever longer times, so that some signals hit it while it reads, some while
/// it runs, and some after it has written; and at once when there is a file that is not meant to
/// stay.
fn signalled(signal: &str) {
    let directory = scratch(&format!("whole-{signal}"));
    let page = directory.join("report.html");
    let (mut ended, mut finished) = (0, 0);
    for n in 0..24_u64 {
        std::fs::write(&page, "what was there").expect("written");
        let arguments = ["report", SCENARIO, "-o", page.to_str().expect("text")];
        let mut child = heeding(signal, &arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let until = Instant::now() + Duration::from_millis(n * n / 4);
        while Instant::now() < until && names(&directory) == ["report.html"] {}
        // The signal fails once the command has ended.
        let _ = Command::new("kill")
            .args([format!("-{signal}"), child.id().to_string()])
            .stderr(Stdio::null())
            .status()
            .expect("kill is there");
        match child.wait().expect("it ends").code() {
            Some(0) => finished += 1,
            Some(code) => panic!("exit status {code}"),
            None => ended += 1,
        }
        let text = std::fs::read_to_string(&page).expect("the page is there");
        assert!(
            text == "what was there" || text.trim_end().ends_with("</html>"),
            "half a page after {n}: {} bytes",
            text.len()
        );
    }
    assert_eq!(ended + finished, 24);
    assert!(ended > 0, "no signal came in time");
    // What a command leaves that ends between two calls, the next one clears away.
    assert_eq!(report(&page).status, 0);
    assert_eq!(names(&directory), ["report.html"]);
}

#[test]
fn commands_that_write_the_same_file_leave_it_alone_and_whole() {
    let directory = scratch("whole-many");
    let page = directory.join("report.html");
    std::fs::write(&page, "what was there").expect("written");
    let arguments = ["report", SCENARIO, "-o", page.to_str().expect("text")];
    for _ in 0..4 {
        let start = |_| {
            let mut call = command(&root(), &arguments);
            call.stdout(Stdio::null()).spawn().expect("it starts")
        };
        let children: Vec<Child> = (0..8).map(start).collect();
        for mut child in children {
            assert_eq!(child.wait().expect("it ends").code(), Some(0));
        }
        let text = std::fs::read_to_string(&page).expect("the page is there");
        assert!(text.trim_end().ends_with("</html>"), "{} bytes", text.len());
        assert_eq!(names(&directory), ["report.html"]);
    }
}

#[test]
fn an_interrupt_leaves_the_old_file_or_the_new_one() {
    signalled("INT");
}

#[test]
fn a_termination_leaves_the_old_file_or_the_new_one() {
    signalled("TERM");
}

#[test]
fn a_kill_leaves_the_old_file_or_the_new_one() {
    signalled("KILL");
}
