//! Real programs, recorded by `data/record-strace.sh`, as scenarios: the model gives the recorded
//! answers.

use std::fs;
use std::path::PathBuf;

use crate::common::{fourtuple, here, scratch, without_certificate};

fn data(name: &str) -> String {
    here("data").join(name).display().to_string()
}

/// Imports a capture with its sysctls; the scenario and what was said about it.
fn import(what: &str, name: &str) -> (PathBuf, String, String) {
    let directory = scratch(&format!("import-{what}-{name}"));
    let (capture, sysctl) = (
        data(&format!("{name}.{what}")),
        data(&format!("{name}.sysctl")),
    );
    let said = fourtuple(
        &directory,
        &[
            "import",
            what,
            &capture,
            "--sysctl",
            &sysctl,
            "-o",
            "made.yaml",
        ],
    );
    assert_eq!(
        (said.status, said.out.as_str()),
        (0, "made.yaml\n"),
        "{}",
        said.err
    );
    let yaml = fs::read_to_string(directory.join("made.yaml")).expect("the scenario");
    (directory, yaml, said.err)
}

fn shows(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_omit_expression(true);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_snapshot_path("snapshots/import");
    settings.bind(|| insta::assert_snapshot!(name, without_certificate(text)));
}

/// The scenario is kept as a snapshot, and all the recorded answers are those of the model.
fn recorded(name: &str) {
    let (directory, yaml, notes) = import("strace", name);
    for note in notes.lines() {
        assert!(note.contains(": "), "{note}");
    }
    shows(name, &yaml);
    let said = fourtuple(&directory, &["run", "made.yaml", "--engine", "model"]);
    assert_eq!(said.status, 0, "{}{}", said.out, said.err);
}

