//! No input makes the reader panic or loop, and every accepted input can be encoded and decoded
//! again.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use fourtuple_scenario::{KernelNames, expand, limits, parse};
use proptest::prelude::*;

/// Far above the time of any input, and far below an endless loop.
const PATIENCE: Duration = Duration::from_secs(60);

fn read(text: &str) {
    let start = Instant::now();
    let kernels = KernelNames::new([
        ("linux-6.18", ["linux-6.17.13"]),
        ("rhel-6.5", ["rhel-6.8"]),
    ]);
    match parse("input.yaml", text) {
        Err(errors) => {
            assert!(errors.len() > 0);
            // Rendering must not fail either, and must not emit control characters.
            let shown = errors.to_string();
            assert!(
                !shown.contains(|c: char| c.is_control() && c != '\n'),
                "{shown:?}"
            );
        }
        Ok(scenario) => {
            let written = scenario.to_yaml();
            match parse("again.yaml", &written) {
                Ok(again) => assert_eq!(again, scenario, "{written}"),
                Err(errors) => panic!("{text}\n---\n{written}\n---\n{errors}"),
            }
            let _ = expand(&scenario, &kernels);
        }
    }
    assert!(start.elapsed() < PATIENCE, "took {:?}", start.elapsed());
}

#[test]
fn hostile_shapes() {
    let most = usize::try_from(limits::MAX_FILE_BYTES).expect("fits");
    let filled = |part: &str| part.repeat(most / part.len());
    for part in [
        "[",
        "{",
        "- ",
        "? ",
        "a: ",
        "&a ",
        "*a ",
        "!t ",
        "\"",
        "'",
        "|\n",
        "#",
        "\t",
        "\n",
        "%",
        "---\n",
        "a\n",
        "[]",
        "{}",
        "- - ",
        "a: [",
        "[{",
        "{a: ",
        "<<: ",
        "\u{feff}",
        "é",
        "\r",
        ":",
        ",",
        "[a, ",
        "&a [*a], ",
        "- &a b\n",
        "\"\\u0000\" ",
        "a: b\n",
        "- a\n",
        "${a}",
    ] {
        read(&filled(part));
        read(&format!(
            "about: x\nhosts: {}",
            filled(part).get(..most - 32).unwrap_or_default()
        ));
    }
}

#[test]
fn many_errors_on_one_long_line() {
    for part in ["a: b, ", "? [x], ", "\"\u{1b}\": x, ", "a: ${n}, "] {
        read(&format!("about: {{ {} }}\n", part.repeat(100_000)));
        read(&format!(
            "about: x\nhosts: {{ {} }}\n",
            part.repeat(100_000)
        ));
    }
    let hosts: String = (0..60_000).map(|n| format!("x{n}: [], ")).collect();
    read(&format!(
        "about: x\nhosts: {{ h: {{ {hosts} }} }}\nprocesses: {{ {hosts} }}\n"
    ));
    let values: String = (0..150_000).map(|n| format!("{n}, ")).collect();
    read(&format!(
        "about: x\nmatrix: {{ n: [{values}] }}\nhosts: {{ h: }}\nsteps: [ {{ sleep: 1s }} ]\n"
    ));
    let names: String = (0..20_000)
        .map(|n| format!("a-rather-long-name-{n}, "))
        .collect();
    read(&format!(
        "about: x\nhosts: {{ h: }}\nprocesses: {{ p: {{ after: [{names}], bind: 127.0.0.1:0 }} }}\n"
    ));
    let checks: String = (0..20_000)
        .map(|n| format!("a-rather-long-name-{n}.bind: ok, "))
        .collect();
    read(&format!(
        "about: x\nhosts: {{ h: }}\nprocesses: {{ p: {{ bind: 127.0.0.1:0 }} }}\nexpect: {{ {checks} }}\n"
    ));
    let opened: String = (0..5_000)
        .map(|n| format!("{{ socket: a-rather-long-name-{n} }}, "))
        .collect();
    let closed: String = (0..5_000)
        .map(|n| format!("{{ close: another-long-name-{n} }}, "))
        .collect();
    read(&format!(
        "about: x\nhosts: {{ h: }}\nsteps: [ {opened} {closed} ]\n"
    ));
    let steps = "{ close: a }, ".repeat(9_000);
    read(&format!("about: x\nhosts: {{ h: }}\nsteps: [ {steps} ]\n"));
}

#[test]
fn aliases_that_multiply() {
    for width in [2_usize, 10, 100] {
        let mut text = String::from("about: x\nsource: &a0 [x]\nhosts:\n");
        for n in 1..50 {
            let aliases = vec![format!("*a{}", n - 1); width].join(", ");
            text.push_str(&format!("  h{n}: &a{n} [{aliases}]\n"));
        }
        read(&text);
    }
    // One long word, repeated.
    let text = format!(
        "about: &a {}\nsource: [{}]\n",
        "x".repeat(500_000),
        "*a, ".repeat(100_000)
    );
    read(&text);
}

#[test]
fn axes_that_multiply() {
    let value = "v".repeat(256);
    let values: Vec<String> = (0..1_000)
        .map(|n| format!("{value}{n}").chars().skip(4).collect())
        .collect();
    let text = format!(
        "about: x\nmatrix: {{ n: [{}] }}\nhosts: {{ h: {{ sysctl: {{ net.ipv4.x: \"{}\" }} }} }}\nprocesses: {{ p: {{ bind: 127.0.0.1:0 }} }}\n",
        values.join(", "),
        "${n}".repeat(100_000),
    );
    read(&text);
}

fn examples() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut files =
        fourtuple_scenario::discover([root.join("examples"), root.join("rejects")]).expect("files");
    files.sort();
    files
        .iter()
        .map(|file| fs::read_to_string(file).expect("readable"))
        .collect()
}

#[test]
fn every_beginning_of_every_example() {
    for text in examples() {
        if text.len() > 4_000 {
            continue;
        }
        for (end, _) in text.char_indices().step_by(3) {
            read(&text[..end]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn changed_examples(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0_usize..6, "[ -~\n]{0,6}"), 1..5),
    ) {
        let examples = examples();
        let mut text: Vec<char> = which.get(&examples).chars().collect();
        for (from, to, length, put) in changes {
            if text.is_empty() {
                break;
            }
            // Either replaces some characters, or copies a piece of the text to another place.
            let at = from.index(text.len());
            let end = (at + length).min(text.len());
            if put.is_empty() {
                let piece: Vec<char> = text[at..(at + 20).min(text.len())].to_vec();
                let to = to.index(text.len());
                text.splice(to..to, piece);
            } else {
                text.splice(at..end, put.chars());
            }
        }
        read(&text.into_iter().collect::<String>());
    }

    #[test]
    fn any_text(text in "\\PC{0,200}") {
        read(&text);
    }

    #[test]
    fn any_about(about in "\\PC{1,60}", source in "[\\PC\n\t]{0,40}") {
        // Text that a tool puts into a scenario is quoted so that it decodes to the same text.
        let text = "about: x\nhosts: { h: }\nprocesses: { p: { bind: 127.0.0.1:0 } }\n";
        let mut scenario = parse("x.yaml", text).expect("valid");
        scenario.about = about.trim().to_owned();
        prop_assume!(!scenario.about.is_empty());
        scenario.source = vec![source];
        let written = scenario.to_yaml();
        let again = parse("again.yaml", &written).map_err(|errors| TestCaseError::fail(format!("{written}\n{errors}")))?;
        prop_assert_eq!(again, scenario, "{}", written);
    }
}
