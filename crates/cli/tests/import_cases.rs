//! Captures that are hard to import: every recorded answer is reproduced, or the import says which
//! one is not.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::common::{Said, fourtuple, here, scratch};

fn data(name: &str) -> String {
    here("data/import").join(name).display().to_string()
}

/// An import into a directory of its own: what was said, the scenario, and where it is.
struct Made {
    said: Said,
    yaml: String,
    directory: PathBuf,
}

impl Made {
    /// Asserts a part of the notes on standard error, with their lines joined.
    fn says(&self, part: &str) -> &Self {
        assert!(
            self.said.err.contains(part),
            "no {part:?} in\n{}",
            self.said.err
        );
        self
    }

    /// A part of the scenario.
    fn has(&self, part: &str) -> &Self {
        assert!(self.yaml.contains(part), "no {part:?} in\n{}", self.yaml);
        self
    }

    /// The model reproduces every recorded answer, and `run` agrees.
    fn holds(&self) -> &Self {
        assert_eq!(self.said.status, 0, "{}\n{}", self.said.err, self.yaml);
        let said = fourtuple(&self.directory, &["run", "made.yaml", "--engine", "model"]);
        assert_eq!(said.status, 0, "{}{}\n{}", said.out, said.err, self.yaml);
        self
    }

    /// Answers of a process's calls at every point of the matrix, with the point.
    fn answers(&self, process: &str, op: &str) -> Vec<(serde_json::Value, String)> {
        let arguments = ["run", "made.yaml", "--engine", "model", "--format", "json"];
        let said = fourtuple(&self.directory, &arguments);
        let document: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
        let mut answers = Vec::new();
        for run in document["runs"].as_array().expect("runs") {
            for one in run["attempts"].as_array().expect("attempts") {
                if one["process"] == process && one["op"] == op {
                    let result = one["result"].as_str().expect("text").to_owned();
                    answers.push((run["axes"].clone(), result));
                }
            }
        }
        answers
    }
}

fn import_file(directory: &Path, what: &str, file: &str, more: &[&str]) -> Made {
    let mut arguments = vec!["import", what, file, "-o", "made.yaml"];
    arguments.extend(more);
    let said = fourtuple(directory, &arguments);
    Made {
        yaml: fs::read_to_string(directory.join("made.yaml")).unwrap_or_default(),
        said,
        directory: directory.to_owned(),
    }
}

fn import(what: &str, name: &str, more: &[&str]) -> Made {
    let directory = scratch(&format!("import-case-{name}-{}", more.len()));
    import_file(&directory, what, &data(name), more)
}

fn strace(name: &str) -> Made {
    import("strace", name, &[])
}

fn strace_one_port(name: &str) -> Made {
    import("strace", name, &["--sysctl", &data("one.sysctl")])
}

fn import_text(name: &str, what: &str, text: &str, more: &[&str]) -> Made {
    let directory = scratch(&format!("import-text-{name}"));
    fs::write(directory.join("capture"), text).expect("written");
    import_file(&directory, what, "capture", more)
}

#[test]
fn refusals_before_which_nothing_happened_need_a_holder() {
    for name in [
        "n.strace",
        "i.strace",
        "localised.strace",
        "perf-trace.strace",
    ] {
        let made = strace(name);
        made.holds()
            .says("programs outside the log held 1 port")
            .has("expect: EADDRNOTAVAIL");
    }
}

#[test]
fn a_port_that_bind_did_not_get_is_held_by_a_program_outside_the_log() {
    for name in ["bind-inuse.strace", "crlf.strace"] {
        let made = strace(name);
        made.holds()
            .says("a program outside the log listens on 0.0.0.0:8080");
        made.has("expect: EADDRINUSE");
    }
}

#[test]
fn a_connect_that_is_under_way_has_found_a_port() {
    let made = strace_one_port("inprogress-noport.strace");
    made.holds()
        .says("sockets outside the log close their connections first");
    made.has("expect: [ok, ECONNREFUSED");
}

#[test]
fn the_peer_that_accept_prints_is_bound() {
    let made = strace_one_port("localpeer.strace");
    made.holds().has("127.0.0.9:50000").has("127.0.0.9:50001");
}

#[test]
fn a_listener_survives_the_close_of_a_child() {
    let made = strace("forkserver.strace");
    made.holds();
    assert_eq!(made.yaml.matches("{ accept:").count(), 3, "{}", made.yaml);
    let made = strace("forkreuse.strace");
    made.holds();
    assert_eq!(made.yaml.matches("{ accept:").count(), 1, "{}", made.yaml);
    assert_eq!(made.yaml.matches("127.0.0.1:7777, expect: ok").count(), 2);
}

