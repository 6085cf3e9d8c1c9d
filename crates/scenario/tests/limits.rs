//! Every limit, with a value at the limit and one beyond it.

use std::fmt::Write as _;

use fourtuple_scenario::limits::*;
use fourtuple_scenario::{KernelNames, Scenario, expand, parse};

const HOSTS: &str = "hosts: { h: { addresses: [10.0.0.1] }, i: { addresses: [10.0.0.2] } }\n";

fn processes(processes: &str) -> String {
    format!("about: Limits\n{HOSTS}processes:\n{processes}")
}

fn good(text: &str) -> Scenario {
    parse("limits.yaml", text).unwrap_or_else(|errors| panic!("{errors}"))
}

/// Asserts that the text is rejected with a message that contains the limit.
fn bad(text: &str, limit: impl ToString) {
    let errors = parse("limits.yaml", text)
        .expect_err("past the limit")
        .to_string();
    assert!(errors.contains(&limit.to_string()), "{errors}");
    assert!(errors.contains("limit"), "{errors}");
}

fn repeated(count: usize, item: impl Fn(usize) -> String) -> String {
    (0..count).map(item).collect()
}

#[test]
fn bytes_of_a_file() {
    let text = processes("  p: { on: h, bind: 10.0.0.1:0 }\n");
    let size = usize::try_from(MAX_FILE_BYTES).expect("fits");
    let fill = |size: usize| format!("{text}#{}", "x".repeat(size - text.len() - 1));
    good(&fill(size));
    bad(&fill(size + 1), MAX_FILE_BYTES);
}

#[test]
fn nesting() {
    // The map of the scenario is the first level; `source` may be nested up to the limit.
    let nested = |levels: usize| {
        format!(
            "about: Deep\nsource: {}x{}\n",
            "[".repeat(levels - 1),
            "]".repeat(levels - 1)
        )
    };
    let errors = parse("limits.yaml", &nested(MAX_NESTING))
        .expect_err("no hosts")
        .to_string();
    assert!(!errors.contains("nested"), "{errors}");
    bad(&nested(MAX_NESTING + 1), MAX_NESTING);
}

#[test]
fn values_of_a_file() {
    // Each alias expands to a list of 1,000 words.
    let words = "a, ".repeat(1_000);
    let text = |aliases: usize| {
        format!(
            "about: Aliases\nsource: [&l [{words}], {}]\n",
            "*l, ".repeat(aliases)
        )
    };
    let errors = parse("limits.yaml", &text(100))
        .expect_err("a list is not text")
        .to_string();
    assert!(!errors.contains("aliases"), "{errors}");
    bad(&text(200), MAX_VALUES);
}

#[test]
fn hosts() {
    let text = |count| {
        let hosts = repeated(count, |n| format!("h{n}: , "));
        format!(
            "about: Hosts\nhosts: {{ {hosts} }}\nprocesses: {{ p: {{ on: h0, bind: 127.0.0.1:0 }} }}\n"
        )
    };
    good(&text(MAX_HOSTS));
    bad(&text(MAX_HOSTS + 1), MAX_HOSTS);
}

#[test]
fn addresses() {
    let text = |count: usize| {
        let addresses = repeated(count, |n| format!("10.1.{}.{}, ", n / 256, n % 256));
        format!(
            "about: Addresses\nhosts: {{ h: {{ addresses: [{addresses}] }} }}\nprocesses: {{ p: {{ bind: 127.0.0.1:0 }} }}\n"
        )
    };
    good(&text(MAX_ADDRESSES));
    bad(&text(MAX_ADDRESSES + 1), MAX_ADDRESSES);
}

#[test]
fn number_of_processes() {
    let text = |count| {
        processes(&repeated(count, |n| {
            format!("  p{n}: {{ on: h, bind: 10.0.0.1:0 }}\n")
        }))
    };
    good(&text(MAX_PROCESSES));
    bad(&text(MAX_PROCESSES + 1), MAX_PROCESSES);
}

#[test]
fn counts() {
    for field in ["count", "connections", "repeat"] {
        let text = |count: u32| {
            processes(&format!(
                "  p: {{ on: h, connect: 10.0.0.2:1, hold: 1s, {field}: {count} }}\n"
            ))
        };
        good(&text(1));
        good(&text(MAX_COUNT));
        bad(&text(MAX_COUNT + 1), MAX_COUNT);
        bad(&text(1_000_000_000), MAX_COUNT);
        let errors = parse("limits.yaml", &text(0))
            .expect_err("none")
            .to_string();
        assert!(errors.contains("0 is below the minimum"), "{errors}");
    }
}

#[test]
fn connections_of_a_run() {
    let text = |more: u32| {
        processes(&format!(
            "  p: {{ on: h, connect: 10.0.0.2:1, count: 1000, connections: 999 }}\n  q: {{ on: h, connect: 10.0.0.2:1, count: {more} }}\n"
        ))
    };
    good(&text(1_000));
    bad(&text(1_001), MAX_CONNECTIONS);
}

