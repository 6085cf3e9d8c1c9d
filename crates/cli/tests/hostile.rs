//! Input that would steer the terminal or a build server, and paths that would overwrite the user's
//! files.

use std::path::Path;

use crate::common::{command, fourtuple, scratch};

/// Escape sequences of one and of two bytes, turned writing, and commands that GitHub's runner
/// would obey.
const ABOUT: &str = r#"
about: "\e[31mred \e]0;title\a \x9b31m \u202eturned\u2028 ::error::x ##[error]y"
source: ["\e[31m\x9d0;t\a"]
kernel: linux-6.18
hosts:
  app: { addresses: 10.0.0.1, listen: 10.0.0.1:80, sysctl: { net.ipv4.ip_local_port_range: 40000-40001 } }
expect: { a.connect: { ok: 4 } }
"#;

/// Runs, and is not as expected.
const RUNS: &str = r#"
matrix: { y: [1, 4] }
processes:
  a: { count: "${y}", bind: 10.0.0.1:0, connect: 10.0.0.1:80 }
"#;

/// Is refused at a point of the matrix whose value has several lines.
const REFUSED: &str = r#"
matrix: { x: ["a\nb\r\n::error::\e[1mz", lo] }
processes:
  a: { count: 4, options: { bindtodevice: "${x}" }, bind: 10.0.0.1:0, connect: 10.0.0.1:80 }
"#;

fn is_hostile(c: char) -> bool {
    fourtuple_scenario::is_control(c) && !matches!(c, '\n' | '\t')
}

/// Nothing of the input steers anything; the colours of the command itself may.
fn is_tame(name: &str, output: &[u8]) {
    let mut text = std::str::from_utf8(output).expect("text").to_owned();
    for code in ["0", "1", "2", "32", "33", "1;31"] {
        text = text.replace(&format!("\x1b[{code}m"), "");
    }
    for line in text.lines() {
        assert!(!line.chars().any(is_hostile), "{name}: {line:?}");
        let begun = line.trim_start();
        let own = begun.starts_with("::error file=") || begun.starts_with("::warning file=");
        assert!(own || !begun.starts_with("::"), "{name}: {line:?}");
        assert!(!line.contains("##["), "{name}: {line:?}");
    }
}

#[test]
fn no_control_character_of_input_reaches_an_output() {
    let directory = scratch("hostile");
    for (name, rest) in [("runs.yaml", RUNS), ("refused.yaml", REFUSED)] {
        std::fs::write(directory.join(name), format!("{ABOUT}{rest}")).expect("written");
    }
    let name = "evil\u{1b}[31m\u{9b}2J.yaml";
    std::fs::copy(directory.join("runs.yaml"), directory.join(name)).expect("copied");
    let verbs: [&[&str]; 23] = [
        &["run", "-v", "--format", "text"],
        &["run", "--format", "json"],
        &["run", "--format", "json-lines"],
        &["run", "--format", "junit"],
        &["run", "--format", "github"],
        &["explain"],
        &["compare", "--kernel", "linux-3.10,linux-6.18"],
        &["remedies"],
        &["remedies", "--all"],
        &["remedies", "--format", "json"],
        &["remedies", "--export", "markdown"],
        &[
            "compare",
            "--kernel",
            "linux-3.10,linux-6.18",
            "--export",
            "markdown",
        ],
        &["capacity"],
        &["capacity", "--export", "markdown"],
        &["explore"],
        &["explore", "--witness", "1"],
        &["explore", "--format", "json"],
        &["lint"],
        &["lint", "--format", "github"],
        &["report"],
        &["import", "strace"],
        &["merge"],
        &["certify", "--on", "linux-6.18"],
    ];
    for file in ["runs.yaml", "refused.yaml", name] {
        for verb in verbs {
            for force in ["0", "1"] {
                let arguments = [verb, &[file]].concat();
                let said = command(&directory, &arguments)
                    .env("CLICOLOR_FORCE", force)
                    .output()
                    .expect("it runs");
                let what = format!("{arguments:?}");
                assert_ne!(said.status.code(), Some(101), "{what}");
                is_tame(&what, &said.stdout);
                is_tame(&what, &said.stderr);
            }
        }
    }
    // A directory, whose snapshots are input from the second time on.
    for more in [&["--check"][..], &["--accept"], &["--check"]] {
        let arguments = [&["test", "."], more].concat();
        runs_tamely(&directory, &arguments);
    }
    // Arguments are input as well.
    for arguments in [
        &["run", "\u{1b}[31m"][..],
        &["\u{1b}[31m\u{9b}"],
        &["run", "runs.yaml", "--kernel", "a\n::error::x"],
        &["run", "runs.yaml", "--format", "\u{1b}[31m"],
        &["new", "--from", "\u{202e}x"],
        &["kernels", "\u{9b}31m"],
    ] {
        let said = command(&directory, arguments).output().expect("it runs");
        assert_eq!(said.status.code(), Some(2), "{arguments:?}");
        is_tame(&format!("{arguments:?}"), &said.stderr);
    }
}

/// Runs the command with colours: no panic, and no control character of its input in an output.
fn runs_tamely(directory: &Path, arguments: &[&str]) {
    let said = command(directory, arguments)
        .env("CLICOLOR_FORCE", "1")
        .output()
        .expect("it runs");
    assert_ne!(said.status.code(), Some(101), "{arguments:?}");
    is_tame(&format!("{arguments:?}"), &said.stdout);
    is_tame(&format!("{arguments:?}"), &said.stderr);
}