#[test]
fn another_destination_on_a_connected_descriptor_is_another_socket() {
    let made = strace("onlyconnect.strace");
    made.holds().says("the log has no socket() and no close()");
    assert_eq!(made.yaml.matches("{ connect:").count(), 3, "{}", made.yaml);
}

#[test]
fn overlapping_calls_have_the_order_in_which_the_answers_hold() {
    strace_one_port("overlap.strace")
        .holds()
        .says("the call that begins on line 3 takes effect after");
}

#[test]
fn later_answers_decide_which_side_closed_first() {
    strace_one_port("readv.strace").holds().says("read,readv");
}

#[test]
fn every_writing_of_strace_is_the_same_scenario() {
    let program = |name: &str| {
        let made = strace(&format!("writing-{name}.strace"));
        made.holds();
        let start = made.yaml.find("hosts:").expect("hosts");
        // Ports and the name of the program differ from one recording to the next.
        let ports: String = made.yaml[start..]
            .chars()
            .filter(|c| !c.is_ascii_digit())
            .collect();
        ports.replace("python-", "p")
    };
    let plain = program("plain");
    assert!(plain.contains("bind_address_no_port"), "{plain}");
    for name in ["Xraw", "Xverbose", "xx", "i", "Yyy", "k", "r"] {
        assert_eq!(program(name), plain, "{name}");
    }
}

#[test]
fn other_writings_are_read() {
    for name in [
        "pidcomm.strace",
        "pidcomm-o.strace",
        "oldsyntax.strace",
        "datestamp.strace",
        "erestart.strace",
        "binary.strace",
    ] {
        strace(name).holds().has("{ connect:");
    }
}

#[test]
fn a_port_that_other_calls_name_is_bound_by_its_number() {
    strace("bind0listen.strace")
        .holds()
        .has("at: 127.0.0.1:40007");
    let made = strace("rebind.strace");
    made.holds().has("at: 10.0.0.5:40007, expect: EADDRINUSE");
}

#[test]
fn pauses_over_midnight_and_of_relative_stamps_are_kept() {
    for name in ["midnight.strace", "rel.strace", "rel2.strace"] {
        let made = strace(name);
        made.holds();
        // 70 seconds, written as a number of milliseconds or of seconds.
        let kept = made.yaml.contains("sleep: 70") || made.yaml.contains("sleep: 1m10s");
        assert!(kept, "{}", made.yaml);
    }
}

#[test]
fn answers_that_have_nothing_to_do_with_ports_are_named() {
    let made = strace("emfile.strace");
    made.holds()
        .says("socket() answered EMFILE 1 time, first on line 3")
        .says("RLIMIT_NOFILE");
    let made = strace("inj.strace");
    made.says("INJECTED")
        .says("without a route")
        .says("a firewall or a policy");
}

#[test]
fn options_of_strace_yy_are_used() {
    let made = strace("udp-yy.strace");
    made.holds();
    assert_eq!(made.yaml.matches("{ connect:").count(), 1, "{}", made.yaml);
    let made = strace("yy-listener.strace");
    made.holds().has("at: 127.0.0.1:80, expect: EADDRINUSE");
    strace("yfd.strace").holds().has("expect: ECONNREFUSED");
    strace("manytasks.strace")
        .holds()
        .says("sockets other than TCP");
    strace("v6range.strace").holds().says("link-local");
}

/// A log of 20,000 binds of which the last one is refused: the scenario has the refusal.
#[test]
fn a_long_log_is_kept_from_its_end() {
    let mut log = String::new();
    for n in 0..20_000 {
        let _ = write!(
            log,
            "7 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3\n\
             7 bind(3, {{sa_family=AF_INET, sin_port=htons({}), sin_addr=inet_addr(\"127.0.0.1\")}}, 16) = 0\n\
             7 close(3) = 0\n",
            1024 + n
        );
    }
    // A socket that is open from the first line on.
    let holder = "7 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 9\n\
                  7 bind(9, {sa_family=AF_INET, sin_port=htons(999), sin_addr=inet_addr(\"127.0.0.1\")}, 16) = 0\n";
    log.insert_str(0, holder);
    log.push_str(
        "7 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3\n\
         7 bind(3, {sa_family=AF_INET, sin_port=htons(999), sin_addr=inet_addr(\"127.0.0.1\")}, 16) = -1 EADDRINUSE (x)\n",
    );
    let made = import_text("long", "strace", &log, &[]);
    made.holds()
        .says("the log is too long for one scenario of 6000 steps");
    made.has("127.0.0.1:999, expect: EADDRINUSE");
    assert!(
        !made.said.err.contains("outside the log listens"),
        "{}",
        made.said.err
    );
}