macro_rules! recorded {
    ($($test:ident: $name:literal,)*) => {
        $(#[test] fn $test() { recorded($name); })*

        #[test]
        fn every_recording_is_imported() {
            let tried = [$($name,)*];
            for entry in fs::read_dir(here("data")).expect("data/") {
                let name = entry.expect("an entry").file_name().into_string().expect("text");
                if let Some(name) = name.strip_suffix(".strace") {
                    assert!(tried.contains(&name), "{name} is not tried");
                }
            }
        }
    };
}

recorded! {
    curl_binds_and_connects: "curl",
    a_server_that_forks: "fork",
    nginx_with_two_workers_and_proxy_bind: "nginx",
    python_with_threads_options_and_refusals: "python-server",
    python_follows_the_red_hat_report: "red-hat",
    redis_serves: "redis",
    a_udp_socket_for_each_query: "udp",
}

/// Each bind and connect of the log, read without the importer, has the answer that the model gives
/// in the same place.
#[test]
fn the_report_has_the_recorded_answers_call_by_call() {
    let log = fs::read_to_string(data("red-hat.strace")).expect("a log");
    let mut recorded: Vec<(&str, &str)> = Vec::new();
    for line in log.lines() {
        for call in ["bind", "connect"] {
            if !line.contains(&format!(" {call}(")) {
                continue;
            }
            let (_, answer) = line.rsplit_once(") = ").expect("an answer");
            let mut words = answer.split_whitespace();
            let result = match words.next() {
                Some("0") => "ok",
                _ => words.next().expect("an errno"),
            };
            recorded.push((call, result));
        }
    }
    assert_eq!(recorded.len(), 11, "{recorded:?}");
    assert_eq!(
        recorded
            .iter()
            .filter(|one| one.1 == "EADDRNOTAVAIL")
            .count(),
        3
    );

    let (directory, _, _) = import("strace", "red-hat");
    let arguments = ["run", "made.yaml", "--engine", "model", "--format", "json"];
    let said = fourtuple(&directory, &arguments);
    assert_eq!(said.status, 0, "{}", said.err);
    let document: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
    let attempts = document["runs"][0]["attempts"]
        .as_array()
        .expect("attempts");
    let modelled: Vec<(&str, &str)> = attempts
        .iter()
        .map(|one| {
            let text = |field: &str| one[field].as_str().expect("text");
            (text("op"), text("result"))
        })
        .collect();
    assert_eq!(modelled, recorded);
}

/// The log alone shows the ports, and that they ran out.
#[test]
fn the_report_is_reproduced_without_sysctls() {
    let directory = scratch("import-red-hat-alone");
    let said = fourtuple(&directory, &["import", "strace", &data("red-hat.strace")]);
    assert_eq!(said.status, 0);
    assert!(said.err.contains("40000-40003"), "{}", said.err);
    fs::write(directory.join("made.yaml"), &said.out).expect("written");
    let said = fourtuple(&directory, &["run", "made.yaml"]);
    assert_eq!(said.status, 0, "{}", said.out);
    assert!(
        said.out.contains("plain    connect 3 EADDRNOTAVAIL"),
        "{}",
        said.out
    );
}

#[test]
fn a_log_comes_from_a_pipe_and_a_file_is_not_overwritten() {
    let directory = scratch("import-pipe");
    let mut command = crate::common::command(
        &directory,
        &["import", "strace", "-", "--kernel", "rhel-6.5,linux-6.18"],
    );
    command.stdin(fs::File::open(data("red-hat.strace")).expect("a log"));
    let output = command.output().expect("the command runs");
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(text.contains("kernel: [rhel-6.5, linux-6.18]"), "{text}");

    fs::write(directory.join("mine.yaml"), "mine").expect("written");
    let said = fourtuple(
        &directory,
        &[
            "import",
            "strace",
            &data("red-hat.strace"),
            "-o",
            "mine.yaml",
        ],
    );
    assert_eq!(said.status, 2);
    assert!(said.err.contains("it already exists"), "{}", said.err);
    assert_eq!(
        fs::read_to_string(directory.join("mine.yaml")).expect("text"),
        "mine"
    );
}

#[test]
fn input_that_is_not_a_capture_is_refused() {
    let directory = scratch("import-wrong");
    fs::write(directory.join("zeros"), [0_u8; 4096]).expect("written");
    for arguments in [
        &["import", "strace", "zeros"][..],
        &["import", "strace", "missing"],
        &["import", "strace", "."],
        &["import", "strace", "zeros", "--kernel", "linux-99"],
        &["import", "ss", "zeros"],
        &["import"],
    ] {
        let said = fourtuple(&directory, arguments);
        assert_eq!(said.status, 2, "{arguments:?}: {}", said.err);
        assert_eq!(said.out, "", "{arguments:?}");
        assert!(!said.err.is_empty());
    }
}

/// Four ports that bind() or connect() may have chosen: what a new program gets depends on which it
/// was.
#[test]
fn ss_shows_ports_and_the_scenario_asks_both_ways() {
    let (directory, yaml, _) = import("ss", "red-hat");
    shows("red-hat-ss", &yaml);
    let said = fourtuple(&directory, &["run", "made.yaml", "--engine", "model"]);
    assert_eq!(said.status, 0, "{}", said.out);
    shows("red-hat-ss-run", &said.out);
}

/// On a kernel without `IP_BIND_ADDRESS_NO_PORT` the scenario has as many connections, on any
/// ports.
#[test]
fn ss_for_an_old_kernel_counts_instead_of_naming_ports() {
    let directory = scratch("import-ss-old");
    let (table, sysctl) = (data("red-hat.ss"), data("red-hat.sysctl"));
    let arguments = [
        "import", "ss", &table, "--sysctl", &sysctl, "--kernel", "rhel-6.5", "-o", "old.yaml",
    ];
    let said = fourtuple(&directory, &arguments);
    assert_eq!(said.status, 0, "{}", said.err);
    let said = fourtuple(&directory, &["run", "old.yaml", "--engine", "model"]);
    assert_eq!(said.status, 0, "{}", said.out);
    shows("red-hat-ss-old-run", &said.out);
}

/// Tables of one host on Linux 6.18: UDP sockets on the same port by option and by IPV6_V6ONLY, and
/// three of four ports in use.
#[test]
fn udp_sockets_of_a_host_hold_their_ports() {
    let mut made = Vec::new();
    for what in ["ss", "proc"] {
        let (directory, yaml, notes) = import(what, "udp");
        let said = fourtuple(&directory, &["run", "made.yaml", "--engine", "model"]);
        assert_eq!(said.status, 0, "{}{notes}", said.out);
        // One port is left: a new socket has it, and after its close another one.
        let asker = "asker   socket 2 ok, connect 1 ok, close 1 ok, bind 1 ok";
        assert!(said.out.contains(asker), "{}", said.out);
        made.push(yaml);
    }
    shows("udp-ss", &made[0]);
    // The kernel's table does not show IPV6_V6ONLY either way; both say the same.
    let steps = |yaml: &str| yaml.lines().filter(|l| l.contains("bind: u")).count();
    assert_eq!(steps(&made[0]), steps(&made[1]));
}

#[test]
fn a_table_of_both_protocols_asks_about_both() {
    for what in ["ss", "proc"] {
        let (directory, yaml, _) = import(what, "tuan");
        assert!(yaml.contains("9 UDP sockets"), "{yaml}");
        let said = fourtuple(&directory, &["run", "made.yaml", "--engine", "model"]);
        assert_eq!(said.status, 0, "{}", said.out);
        for socket in ["connect: new,", "connect: new_udp,", "bind: bound_udp,"] {
            assert!(yaml.contains(socket), "{socket}: {yaml}");
        }
    }
}

/// With more sockets than a scenario has steps, each address has as many as captured.
#[test]
fn many_udp_sockets_are_counted() {
    let directory = scratch("import-many-udp");
    let mut table = "State Recv-Q Send-Q Local Address:Port Peer Address:Port Process\n".to_owned();
    for port in 33000..37000 {
        table.push_str(&format!("UNCONN 0 0 10.0.0.5:{port} 0.0.0.0:*\n"));
    }
    fs::write(directory.join("many.ss"), table).expect("a scratch file");
    let said = fourtuple(&directory, &["import", "ss", "many.ss", "-o", "made.yaml"]);
    assert_eq!(said.status, 0, "{}", said.err);
    let yaml = fs::read_to_string(directory.join("made.yaml")).expect("the scenario");
    assert!(yaml.contains("connections: 4000"), "{yaml}");
    let said = fourtuple(&directory, &["run", "made.yaml", "--engine", "model"]);
    assert_eq!(said.status, 0, "{}", said.out);
}
