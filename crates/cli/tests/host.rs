//! `capture`, `doctor` and `import capture`.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::{Said, command, fourtuple, scratch};
use serde_json::{Value, json};

/// A host with ten ports: three connections to a server whose ports bind() chose, one whose origin
/// is unknown, one in TIME-WAIT, a listener inside the range, and one in CLOSE-WAIT.
fn host() -> Value {
    let socket = |state: &str, port: u16, port_by: Option<&str>| {
        let mut one = json!({
            "state": state, "local": format!("10.0.0.5:{port}"), "peer": "10.0.0.9:80", "uid": 33,
            "process": {"pid": 7, "name": "pro\u{1b}[31mxy"},
        });
        if let Some(port_by) = port_by {
            one["port_by"] = json!(port_by);
        }
        one
    };
    let mut sockets = vec![
        socket("ESTAB", 40000, Some("bind")),
        socket("ESTAB", 40001, Some("bind")),
        socket("CLOSE-WAIT", 40002, Some("bind")),
        socket("ESTAB", 40003, None),
        socket("TIME-WAIT", 40004, Some("connect")),
        json!({"state": "LISTEN", "local": "0.0.0.0:40005", "uid": 0}),
    ];
    sockets[4]["timer"] = json!({"name": "timewait", "ms": 30_000});
    json!({
        "fourtuple_capture": 1, "kernel": "6.18.3", "time": 1_790_000_000, "source": "sock_diag",
        "sysctl": {"net.ipv4.ip_local_port_range": "40000 40009", "net.ipv4.tcp_tw_reuse": "2"},
        "addresses": ["10.0.0.5"], "sockets": sockets,
    })
}

fn written(name: &str, text: &str) -> PathBuf {
    let directory = scratch(&format!("host-{name}"));
    fs::write(directory.join("host.json"), text).expect("written");
    directory
}

fn doctor(directory: &Path, more: &[&str]) -> Said {
    let mut arguments = vec!["doctor", "host.json"];
    arguments.extend(more);
    fourtuple(directory, &arguments)
}

fn report(directory: &Path, more: &[&str]) -> Value {
    let said = doctor(directory, &[&["--format", "json"], more].concat());
    assert_eq!(said.status, 0, "{}", said.err);
    serde_json::from_str(&said.out).expect("JSON")
}

#[test]
fn connects_that_are_left_are_an_interval_where_a_port_is_of_unknown_origin() {
    let directory = written("interval", &host().to_string());
    let left = |more: &[&str], row: usize| {
        report(&directory, more)["destinations"][row]["connects_left"].clone()
    };
    // Free are 40006 to 40009. To the server the connection of unknown origin takes its port either
    // way; to another destination its port is shared if connect() chose it, as in TIME-WAIT.
    assert_eq!(left(&[], 0), json!({"at_least": 4, "at_most": 4}));
    assert_eq!(left(&[], 1), json!({"at_least": 5, "at_most": 6}));
    let bind = json!({"at_least": 5, "at_most": 5});
    assert_eq!(left(&["--assume", "bind"], 1), bind);
    let connect = json!({"at_least": 6, "at_most": 6});
    assert_eq!(left(&["--assume", "connect"], 1), connect);
    let whole = report(&directory, &[]);
    assert_eq!(whole["blocked"], json!({"at_least": 4, "at_most": 5}));
    assert_eq!(whole["listeners"][0]["at"], "0.0.0.0:40005");
    assert_eq!(whole["close_wait"][0]["count"], 1);
}

#[test]
fn fixes_are_tried_on_the_captured_state() {
    let directory = written("fixes", &host().to_string());
    let whole = report(&directory, &["--assume", "connect"]);
    let fixes = whole["fixes"].as_array().expect("fixes");
    let of = |part: &str| {
        let named = |fix: &&Value| {
            fix["change"]
                .as_str()
                .is_some_and(|text| text.contains(part))
        };
        let fix = fixes.iter().find(named).expect("a fix");
        (
            fix["connects_left"]["at_least"].as_u64().expect("a number"),
            fix["effect"].as_str().expect("a word").to_owned(),
        )
    };
    let helps = "helps".to_owned();
    assert_eq!(of("tcp_tw_reuse = 1"), (5, helps.clone()));
    // Each connection keeps its own port to this server, whatever chose it.
    assert_eq!(of("IP_BIND_ADDRESS_NO_PORT in"), (4, "none".to_owned()));
    assert_eq!(of("CLOSE-WAIT"), (5, helps.clone()));
    assert_eq!(of("second port"), (6, helps));
    assert!(of("ip_local_port_range").0 > 64_000);
}