/// Every verb reports an answer that is not reproduced.
#[test]
fn an_answer_that_the_model_does_not_give_is_never_called_healthy() {
    let log = "1 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3\n\
               1 bind(3, {sa_family=AF_INET, sin_port=htons(0), sin_addr=inet_addr(\"127.0.0.1\")}, 16) = -1 EINVAL (Invalid argument)\n";
    let made = import_text("unreproduced", "strace", log, &[]);
    assert_eq!(made.said.status, 1, "{}", made.said.err);
    made.says("not reproduced: line 2: bind 127.0.0.1:0 answered EINVAL; the model of linux-6.18 answers ok");
    made.has("# Not reproduced:");
    let said = fourtuple(&made.directory, &["run", "made.yaml", "--engine", "model"]);
    assert_eq!(said.status, 1, "{}", said.out);
    let said = fourtuple(&made.directory, &["explain", "made.yaml"]);
    assert!(said.out.starts_with("NOT AS EXPECTED"), "{}", said.out);
    assert!(!said.out.contains("No call was refused"), "{}", said.out);
    let said = fourtuple(&made.directory, &["remedies", "made.yaml"]);
    assert_eq!(said.status, 1, "{}", said.out);
    assert!(said.out.contains("NOT AS EXPECTED"), "{}", said.out);
    assert!(!said.out.contains("nothing to mend"), "{}", said.out);
}

/// Ports that others hold come from a table of sockets instead of a guess.
#[test]
fn sockets_from_before_the_log_hold_ports() {
    let directory = scratch("import-before");
    let mut table = String::from("State Recv-Q Send-Q Local Peer\n");
    for port in 40000..40004 {
        let _ = writeln!(table, "ESTAB 0 0 10.9.0.1:{port} 10.9.0.2:80");
    }
    fs::write(directory.join("before.ss"), table).expect("written");
    fs::write(
        directory.join("range"),
        "net.ipv4.ip_local_port_range = 40000 40003\n",
    )
    .expect("written");
    let more = ["--ss", "before.ss", "--sysctl", "range"];
    let made = import_file(&directory, "strace", &data("n.strace"), &more);
    made.holds().says("hold 4 ports of the ephemeral");
    assert!(
        !made.said.err.contains("outside the log held"),
        "{}",
        made.said.err
    );
}

#[test]
fn tables_in_every_wrapping_are_read() {
    for name in [
        "bom.ss",
        "colour.ss",
        "crlf.ss",
        "prompt.ss",
        "state-filter.ss",
        "wrapped.ss",
    ] {
        import("ss", name, &[]).holds().has("expect: ok");
    }
    import("netstat", "deutsch.netstat", &[])
        .holds()
        .says("not in English");
    let proc = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n   \
                0: 0500000A:A028 0900000A:1538 01 00000000:00000000 00:00000000 00000000     0\n";
    import_text("proc", "proc", proc, &[])
        .holds()
        .has("10.0.0.5:41000");
}

#[test]
fn link_local_rows_are_left_out_and_a_table_of_nothing_else_still_asks() {
    let made = import("ss", "ss-ll.ss", &[]);
    assert_eq!(made.said.status, 2, "{}", made.said.err);
    made.says("no TCP or UDP socket in this text")
        .says("link-local");
}

#[test]
fn a_host_without_ipv4_is_asked_in_ipv6() {
    let made = import("ss", "ss-v6only-host.ss", &[]);
    made.holds();
    let answers = made.answers("asker", "connect");
    assert!(
        !answers.is_empty() && answers.iter().all(|(_, answer)| answer == "ok"),
        "{answers:?}"
    );
}

#[test]
fn ports_that_are_only_bound_are_taken() {
    let made = import(
        "ss",
        "bound-inactive.ss",
        &["--sysctl", &data("two.sysctl")],
    );
    made.holds();
    let answers = made.answers("asker", "connect");
    let plain = answers.iter().filter(|(axes, _)| axes["no_bind"] == "true");
    let plain: Vec<&String> = plain.map(|(_, answer)| answer).collect();
    assert!(
        !plain.is_empty() && plain.iter().all(|one| *one == "EADDRNOTAVAIL"),
        "{answers:?}"
    );
}

#[test]
fn ports_outside_the_range_are_said() {
    import("ss", "outofrange.ss", &[])
        .holds()
        .says("outside the range 32768-60999 (28304)");
    let made = import("ss", "ss-tn-server.ss", &[]);
    made.holds().says("listeners that are not shown");
    assert!(!made.yaml.contains("443-443"), "{}", made.yaml);
    import("ss", "docaddr.ss", &[]).holds();
}

