//! A virtual machine that dies in the middle of a run: the command says what happened, with what
//! was last on the console, and leaves nothing behind. The emulator is a fake, so that the
//! machine dies when it should; where FOURTUPLE_VM_IMAGE names a kernel image, a real one is killed
//! as well.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use common::{Said, command, processes, root, scratch};

const SCENARIO: &str = "\
about: Does the machine live to see the end?
kernel: all
hosts: { h: { addresses: [127.0.0.1] } }
steps:
  - { socket: a }
  - { bind: a, at: \"127.0.0.1:4000\" }
";

/// Writes a fake emulator. Its first machine answers the handshake, the second one runs the shell
/// command `then`, with the files of the machine's serial ports in variables.
fn emulator(directory: &Path, then: &str) -> String {
    // The length of what follows; the guest's mark, version and state; no error, no flags; what
    // uname calls the kernel.
    let mut hello = vec![0, 0, 0, 0];
    hello.extend(b"4TPL\x06\0\0\0\0\0\0");
    hello.extend(b"6.1.0-50-cloud-amd64");
    hello[0] = hello.len() as u8 - 4;
    fs::write(directory.join("hello"), hello).expect("a scratch file");
    // The beginning of a kernel image, as far as it is checked.
    let mut image = vec![0; 0x400];
    image[0x202..0x206].copy_from_slice(b"HdrS");
    let file = directory.join("image");
    fs::write(&file, image).expect("a scratch file");
    // The first one lasts long enough to be seen on a busy machine, so that it is not taken for
    // the second one.
    let script = format!(
        "#!/bin/sh\n\
         for word; do case $word in\n\
         file,id=console,path=*) console=${{word#*path=}} ;;\n\
         file,id=answers,path=*) answers=${{word#*path=}} ;;\n\
         esac; done\n\
         here=$(dirname \"$0\")\n\
         cat \"$here/hello\" > \"$answers\"\n\
         [ -e \"$here/asked\" ] || {{ : > \"$here/asked\"; sleep 1; exit 0; }}\n\
         {then}\n"
    );
    let path = directory.join("qemu-system-x86_64");
    fs::write(&path, script).expect("a scratch file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
    file.display().to_string()
}

fn children(of: u32) -> BTreeSet<u32> {
    let all = processes().into_iter();
    all.filter_map(|(pid, parent)| (parent == of).then_some(pid))
        .collect()
}

/// Runs the scenario on the image with a directory in front of the others where programs are looked
/// for. Once the second machine runs, `meanwhile` gets its process ID.
fn run(directory: &Path, image: &str, meanwhile: impl FnOnce(u32)) -> Said {
    let file = directory.join("scenario.yaml");
    fs::write(&file, SCENARIO).expect("a scratch file");
    let file = file.display().to_string();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut all: Vec<PathBuf> = vec![directory.to_owned()];
    all.extend(std::env::split_paths(&path));
    let arguments = [
        "run",
        &file,
        "--engine",
        "model,vm",
        "--kernel-image",
        image,
    ];
    let child = command(&root(), &arguments)
        .env("PATH", std::env::join_paths(all).expect("no colons"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let pid = child.id();
    let start = Instant::now();
    let (mut first, mut second) = (BTreeSet::new(), None);
    while second.is_none() && start.elapsed() < Duration::from_secs(60) {
        let now = children(pid);
        match first.is_empty() {
            true => first = now,
            false => second = now.difference(&first).next().copied(),
        }
        thread::sleep(Duration::from_millis(1));
    }
    let second = second.expect("a second machine");
    meanwhile(second);
    let output = child.wait_with_output().expect("it ends");
    assert!(
        processes().iter().all(|(pid, _)| *pid != second),
        "the emulator is still there"
    );
    Said {
        status: output.status.code().expect("an exit status, not a signal"),
        out: String::from_utf8(output.stdout).expect("text"),
        err: String::from_utf8(output.stderr).expect("text"),
    }
}

fn kill(pid: u32) {
    let sent = Command::new("kill").args(["-9", &pid.to_string()]).status();
    assert!(sent.expect("kill is there").success());
}

#[test]
fn a_kernel_that_panics() {
    let directory = scratch("emulator-panic");
    let image = emulator(
        &directory,
        "{ echo 'BUG: unable to handle page fault'; echo 'Kernel panic - not syncing: Fatal exception'; } > \"$console\"\nsleep 1",
    );
    let said = run(&directory, &image, |_| {});
    assert_eq!(said.status, 2, "{}{}", said.out, said.err);
    let message = format!(
        "error: a run broke off: {image}: the machine stopped too early | last lines of the console: | BUG: unable to handle page fault \
         | Kernel panic - not syncing: Fatal exception\n"
    );
    assert!(said.err.ends_with(&message), "{}", said.err);
}

#[test]
fn an_emulator_that_is_killed() {
    let directory = scratch("emulator-killed");
    let image = emulator(&directory, "exec sleep 3600");
    let said = run(&directory, &image, kill);
    assert_eq!(said.status, 2, "{}{}", said.out, said.err);
    let message = format!("error: a run broke off: {image}: the emulator was ended by signal 9\n");
    assert!(said.err.ends_with(&message), "{}", said.err);
}

#[test]
fn an_emulator_that_fails() {
    let directory = scratch("emulator-fails");
    let then = "sleep 1\necho 'qemu: no memory' >&2\nexit 1";
    let image = emulator(&directory, then);
    let said = run(&directory, &image, |_| {});
    assert_eq!(said.status, 2, "{}{}", said.out, said.err);
    let message =
        format!("error: a run broke off: {image}: the emulator failed: qemu: no memory\n");
    assert!(said.err.ends_with(&message), "{}", said.err);
}

#[test]
fn a_real_machine_that_is_killed() {
    let Ok(image) = std::env::var("FOURTUPLE_VM_IMAGE") else {
        println!("skipped: FOURTUPLE_VM_IMAGE names no kernel image");
        return;
    };
    let directory = scratch("emulator-real");
    let said = run(&directory, &image, kill);
    assert_eq!(said.status, 2, "{}{}", said.out, said.err);
    let message = "the emulator was ended by signal 9";
    assert!(said.err.contains(message), "{}", said.err);
}