#[test]
fn steps() {
    let text = |count| {
        format!(
            "about: Steps\nhosts: {{ h: }}\nsteps:\n{}",
            "  - { sleep: 1s }\n".repeat(count)
        )
    };
    good(&text(MAX_STEPS));
    bad(&text(MAX_STEPS + 1), MAX_STEPS);
}

#[test]
fn faults() {
    let text = |count| {
        format!(
            "{}network:\n  faults:\n{}",
            processes("  p: { on: h, bind: 10.0.0.1:0 }\n"),
            "    - { at: 1s, crash: i }\n".repeat(count)
        )
    };
    good(&text(MAX_FAULTS));
    bad(&text(MAX_FAULTS + 1), MAX_FAULTS);
}

#[test]
fn matrix_points() {
    let text = |values: usize| {
        let axis = |name: &str, count| {
            format!(
                "  {name}: [{}]\n",
                repeated(count, |n| format!("{}, ", n + 1))
            )
        };
        format!(
            "{}matrix:\n{}{}",
            processes("  p: { on: h, bind: 10.0.0.1:0, count: \"${a}\", uid: \"${b}\" }\n"),
            axis("a", 10),
            axis("b", values)
        )
    };
    assert_eq!(
        good(&text(MAX_MATRIX_POINTS / 10)).points().len(),
        MAX_MATRIX_POINTS
    );
    bad(&text(MAX_MATRIX_POINTS / 10 + 1), MAX_MATRIX_POINTS);
}

#[test]
fn values_over_all_matrix_points() {
    let text = |points: usize| {
        let mut text = String::from("about: Big\nhosts: { h: }\nmatrix: { t: [");
        for n in 1..=points {
            let _ = write!(text, "{n}s, ");
        }
        text.push_str("] }\nsteps:\n");
        text.push_str(&"  - { sleep: \"${t}\" }\n".repeat(MAX_STEPS / 2));
        text
    };
    // Three values for each step: the map, its key, and the time.
    let most = MAX_EXPANDED_VALUES / (MAX_STEPS / 2 * 3);
    good(&text(20));
    bad(&text(most + 1), MAX_EXPANDED_VALUES);
}

#[test]
fn cases() {
    let scenario = good(
        "about: Cases\nhosts: { h: }\nmatrix: { n: [1, 2] }\nprocesses: { p: { bind: 127.0.0.1:0, count: \"${n}\" } }\n",
    );
    let kernels =
        |count: usize| KernelNames::new((0..count).map(|n| (format!("linux-{n}"), [""; 0])));
    let cases = expand(&scenario, &kernels(MAX_CASES / 2)).expect("at the limit");
    assert_eq!(cases.len(), MAX_CASES);
    let errors = expand(&scenario, &kernels(MAX_CASES / 2 + 1))
        .expect_err("past it")
        .to_string();
    assert!(errors.contains(&MAX_CASES.to_string()), "{errors}");
}

#[test]
fn durations() {
    let text = |time: &str| {
        processes(&format!(
            "  p: {{ on: h, bind: 10.0.0.1:0, hold: {time} }}\n"
        ))
    };
    good(&text("24h"));
    good(&text("86400s"));
    good(&text("0s"));
    bad(&text("86401s"), "24h");
    bad(&text("99999999999999999999999h"), "24h");
}

#[test]
fn bytes_of_a_transfer() {
    let text = |len: u32| {
        format!(
            "about: Bytes\nhosts: {{ h: }}\nsteps: [{{ socket: a }}, {{ send: a, len: {len} }}]\n"
        )
    };
    good(&text(MAX_TRANSFER_BYTES));
    bad(&text(MAX_TRANSFER_BYTES + 1), MAX_TRANSFER_BYTES);
}

#[test]
fn characters_of_a_name() {
    let text = |length| {
        processes(&format!(
            "  {}: {{ on: h, bind: 10.0.0.1:0 }}\n",
            "n".repeat(length)
        ))
    };
    good(&text(MAX_NAME_CHARS));
    bad(&text(MAX_NAME_CHARS + 1), MAX_NAME_CHARS);
}

#[test]
fn errors_of_a_file() {
    let text = |count| {
        processes(&repeated(count, |n| {
            format!("  p{n}: {{ on: h, bind: nowhere }}\n")
        }))
    };
    let errors = parse("limits.yaml", &text(MAX_ERRORS)).expect_err("wrong");
    assert_eq!((errors.len(), errors.left_out()), (MAX_ERRORS, 0));
    let errors = parse("limits.yaml", &text(MAX_ERRORS + 3)).expect_err("wrong");
    assert_eq!((errors.len(), errors.left_out()), (MAX_ERRORS, 3));
    assert!(
        errors.to_string().ends_with("error: and 3 more problems"),
        "{errors}"
    );
}