#[test]
fn a_threshold_decides_the_exit_status() {
    let directory = written("threshold", &host().to_string());
    // 4 of 10 ports are left.
    assert_eq!(doctor(&directory, &["--threshold", "59"]).status, 1);
    assert_eq!(doctor(&directory, &["--threshold", "60"]).status, 0);
    assert_eq!(doctor(&directory, &["--threshold", "101"]).status, 2);
}

#[test]
fn text_of_a_capture_is_cleaned_and_labels_are_escaped() {
    let mut document = host();
    document["sockets"][2]["process"]["name"] = json!("a\"b\\c\nd");
    let directory = written("hostile", &document.to_string());
    let said = doctor(&directory, &[]);
    assert!(!said.out.contains('\u{1b}'), "{}", said.out);
    assert!(said.out.contains("10.0.0.5 -> 10.0.0.9:80"), "{}", said.out);
    let said = doctor(&directory, &["--format", "prometheus"]);
    let line = "fourtuple_close_wait_sockets{program=\"a\\\"b\\\\c\\nd\"} 1";
    assert!(said.out.lines().any(|one| one == line), "{}", said.out);
    let left = "fourtuple_destination_connects_left{source=\"10.0.0.5\",destination=\"10.0.0.9:80\",bound=\"at_least\"} 4";
    assert!(said.out.lines().any(|one| one == left), "{}", said.out);
}

#[test]
fn files_of_another_kind_are_named() {
    let text = host().to_string();
    for (name, text, named) in [
        (
            "truncated",
            &text[..text.len() / 2],
            "the capture is truncated",
        ),
        (
            "version",
            &text.replace("_capture\":1", "_capture\":2"),
            "format 2",
        ),
        (
            "other",
            "{\"runs\": []}",
            "JSON without `fourtuple_capture`",
        ),
        (
            "ss",
            "ESTAB 0 0 10.0.0.5:1 10.0.0.9:2\n",
            "the output of ss",
        ),
        ("strace", "7 close(3) = 0\n", "an strace log"),
        ("empty", "", "an empty file"),
        ("binary", "\0\0\0\0\0\0", "a binary file"),
        (
            "address",
            &text.replace("10.0.0.9:80", "nowhere"),
            "invalid capture",
        ),
    ] {
        let directory = written(name, text);
        for verb in [&["doctor"][..], &["import", "capture"]] {
            let said = fourtuple(&directory, &[verb, &["host.json"]].concat());
            assert_eq!(said.status, 2, "{verb:?} {name}");
            assert!(said.err.contains(named), "{verb:?} {name}: {}", said.err);
        }
    }
}

#[test]
fn an_imported_capture_has_the_sysctls_and_the_kernel_of_its_host() {
    let directory = written("import", &host().to_string());
    let said = fourtuple(
        &directory,
        &["import", "capture", "host.json", "-o", "made.yaml"],
    );
    assert_eq!(said.status, 0, "{}", said.err);
    let yaml = fs::read_to_string(directory.join("made.yaml")).expect("a scenario");
    assert!(
        yaml.contains("linux-6.18") && yaml.contains("40000"),
        "{yaml}"
    );
    let said = fourtuple(&directory, &["run", "made.yaml", "--engine", "model"]);
    assert_eq!(said.status, 0, "{}{}", said.out, said.err);
}

/// Two connections whose program bound the same number for both: a capture shows who chose the
/// port, not SO_REUSEADDR, without which they could not exist together.
#[test]
fn ports_that_bind_got_stay_bound_in_an_imported_capture() {
    let mut host = host();
    let bound = |peer: &str| json!({"state": "ESTAB", "local": "10.0.0.5:40003", "peer": peer, "uid": 0, "port_by": "number"});
    host["sockets"] = json!([bound("10.0.0.9:80"), bound("10.0.0.9:81")]);
    host["sysctl"]["net.ipv4.ip_local_port_range"] = json!("40003 40003");
    let directory = written("bound", &host.to_string());
    let arguments = ["import", "capture", "host.json", "-o", "made.yaml"];
    let said = fourtuple(&directory, &arguments);
    assert_eq!(said.status, 0, "{}", said.err);
    assert!(said.err.contains("have SO_REUSEADDR"), "{}", said.err);
    // A program that does not bind gets no port, to whatever destination.
    let arguments = ["run", "made.yaml", "--engine", "model", "--format", "json"];
    let said = fourtuple(&directory, &arguments);
    let document: Value = serde_json::from_str(&said.out).expect("JSON");
    let runs = document["runs"].as_array().expect("runs").iter();
    let plain = runs.filter(|run| run["axes"]["no_bind"] == "true");
    let asked: Vec<&Value> = plain
        .flat_map(|run| run["attempts"].as_array().expect("attempts"))
        .filter(|one| one["process"] == "asker" && one["op"] == "connect")
        .collect();
    assert!(!asked.is_empty(), "{}", said.out);
    let refused = |one: &&Value| one["result"] == "EADDRNOTAVAIL";
    assert!(asked.iter().all(refused), "{asked:?}");
}

