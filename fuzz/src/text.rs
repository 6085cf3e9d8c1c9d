//! Readers of text: scenarios, captures of other tools, recordings of real kernels.

use fourtuple_harness::kernels;
use fourtuple_kernel::profile;
use fourtuple_linux::judge::Judge;
use fourtuple_linux::trace as recording;
use fourtuple_scenario::import::{self, ImportError, Imported, Settings};
use fourtuple_scenario::{expand, parse};
use std::path::Path;

/// Splits an input that stands for a capture and the output of `sysctl -a` of its machine.
const SYSCTL: &str = "\n--- sysctl -a\n";
/// Most calls of one program that are followed. Following is quadratic in what a kernel left open.
const FOLLOWED: usize = 24;

/// Every text is read or refused. What is read can be written and read again, and is then the same.
pub fn scenario(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match parse("input.yaml", text) {
        Err(errors) => {
            let shown = errors.to_string();
            assert!(!shown.is_empty(), "an error says something");
            assert!(
                !shown.contains(|c: char| c.is_control() && c != '\n'),
                "control characters reach the terminal: {shown:?}"
            );
        }
        Ok(scenario) => {
            let written = scenario.to_yaml();
            let again = parse("again.yaml", &written)
                .unwrap_or_else(|errors| panic!("{written}\n---\n{errors}"));
            assert_eq!(again, scenario, "{written}");
            // Errors about kernels' names are an answer as well.
            let _ = expand(&scenario, &kernels::names());
        }
    }
}

/// A log of strace: a scenario that can be read, or one sentence.
pub fn strace(data: &[u8]) {
    capture(data, import::strace);
}

/// The output of ss: likewise.
pub fn ss(data: &[u8]) {
    capture(data, import::ss);
}

fn capture(data: &[u8], import: fn(&str, &Settings) -> Result<Imported, ImportError>) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (text, sysctl) = match text.split_once(SYSCTL) {
        Some((text, sysctl)) => (text, Some(sysctl.to_owned())),
        None => (text, None),
    };
    let settings = Settings {
        kernel: vec!["linux-6.18".to_owned()],
        sysctl,
        before: None,
        no_port: true,
    };
    match import(text, &settings) {
        Ok(imported) => {
            let again = parse("imported.yaml", &imported.yaml)
                .unwrap_or_else(|errors| panic!("{}\n---\n{errors}", imported.yaml));
            assert_eq!(again, imported.scenario, "{}", imported.yaml);
        }
        Err(error) => {
            // An import that wrote a scenario which is none has a defect of its own.
            assert!(
                !error
                    .message
                    .starts_with("what was captured cannot be said"),
                "{}",
                error.message
            );
        }
    }
}

/// A recording is read or refused with its line. A recording that was read can be written and read
/// again, and can be checked to its end or to the first answer that the kernel does not allow.
pub fn trace(data: &[u8]) {
    let file = Path::new("input.jsonl");
    let Ok(boots) = recording::read(data, file) else {
        return;
    };
    let mut written = Vec::new();
    recording::write(&mut written, &boots).expect("a vector takes everything");
    let again = recording::read(&written[..], file).expect("what was written can be read");
    assert_eq!(again, boots);
    for boot in boots {
        let profile = boot
            .header
            .and_then(|header| profile::find(&header.profile));
        let Some(profile) = profile else { continue };
        let mut judge = Judge::new(profile.behaviours);
        for mut program in boot.programs {
            program.steps.truncate(FOLLOWED);
            // A step that cannot be followed is answered with a sentence.
            let _ = judge.program(&program);
        }
    }
}
