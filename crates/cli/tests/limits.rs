//! Every limit of docs/limits.md, as the page states it: what is at the limit is taken, and one
//! more is refused with the limit in the message. The numbers come from the page; a row without a
//! test, and a test without a row, fail.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::common::{Said, fourtuple, root, scratch};
use fourtuple_linux::{Call, HostSpec, Program, Step, Syscall};

/// The result of an input: accepted or not, and the output.
struct Tried {
    taken: bool,
    said: String,
}

/// Tries an input with so much of what is limited. The name is that of the test, for files.
type Try = fn(&str, u64) -> Tried;

/// The rows of the page: section and what is limited, and how much of it.
fn page() -> BTreeMap<(String, String), u64> {
    let text = fs::read_to_string(root().join("docs/limits.md")).expect("the page");
    let mut rows = BTreeMap::new();
    let mut section = "";
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            section = title;
        }
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if let ["", what, most, ""] = cells[..]
            && let Ok(most) = most.parse()
        {
            rows.insert((section.to_owned(), what.to_owned()), most);
        }
    }
    rows
}

macro_rules! limits {
    ($($section:literal { $($test:ident: $what:literal => $try:expr,)* })*) => {
        $($(#[test] fn $test() { at_and_past(stringify!($test), $section, $what, $try); })*)*

        #[test]
        fn the_page_and_the_tests_have_the_same_limits() {
            let tested = [$($(($section.to_owned(), $what.to_owned()),)*)*];
            let page: Vec<_> = page().into_keys().collect();
            let untested: Vec<_> = page.iter().filter(|row| !tested.contains(row)).collect();
            let unknown: Vec<_> = tested.iter().filter(|row| !page.contains(row)).collect();
            assert!(untested.is_empty(), "the page has limits without a test: {untested:?}");
            assert!(unknown.is_empty(), "tests have limits that are not on the page: {unknown:?}");
        }
    };
}

fn at_and_past(test: &str, section: &str, what: &str, input: Try) {
    if section == "A scenario on a real kernel" && !kernel() {
        return;
    }
    let most = page()
        .remove(&(section.to_owned(), what.to_owned()))
        .unwrap_or_else(|| panic!("{section}, {what}: not on the page"));
    let at = input(test, most);
    assert!(at.taken, "{what}: {most} is refused: {}", at.said);
    let past = input(test, most + 1);
    assert!(!past.taken, "{what}: {} is taken: {}", most + 1, past.said);
    assert!(
        past.said.contains(&most.to_string()),
        "{what}: {}",
        past.said
    );
}

limits! {
    "A scenario" {
        bytes_of_a_file: "bytes of a file" => |test, n| {
            let text = processes("  p: { on: h, bind: 10.0.0.1:0 }\n");
            let fill = "x".repeat(usize_of(n) - text.len() - 1);
            scenario(test, &format!("{text}#{fill}"))
        },
        nesting: "nesting of lists and maps" => |test, n| {
            // The maps of the scenario, of its processes and of the one process are three.
            let (open, close) = ("[".repeat(usize_of(n) - 3), "]".repeat(usize_of(n) - 3));
            read(test, &processes(&format!("  p: {{ on: h, bind: {open}10.0.0.1:0{close} }}\n")), "nested")
        },
        values_of_a_file: "values in a file, YAML aliases followed" => |test, n| {
            // Too many for any scenario: it is wrong in any case, but not for this.
            const REST: u64 = 29;
            let text = processes("  p: { on: h, bind: 10.0.0.1:0, count: 1 }\n");
            read(test, &format!("{text}source: [{}]\n", "a, ".repeat(usize_of(n - REST))), "after expanding its aliases")
        },
        values_of_all_cases: "values over all cases of a scenario" => |test, n| {
            let points = 100;
            let axis: String = (1..=points).map(|n| format!("{n}s, ")).collect();
            // What is there without steps and addresses. A step has three values: itself, its word,
            // and the time.
            const REST: u64 = 9;
            let steps = 2600;
            let addresses = n.div_ceil(5 * points) - REST - 3 * steps;
            let list: String = (1..=addresses).map(|n| format!("10.1.0.{n}, ")).collect();
            scenario(test, &format!(
                "about: Values\nkernel: [rhel-6.5, rhel-6.8, linux-4.4, linux-5.4, linux-6.18]\nhosts: {{ h: {{ addresses: [{list}] }} }}\nmatrix: {{ t: [{axis}] }}\nsteps:\n{}",
                "  - { sleep: \"${t}\" }\n".repeat(usize_of(steps)),
            ))
        },
        points_of_a_matrix: "points of a matrix" => |test, n| scenario(test, &matrix("linux-6.18", n)),
        cases: "cases: kernels times points" => |test, n| {
            // Ten kernels at each point, and one more at none: a list of kernels has them all at
            // every point.
            let kernels = ["rhel-6.5", "rhel-6.8", "linux-3.10", "linux-4.4", "linux-4.19", "linux-5.4", "linux-5.10", "linux-6.1", "linux-6.12", "linux-6.18", "linux-2.6.32"];
            let kernels = &kernels[..usize_of(n.div_ceil(1000))];
            scenario(test, &matrix(&format!("[{}]", kernels.join(", ")), 1000))
        },
        hosts: "hosts" => |test, n| {
            let hosts: String = (0..n).map(|n| format!("h{n}: , ")).collect();
            scenario(test, &format!("about: Hosts\nkernel: linux-6.18\nhosts: {{ {hosts} }}\nprocesses: {{ p: {{ on: h0, bind: 127.0.0.1:0 }} }}\n"))
        },
        addresses: "addresses on a host, and in a list" => |test, n| {
            let list: String = (0..n).map(|n| format!("10.1.{}.{}, ", n / 256, n % 256)).collect();
            let host = scenario(test, &format!("about: Addresses\nkernel: linux-6.18\nhosts: {{ h: {{ addresses: [{list}] }} }}\nprocesses: {{ p: {{ bind: 127.0.0.1:0 }} }}\n"));
            let list: String = (1..=n).map(|n| format!("10.0.0.2:{n}, ")).collect();
            let connect = scenario(test, &processes(&format!("  p: {{ on: h, connect: [{list}] }}\n")));
            both([host, connect])
        },
        number_of_processes: "processes" => |test, n| {
            let all: String = (0..n).map(|n| format!("  p{n}: {{ on: h, bind: 10.0.0.1:0 }}\n")).collect();
            scenario(test, &processes(&all))
        },
        counts: "`count`, `connections`, `repeat`" => |test, n| {
            both(["count", "connections", "repeat"].map(|field| {
                scenario(test, &processes(&format!("  p: {{ on: h, connect: 10.0.0.2:1, hold: 1s, {field}: {n} }}\n")))
            }))
        },
        connections_of_a_run: "connections in a run: `count` × `connections` × `repeat`, over all processes" => |test, n| {
            let rest = n - 900_000;
            scenario(test, &processes(&format!("  p: {{ on: h, connect: 10.0.0.2:1, count: 900, connections: 1000 }}\n  q: {{ on: h, connect: 10.0.0.2:1, count: {}, connections: 10 }}\n  r: {{ on: h, connect: 10.0.0.2:1, count: {} }}\n", rest / 10 - 1, 10 + rest % 10)))
        },
        steps: "steps" => |test, n| {
            scenario(test, &format!("about: Steps\nkernel: linux-6.18\nhosts: {{ h: }}\nsteps:\n{}", "  - { sleep: 1s }\n".repeat(usize_of(n))))
        },
        faults: "timed faults" => |test, n| {
            let faults = "    - { at: 1s, crash: i }\n".repeat(usize_of(n));
            scenario(test, &format!("{}network:\n  faults:\n{faults}", processes("  p: { on: h, bind: 10.0.0.1:0 }\n")))
        },
        durations: "seconds of a duration or a point in time" => |test, n| {
            let mut tried = both(["hold", "start"].map(|field| {
                scenario(test, &processes(&format!("  p: {{ on: h, connect: 10.0.0.2:1, {field}: {n}s }}\n")))
            }));
            // It is said in hours.
            tried.said = tried.said.replace("24h", "86400");
            tried
        },
        bytes_of_a_transfer: "bytes of one `send` or `recv`" => |test, n| {
            both(["send", "recv"].map(|call| {
                scenario(test, &format!("about: Bytes\nkernel: linux-6.18\nhosts: {{ h: }}\nsteps: [{{ socket: a }}, {{ {call}: a, len: {n} }}]\n"))
            }))
        },
        characters_of_a_name: "characters of a name" => |test, n| {
            scenario(test, &processes(&format!("  {}: {{ on: h, bind: 10.0.0.1:0 }}\n", "n".repeat(usize_of(n)))))
        },
        errors_of_a_file: "errors shown for one file" => |test, n| {
            let wrong: String = (0..n).map(|n| format!("  p{n}: {{ on: h, bind: nowhere }}\n")).collect();
            let Tried { said, .. } = scenario(test, &processes(&wrong));
            let shown = said.matches("`nowhere`").count();
            Tried { taken: !said.contains("more problems"), said: format!("{shown} shown") }
        },
        files_of_a_call: "files in one call" => |test, n| {
            let directory = scratch(&format!("limits-{test}"));
            let text = processes("  p: { on: h, bind: 10.0.0.1:0 }\n");
            let first = directory.join("0.yaml");
            fs::write(&first, text).expect("a scratch file");
            for n in 1..n {
                fs::hard_link(&first, directory.join(format!("{n}.yaml"))).expect("a scratch file");
            }
            let tried = budgeted(&directory, &["run", ".", "--engine", "model", "--max-time", "0"]);
            fs::remove_dir_all(&directory).expect("it was made above");
            tried
        },
        depth_of_directories: "nesting of directories" => |test, n| {
            let directory = scratch(&format!("limits-{test}"));
            let deep = directory.join(vec!["d"; usize_of(n) - 1].join("/"));
            fs::create_dir_all(&deep).expect("a scratch directory");
            fs::write(deep.join("s.yaml"), processes("  p: { on: h, bind: 10.0.0.1:0 }\n")).expect("a scratch file");
            budgeted(&directory, &["run", ".", "--engine", "model", "--max-time", "0"])
        },
    }
    "A capture that is imported" {
        bytes_of_a_capture: "bytes" => |test, n| {
            let line = format!("{}\n", "x".repeat(60_000));
            let mut text = bound(3, 0);
            text.push_str(&line.repeat(usize_of(n) / line.len()));
            text.push_str(&"x".repeat(usize_of(n) - text.len()));
            import(test, &text, "bytes")
        },
        lines_of_a_capture: "lines that are looked at" => |test, n| {
            import(test, &format!("{}{}", bound(3, 0), "\n".repeat(usize_of(n) - 2)), "limit of an import")
        },
        bytes_of_a_line: "bytes of a line" => |test, n| {
            import(test, &format!("{}{}\n", bound(3, 0), "x".repeat(usize_of(n))), "longer than")
        },
        steps_of_an_import: "steps that are made" => |test, n| {
            // Each call is one step; where the number is odd, the last socket listens besides.
            let calls: String = (0..n / 2).map(|k| bound(3 + k, 0)).collect();
            let odd = if n % 2 == 1 {
                format!("100 1700000000.000001 listen({}, 16) = 0\n", 2 + n / 2)
            } else {
                String::new()
            };
            import(test, &format!("{calls}{odd}"), "too long for one scenario")
        },
        addresses_of_an_import: "addresses of a host" => |test, n| {
            let calls: String = (0..n).map(|k| bound(3 + k, k)).collect();
            import(test, &calls, "beyond the first")
        },
    }
    "A recording" {
        bytes_of_a_recording: "bytes" => |_, n| {
            // Blank lines, longer than which none may be, and what is missing.
            let line = format!("{}\n", " ".repeat(1 << 20));
            recording(&line.repeat(usize_of(n) / line.len()), &" ".repeat(usize_of(n) % line.len()))
        },
        bytes_of_a_recorded_line: "bytes of a line" => |_, n| recording("\n", &" ".repeat(usize_of(n))),
        programs_of_a_recording: "programs" => |_, n| recording(&"{\"program\":\"\",\"steps\":[]}\n".repeat(usize_of(n)), ""),
    }
    "A scenario on a real kernel" {
        calls_of_a_checked_run: "calls, which the model checks" => |test, n| {
            let calls = "  - { getsockname: s }\n".repeat(usize_of(n) - 2);
            real(test, &format!("about: Calls\nkernel: all\nhosts: {{ h: }}\nsteps:\n  - {{ socket: s }}\n  - {{ bind: s, at: 127.0.0.1:0 }}\n{calls}"), &[])
        },
        hosts_of_a_checked_run: "hosts" => |test, n| {
            let hosts: String = (0..n).map(|n| format!("h{n}: , ")).collect();
            real(test, &format!("about: Hosts\nkernel: all\nhosts: {{ {hosts} }}\nprocesses: {{ p: {{ on: h0, bind: 127.0.0.1:0 }} }}\n"), &[])
        },
        wait: "seconds of the real clock on the running kernel, unless `--max-wait` says otherwise" => |test, n| {
            // The default is looked up rather than waited for; and a limit of a second is kept.
            let sleeps = |seconds| format!("about: Waits\nkernel: all\nhosts: {{ h: }}\nsteps: [{{ sleep: {seconds}s }}, {{ socket: s }}]\n");
            assert!(real(test, &sleeps(1), &["--max-wait", "1"]).taken);
            let past = real(test, &sleeps(2), &["--max-wait", "1"]);
            assert!(!past.taken && past.said.contains("the limit is 1 s"), "{}", past.said);
            let help = fourtuple(&root(), &["certify", "--help"]).out;
            Tried { taken: help.contains(&format!("[default: {n}]")), said: help }
        },
    }
    "Random programs on a real kernel" {
        programs_of_a_campaign: "programs of one `fuzz`" => |_, n| campaign(&["--count", &n.to_string()]),
        programs_at_a_time: "programs at a time" => |_, n| campaign(&["--jobs", &n.to_string()]),
        programs_that_are_recorded: "programs of one `fuzz --record`" => |_, n| campaign(&["--record", "none.jsonl", "--count", &n.to_string()]),
    }
    "A program that is put to a real kernel through the library" {
        steps_of_a_program: "steps" => |_, n| program(0, vec![Call::Sleep { ms: 0 }; usize_of(n)]),
        hosts_of_a_program: "hosts" => |_, n| program(n, Vec::new()),
        names_of_a_program: "names of sockets" => |_, n| {
            let accept = |n: u64| Syscall::Accept { sock: format!("{n}"), new: format!("{}", n + 1), uid: None }.into();
            // Two names in each call, and an odd one at the end.
            let mut calls: Vec<Call> = (0..n / 2).map(|k| accept(2 * k)).collect();
            if n % 2 == 1 {
                calls.push(Syscall::Close { sock: format!("{n}") }.into());
            }
            program(0, calls)
        },
        bytes_of_a_call: "bytes of one send or recv" => |_, n| {
            let len = u32::try_from(n).expect("it fits");
            let sock = || "s".to_owned();
            both([
                program(0, vec![Syscall::Send { sock: sock(), len }.into()]),
                program(0, vec![Syscall::Recv { sock: sock(), len }.into()]),
            ])
        },
        bytes_of_a_program: "bytes as the kernel's side is sent it" => |_, n| {
            let sysctl = |length: usize| Call::Sysctl { key: "net.ipv4.x".to_owned(), value: "x".repeat(length) };
            // The namespace, which comes first; and what there is besides the value, lengths and
            // ends of texts included.
            const NAMESPACE: usize = 6;
            const REST: usize = 6 + 2 + "/proc/sys/net/ipv4/x".len() + 1 + 2 + 1;
            let (many, mut left) = ((usize_of(n) - NAMESPACE) / (REST + 4000), (usize_of(n) - NAMESPACE) % (REST + 4000));
            let mut calls = vec![sysctl(4000); many];
            if left < REST {
                // One less, so that there is room for another.
                calls.pop();
                left += REST + 4000;
                calls.push(sysctl(1000));
                left -= REST + 1000;
            }
            calls.push(sysctl(left - REST));
            program(0, calls)
        },
    }
    "Memory and time" {
        memory: "MiB that a scenario may be expected to need, unless `--max-memory` says otherwise" => |test, n| {
            let text = processes("  p: { on: h, connect: 10.0.0.2:1, connections: 100000 }\n");
            default_budget(test, &text, "--max-memory", n)
        },
        time: "seconds of a processor that a call may be expected to take, unless `--max-time` says otherwise" => |test, n| {
            let text = processes("  p: { on: h, connect: 10.0.0.2:1, connections: 10 }\n");
            default_budget(test, &text, "--max-time", n)
        },
    }
}

fn usize_of(n: u64) -> usize {
    usize::try_from(n).expect("it fits")
}

fn processes(processes: &str) -> String {
    format!(
        "about: Limits\nkernel: linux-6.18\nhosts: {{ h: {{ addresses: [10.0.0.1] }}, i: {{ addresses: [10.0.0.2] }} }}\nprocesses:\n{processes}"
    )
}

/// A scenario with so many points.
fn matrix(kernel: &str, points: u64) -> String {
    let axis: String = (1..=points).map(|n| format!("{n}, ")).collect();
    processes("  p: { on: h, bind: 10.0.0.1:0, uid: \"${n}\" }\n").replace("linux-6.18", kernel)
        + &format!("matrix: {{ n: [{axis}] }}\n")
}

fn both(tried: impl IntoIterator<Item = Tried>) -> Tried {
    let all: Vec<Tried> = tried.into_iter().collect();
    let taken = all.iter().all(|one| one.taken);
    // All of them, or none.
    assert!(
        all.iter().all(|one| one.taken == taken),
        "{:?}",
        all.iter().map(|one| &one.said).collect::<Vec<_>>()
    );
    let said = all.into_iter().map(|one| one.said).collect();
    Tried { taken, said }
}

/// Reads a scenario without running it: with no time to run, one that is right is refused for that.
fn scenario(test: &str, text: &str) -> Tried {
    let directory = scratch(&format!("limits-{test}"));
    fs::write(directory.join("s.yaml"), text).expect("a scratch file");
    budgeted(
        &directory,
        &[
            "run",
            "s.yaml",
            "--engine",
            "model",
            "--max-time",
            "0",
            "--max-memory",
            "1000000",
        ],
    )
}

fn budgeted(directory: &Path, arguments: &[&str]) -> Tried {
    let Said { status, out, err } = fourtuple(directory, arguments);
    assert_eq!((status, out.as_str()), (2, ""), "{err}");
    Tried {
        taken: err.contains("--max-time"),
        said: err,
    }
}

/// Reads a scenario that is wrong in any case; it is taken as far as the error is not the one that
/// is asked about.
fn read(test: &str, text: &str, word: &str) -> Tried {
    let Tried { said, .. } = scenario(test, text);
    Tried {
        taken: !said.contains(word),
        said,
    }
}

/// Two lines of an strace log: a socket, and its bind to one of many addresses.
fn bound(fd: u64, address: u64) -> String {
    let at = format!("10.1.{}.{}", address / 250, 1 + address % 250);
    format!(
        "100 1700000000.000001 socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = {fd}\n100 1700000000.000001 bind({fd}, {{sa_family=AF_INET, sin_port=htons(0), sin_addr=inet_addr(\"{at}\")}}, 16) = 0\n"
    )
}

/// Imports a capture; it is taken as far as nothing is said to be left out for the reason that is
/// asked about.
fn import(test: &str, text: &str, word: &str) -> Tried {
    let directory = scratch(&format!("limits-{test}"));
    fs::write(directory.join("log"), text).expect("a scratch file");
    let Said { err, .. } = fourtuple(&directory, &["import", "strace", "log"]);
    fs::remove_file(directory.join("log")).expect("it was written above");
    Tried {
        taken: !err.contains(word),
        said: err,
    }
}

/// Returns whether the running kernel is usable.
fn kernel() -> bool {
    let said = fourtuple(&root(), &["fuzz", "--on", "host", "--count", "1"]);
    if said.status == 2 {
        println!("skipped: {}", said.err);
    }
    said.status != 2
}

/// Runs a scenario on the running kernel; it is taken if it is not left out.
fn real(test: &str, text: &str, arguments: &[&str]) -> Tried {
    let directory = scratch(&format!("limits-{test}"));
    fs::write(directory.join("s.yaml"), text).expect("a scratch file");
    let run = ["certify", "s.yaml", "--on", "host"];
    let Said { out, err, .. } = fourtuple(&directory, &[&run[..], arguments].concat());
    let said = out + &err;
    Tried {
        taken: said.contains("1 scenarios, 1 cases") && said.contains("; 0 scenarios left out"),
        said,
    }
}

/// Begins a campaign on a missing kernel. The arguments are accepted if that is the error.
fn campaign(arguments: &[&str]) -> Tried {
    let begin = ["fuzz", "--on", "nowhere"];
    let Said { status, err, .. } = fourtuple(&root(), &[&begin[..], arguments].concat());
    assert_eq!(status, 2, "{err}");
    Tried {
        taken: err.contains("unknown kernel image"),
        said: err,
    }
}

/// Checks a program with so many hosts.
fn program(hosts: u64, calls: Vec<Call>) -> Tried {
    let host = |n| HostSpec {
        name: format!("h{n}"),
        ..HostSpec::default()
    };
    let program = Program {
        program: "large".to_owned(),
        hosts: (0..hosts).map(host).collect(),
        steps: calls.into_iter().map(Step::new).collect(),
    };
    let checked = program.check();
    Tried {
        taken: checked.is_ok(),
        said: checked
            .err()
            .map_or(String::new(), |error| error.to_string()),
    }
}

/// Reads a recording of two parts.
fn recording(first: &str, second: &str) -> Tried {
    use std::io::Read as _;
    let reader = std::io::BufReader::new(first.as_bytes().chain(second.as_bytes()));
    let read = fourtuple_linux::trace::read(reader, Path::new("recording.jsonl"));
    Tried {
        taken: read.is_ok(),
        said: read.err().map_or(String::new(), |error| error.to_string()),
    }
}

/// The default of a budget is what the page says, and a budget is kept: what is needed is enough,
/// and one less is not. What is past the limit on the page is asked for as one less than what is
/// needed.
fn default_budget(test: &str, text: &str, option: &str, n: u64) -> Tried {
    let directory = scratch(&format!("limits-{test}"));
    fs::write(directory.join("s.yaml"), text).expect("a scratch file");
    let run = |budget: u64| {
        fourtuple(
            &directory,
            &[
                "run",
                "s.yaml",
                "--engine",
                "model",
                option,
                &budget.to_string(),
            ],
        )
    };
    let help = fourtuple(&directory, &["run", "--help"]).out;
    let refused = run(0);
    assert_eq!(
        (refused.status, refused.out.as_str()),
        (2, ""),
        "{refused:?}"
    );
    let needed = refused.err.rsplit(option).next().expect("the option");
    let needed: u64 = needed
        .trim()
        .trim_end_matches('`')
        .parse()
        .expect("a number");
    assert_eq!(run(needed).status, 0, "what is needed is not enough");
    let short = run(needed - 1);
    assert_eq!(short.status, 2, "less than what is needed is enough");
    assert!(
        short.err.contains(&format!("the limit is {} ", needed - 1)),
        "{}",
        short.err
    );
    let taken = help.contains(&format!("[default: {n}]"));
    Tried { taken, said: help }
}