/// 1,000 connections in TIME-WAIT for 30 seconds, with tcp_tw_reuse: each port can be taken again.
#[test]
fn ages_of_many_time_waits_are_kept() {
    let mut table = String::new();
    for port in 40000..41000 {
        let _ = writeln!(
            table,
            "TIME-WAIT 0 0 10.0.0.5:{port} 10.0.0.9:80 timer:(timewait,30sec,0)"
        );
    }
    let directory = scratch("import-ages");
    fs::write(directory.join("capture"), table).expect("written");
    let sysctls = "net.ipv4.ip_local_port_range = 40000 40999\nnet.ipv4.tcp_tw_reuse = 1\n";
    fs::write(directory.join("sysctl"), sysctls).expect("written");
    let made = import_file(&directory, "ss", "capture", &["--sysctl", "sysctl"]);
    made.holds();
    let connects = made.answers("new", "connect");
    let same = connects.iter().filter(|(axes, _)| {
        axes["to"] == "10.0.0.9:80" && axes["bind"] == "none" && axes["new_bind"] == "none"
    });
    let same: Vec<&String> = same.map(|(_, answer)| answer).collect();
    assert!(
        !same.is_empty() && same.iter().all(|one| *one == "ok"),
        "{connects:?}"
    );
}

/// 5,000 peers on as many ports, of which a scenario can only name some: all ports are taken.
#[test]
fn ports_to_more_peers_than_a_scenario_has_are_held() {
    let mut table = String::new();
    for n in 0..5_000_u32 {
        let _ = writeln!(
            table,
            "ESTAB 0 0 10.0.0.5:{} 10.1.{}.{}:80",
            40000 + n,
            n / 250,
            n % 250 + 1
        );
    }
    let made = import_text("peers", "ss", &table, &[]);
    made.holds().says("only their local port matters");
    let of_groups: usize = made
        .yaml
        .split("connections: ")
        .skip(1)
        .filter_map(|rest| rest.split([' ', ',']).next()?.parse::<usize>().ok())
        .sum();
    assert_eq!(of_groups, 5_000);
}

#[test]
fn captures_of_another_kind_are_named() {
    for (what, text, named) in [
        (
            "strace",
            "State Recv-Q Send-Q Local\nESTAB 0 0 10.0.0.5:1 10.0.0.9:2\n",
            "the output of ss",
        ),
        (
            "strace",
            "tcp 0 0 10.0.0.5:1 10.0.0.9:2 ESTABLISHED\n",
            "the output of netstat",
        ),
        (
            "strace",
            "net.ipv4.tcp_tw_reuse = 2\n",
            "the output of sysctl",
        ),
        ("strace", "\u{7f}ELF\u{2}\u{1}", "a program"),
        ("strace", "", "an empty file"),
        ("strace", "about: what?\n", "a scenario"),
        ("ss", "7 close(3) = 0\n", "an strace log"),
        ("ss", "about: what?\n", "a scenario"),
        ("ss", "\0\0\0\0\0\0", "a binary file"),
        ("ss", "", "an empty file"),
    ] {
        let made = import_text("kind", what, text, &[]);
        assert_eq!(made.said.status, 2, "{named}");
        made.says(named);
    }
}

/// Names and addresses that are there to do harm come out as text, and nothing panics.
#[test]
fn hostile_text_does_no_harm() {
    let log = "[pid 7<\u{1b}[31m: &x>] socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3\n\
               [pid 7<\u{1b}[31m: &x>] connect(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr(\"255.255.255.255\")}, 16) = 0\n\
               [pid 7<\u{1b}[31m: &x>] bind(3, {sa_family=AF_INET, sin_port=htons(99999), sin_addr=inet_addr(\"10.0.0.1\")}, 16) = 0\n\
               [pid 7<\u{1b}[31m: &x>] bind(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr(\"10.0.0.1\")}, 16) = 0\n";
    let made = import_text("hostile", "strace", log, &[]);
    assert!(!made.said.err.contains('\u{1b}') && !made.yaml.contains('\u{1b}'));
    assert!(made.said.status < 2, "{}", made.said.err);
}

/// A capture goes through a pipe to an answer: `ss -tan | fourtuple import ss - | fourtuple
/// remedies -`.
#[test]
fn captures_and_scenarios_come_from_pipes() {
    let made = import_text("pipe", "ss", "ESTAB 0 0 10.0.0.5:41000 10.0.0.9:80\n", &[]);
    for verb in ["run", "explain", "remedies", "lint"] {
        let mut command = crate::common::command(&made.directory, &[verb, "-"]);
        let input = fs::File::open(made.directory.join("made.yaml")).expect("a scenario");
        let output = command.stdin(input).output().expect("the command runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.code().is_some_and(|code| code < 2),
            "{verb}: {said}"
        );
        assert!(
            !output.stdout.is_empty() || verb == "lint",
            "{verb}: {said}"
        );
    }
}