/// Names of programs in captures, and a line that is none.
const EVIL: &str = "\u{1b}[31mevil\u{9b}2J\u{202e}";

#[test]
fn no_control_character_of_a_capture_reaches_an_output() {
    let directory = scratch("hostile-captures");
    let ss = format!(
        "State Recv-Q Send-Q Local Address:Port Peer Address:Port Process\n\
         LISTEN 0 128 10.0.0.3:80 0.0.0.0:* users:((\"{EVIL}\",pid=1,fd=3))\n\
         ESTAB 0 0 10.0.0.3:40000 10.0.0.4:443 users:((\"{EVIL}\",pid=2,fd=3))\n\
         ESTAB 0 0 {EVIL}:40001 10.0.0.4:443\n"
    );
    let strace = format!(
        "[pid 1<{EVIL}>] socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 3\n\
         [pid 1<{EVIL}>] bind(3, {{sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr(\"10.0.0.3\")}}, 16) = -1 EADDRINUSE (Address already in use)\n\
         {EVIL} connect(3, {EVIL}) = 0\n"
    );
    for (name, text) in [("evil.ss", &ss), ("evil.strace", &strace)] {
        std::fs::write(directory.join(name), text).expect("written");
    }
    let capture = serde_json::json!({
        "fourtuple_capture": 1, "kernel": format!("6.18.0{EVIL}"), "time": 0, "source": "proc",
        "sysctl": { "net.ipv4.ip_local_reserved_ports": format!("1{EVIL}\nevil") },
        "addresses": ["10.0.0.3"],
        "sockets": [
            { "state": "LISTEN", "local": "10.0.0.3:40000", "uid": 0,
              "process": { "pid": 1, "name": format!("{EVIL}\nevil") } },
            { "state": "CLOSE-WAIT", "local": "10.0.0.3:40001", "peer": "10.0.0.4:443", "uid": 0,
              "process": { "pid": 1, "name": format!("{EVIL}\nevil") } },
        ],
    });
    let capture = capture.to_string();
    std::fs::write(directory.join("evil.json"), capture).expect("written");
    for format in ["text", "json", "prometheus"] {
        let arguments = [
            "doctor",
            "evil.json",
            "--kernel",
            "linux-6.18",
            "--format",
            format,
        ];
        runs_tamely(&directory, &arguments);
        let out = fourtuple(&directory, &arguments).out;
        let forged = out.lines().any(|line| line.starts_with("evil"));
        assert!(!forged, "a name is a line of its own: {out}");
    }
    runs_tamely(&directory, &["import", "capture", "evil.json"]);
    for kind in ["ss", "strace", "netstat", "proc"] {
        for file in ["evil.ss", "evil.strace"] {
            let arguments = ["import", kind, file];
            runs_tamely(&directory, &arguments);
        }
    }
}

#[test]
fn a_verb_does_not_write_over_its_input() {
    let directory = scratch("hostile-input");
    let file = "x.yaml";
    assert_eq!(fourtuple(&directory, &["new", file]).status, 0);
    let before = std::fs::read_to_string(directory.join(file)).expect("text");
    for output in [file, "./x.yaml", "../hostile-input/x.yaml"] {
        let said = fourtuple(&directory, &["report", file, "-o", output]);
        assert_eq!(said.status, 2, "{output}");
        assert!(said.err.contains("which is read"), "{}", said.err);
    }
    let after = std::fs::read_to_string(directory.join(file)).expect("text");
    assert_eq!(before, after);
}

#[test]
fn paths_that_name_no_file_are_refused() {
    let directory = scratch("hostile-new");
    for path in [".", "..", "/", "sub/", "/dev/null", ""] {
        let said = fourtuple(&directory, &["new", path]);
        assert_eq!((said.status, said.out.as_str()), (2, ""), "{path}");
        assert!(said.err.starts_with("error: "), "{path}: {}", said.err);
    }
    assert_eq!(
        std::fs::read_dir(&directory).expect("it is there").count(),
        0
    );
    assert!(!Path::new("/dev/null.yaml").exists());
}

#[cfg(unix)]
#[test]
fn links_in_a_directory_that_is_written_to_are_not_followed() {
    let directory = scratch("hostile-link");
    let file = "x.yaml";
    assert_eq!(fourtuple(&directory, &["new", file]).status, 0);
    let write = ["remedies", file, "--kernel", "linux-6.18", "--write", "out"];
    assert!(fourtuple(&directory, &write).status < 2);
    let out = directory.join("out");
    let mut names: Vec<_> = std::fs::read_dir(&out)
        .expect("it was written")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    names.sort();
    std::fs::write(directory.join("precious"), "mine").expect("written");
    std::fs::remove_file(&names[0]).expect("removed");
    std::os::unix::fs::symlink("../precious", &names[0]).expect("a link");
    let said = fourtuple(&directory, &write);
    assert_eq!(said.status, 2, "{}", said.out);
    assert!(said.err.contains("it is a symbolic link"), "{}", said.err);
    let kept = std::fs::read_to_string(directory.join("precious")).expect("text");
    assert_eq!(kept, "mine");
}