/// Up to Linux 6.17 a port stays closed after its binder has ended, while connections share it.
#[test]
fn ports_that_ended_binders_may_have_closed_are_counted() {
    let directory = written("ended", &host().to_string());
    let report = report(
        &directory,
        &["--kernel", "linux-6.12", "--assume", "connect"],
    );
    assert_eq!(report["stays_closed"], true);
    // 40006 to 40009 have no socket.
    assert_eq!(report["without_sockets"], 4);
    let text = doctor(&directory, &["--kernel", "linux-6.12"]).out;
    assert!(text.contains("in the worst case 4 connect()s"), "{text}");
    let text = doctor(&directory, &[]).out;
    assert!(!text.contains("in the worst case"), "{text}");
}

/// Connections that are opened between two captures have a rate, and the ports an end.
#[cfg(target_os = "linux")]
#[test]
fn a_watched_host_has_a_rate() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = listener.local_addr().expect("an address");
    let directory = scratch("host-watched");
    let arguments = "doctor --watch 1s --format json --destinations 1000 -o report.json";
    let arguments: Vec<&str> = arguments.split(' ').collect();
    let mut running = command(&directory, &arguments);
    let mut running = running.spawn().expect("the command runs");
    let mut held = Vec::new();
    while running.try_wait().expect("a status").is_none() {
        held.push(std::net::TcpStream::connect(at).expect("a connection"));
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert!(running.wait().expect("it has ended").success());
    let report = fs::read_to_string(directory.join("report.json")).expect("a report");
    let report: Value = serde_json::from_str(&report).expect("JSON");
    let rows = report["destinations"].as_array().expect("rows");
    let row = rows.iter().find(|row| row["destination"] == at.to_string());
    let row = row.unwrap_or_else(|| panic!("no {at} in {rows:?}"));
    let (now, rate) = (row["held"].as_f64(), row["growth_per_second"].as_f64());
    assert!(now > Some(0.0) && now <= Some(held.len() as f64), "{row}");
    // The captures are a second apart or more.
    assert!(rate > Some(0.0) && rate <= now, "{row}");
    assert!(row["lasts_seconds"].as_u64() > Some(100), "{row}");
    for wrong in ["0s", "10", "61m", "x"] {
        let said = fourtuple(&directory, &["doctor", "--watch", wrong]);
        assert_eq!(said.status, 2, "{wrong}");
        assert!(said.err.contains("such as `10s`"), "{}", said.err);
    }
}

#[test]
fn a_capture_comes_from_a_pipe() {
    let directory = written("pipe", &host().to_string());
    let mut command = command(&directory, &["doctor", "-"]);
    let input = fs::File::open(directory.join("host.json")).expect("a capture");
    let output = command.stdin(input).output().expect("the command runs");
    assert_eq!(output.status.code(), Some(0));
}

#[cfg(target_os = "linux")]
#[test]
fn the_running_host_is_captured_and_anonymised() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = listener.local_addr().expect("an address").to_string();
    let directory = scratch("host-running");
    let said = fourtuple(&directory, &["capture", "-o", "host.json"]);
    assert_eq!(said.status, 0, "{}", said.err);
    let text = fs::read_to_string(directory.join("host.json")).expect("a capture");
    assert!(text.contains(&format!("\"local\":\"{at}\"")), "{text}");
    let again = fourtuple(&directory, &["capture", "-o", "host.json"]);
    assert_eq!(again.status, 2, "an existing file is left alone");
    let masked = fourtuple(&directory, &["capture", "--anonymise"]);
    assert!(
        masked.out.contains("\"name\":\"program1\""),
        "{}",
        masked.out
    );
    let said = fourtuple(&directory, &["capture", "--netns", "no-such-namespace"]);
    assert_eq!(said.status, 2);
    assert!(said.err.contains("no-such-namespace"), "{}", said.err);
}

/// A recording of `tools/ports.bt`: four binders take every port, and a connect() is refused.
#[test]
fn a_log_of_the_bpftrace_script_is_reproduced() {
    let directory = scratch("host-bpftrace");
    let data = |name: &str| {
        crate::common::here("data/import")
            .join(name)
            .display()
            .to_string()
    };
    let (log, sysctl) = (data("ports-bt.strace"), data("four.sysctl"));
    let arguments = ["import", "bpftrace", &log, "--sysctl", &sysctl];
    let said = fourtuple(&directory, &arguments);
    assert_eq!(said.status, 0, "{}", said.err);
    assert_eq!(said.out.matches("{ connect:").count(), 5, "{}", said.out);
    assert!(said.out.contains("expect: EADDRNOTAVAIL"), "{}", said.out);
    assert!(!said.err.contains("not understood"), "{}", said.err);
}
