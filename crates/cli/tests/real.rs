//! Scenarios on the running kernel: both forms, what is left out, and what a wrong profile looks
//! like. Where namespaces are not permitted each test says so and checks nothing.
#![cfg(target_os = "linux")]

mod common;

use common::{Said, fourtuple, root, scratch};

/// Runs the command. Returns `None` if the running kernel is unusable.
fn on_host(arguments: &[&str]) -> Option<Said> {
    let said = fourtuple(&root(), arguments);
    if said.status == 2 && said.err.contains("the running kernel cannot be used") {
        eprintln!("skipped: {}", said.err.trim());
        return None;
    }
    Some(said)
}

/// The name of the running kernel's profile, from the output of the command; `None` without one.
fn own_profile() -> Option<String> {
    let file = "scenarios/rhel-6.5/connect-after-bind-every-kernel.yaml";
    let said = on_host(&["certify", file, "--on", "host"])?;
    if said.err.contains("no profile is known") {
        eprintln!("skipped: {}", said.err.trim());
        return None;
    }
    assert_eq!(said.status, 0, "{}{}", said.out, said.err);
    let (_, rest) = said.out.split_once("profile ").expect("it is named");
    Some(rest.split(')').next().expect("a name").to_owned())
}

#[test]
fn processes_and_steps_run_and_conform() {
    let Some(profile) = own_profile() else { return };
    for (file, call) in [
        // Processes on two hosts.
        ("scenarios/rhel-6.5/connect-after-bind.yaml", "connect"),
        // Steps on one, with a port that a call before gives.
        ("scenarios/core/port-outlives-its-binder.yaml", "connect"),
        // A close by each side, and TIME-WAIT.
        ("scenarios/core/what-the-offender-did.yaml", "connect"),
    ] {
        let arguments = [
            "run",
            file,
            "--engine",
            "model,linux",
            "--kernel",
            &profile,
            "--format",
            "json",
        ];
        let Some(said) = on_host(&arguments) else {
            return;
        };
        assert_eq!(said.status, 0, "{}{}", said.out, said.err);
        let document: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
        let runs = document["runs"].as_array().expect("a list");
        let (real, model): (Vec<_>, Vec<_>) = runs.iter().partition(|run| run["engine"] == "linux");
        assert_eq!(real.len(), model.len(), "{file}");
        for (real, model) in real.iter().zip(model) {
            let calls = real["conformance"]["calls"].as_u64().expect("a number");
            let attempts = real["attempts"].as_array().expect("a list");
            assert!(calls >= attempts.len() as u64, "{file}: {calls}");
            assert_eq!(real["conformance"]["profile"], profile.as_str());
            assert!(real["conformance"]["disallowed"].is_null());
            // The same calls in the same order, each with its process.
            let results = |run: &serde_json::Value| -> Vec<String> {
                let attempts = run["attempts"].as_array().expect("a list");
                attempts
                    .iter()
                    .map(|one| format!("{} {} {}", one["host"], one["socket"], one["op"]))
                    .collect()
            };
            assert_eq!(results(real), results(model), "{file}");
            assert!(results(real).iter().any(|one| one.contains(call)), "{file}");
        }
        for agreement in document["agreement"].as_array().expect("a list") {
            assert_eq!(agreement["agrees"], true);
            assert_eq!(agreement["required"], true);
        }
    }
}

#[test]
fn scenarios_that_do_not_run_are_reported() {
    let Some(profile) = own_profile() else { return };
    let directory = scratch("real-left-out");
    let write = |name: &str, text: &str| {
        let file = directory.join(name);
        std::fs::write(&file, text).expect("a scratch file");
        file.display().to_string()
    };
    let slow = write(
        "slow.yaml",
        "about: Does it wait?\nkernel: all\nhosts: { h: { addresses: [10.0.0.1] } }\nsteps:\n  - { sleep: 1h }\n  - { socket: a }\n",
    );
    let other = write(
        "other.yaml",
        "about: Is it another kernel's?\nkernel: linux-2.6.32\nhosts: { h: { addresses: [10.0.0.1] } }\nsteps:\n  - { socket: a }\n",
    );
    let Some(said) = on_host(&["certify", &slow, &other, "--on", "host"]) else {
        return;
    };
    assert_eq!(said.status, 2, "{}{}", said.out, said.err);
    assert!(said.err.starts_with("error: nothing ran\n"), "{}", said.err);
    assert!(
        said.out.contains("left out: it takes 3600 s"),
        "{}",
        said.out
    );
    assert!(
        said.out.contains("left out: it is for linux-2.6.32"),
        "{}",
        said.out
    );
    let end = format!(
        "profile {profile}): 0 scenarios, 0 cases, 0 calls: 0 answers that the profile does not allow; 2 scenarios left out\n"
    );
    assert!(said.out.ends_with(&end), "{}", said.out);
}

#[test]
fn a_profile_that_is_wrong_is_noticed_and_shown_as_a_scenario() {
    let Some(profile) = own_profile() else { return };
    if profile == "linux-2.6.32" {
        return;
    }
    let directory = scratch("real-wrong-profile");
    let file = directory.join("option.yaml");
    std::fs::write(
        &file,
        "about: Does the kernel know this option?\nkernel: linux-2.6.32\nhosts: { h: { addresses: [127.0.0.1] } }\nsteps:\n  - { socket: a }\n  - { bind: a, at: \"127.0.0.1:4000\" }\n  - { socket: b }\n  - { set: b, options: { reuseport: true } }\n  - { close: a }\n",
    )
    .expect("a scratch file");
    let file = file.display().to_string();
    let data = directory.join("data.json").display().to_string();
    let wrong = ["--profile", "linux-2.6.32", "--data", &data];
    let mut arguments = vec!["certify", &file, "--on", "host"];
    arguments.extend(wrong);
    let Some(said) = on_host(&arguments) else {
        return;
    };
    assert_eq!(said.status, 1, "{}{}", said.out, said.err);
    let shown = "answered ok to call 4, b set reuseport, where linux-2.6.32 allows ENOPROTOOPT";
    assert!(said.out.contains(shown), "{}", said.out);
    // The bind and the close have nothing to do with it.
    let steps: Vec<&str> = said
        .out
        .lines()
        .filter_map(|line| line.strip_prefix("      - "))
        .collect();
    assert_eq!(steps.len(), 2, "{steps:?}");
    assert!(steps[1].contains("reuseport") && steps[1].contains("expect: ok"));
    let text = std::fs::read_to_string(&data).expect("it was written");
    let data: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(data["kernels"][0]["profile"], "linux-2.6.32");
    assert_eq!(data["kernels"][0]["scenarios"][0]["disallowed"], 1);
}

#[test]
fn engines_without_a_kernel_say_what_is_missing() {
    let file = "scenarios/rhel-6.5/connect-after-bind.yaml";
    let said = fourtuple(&root(), &["run", file, "--engine", "vm"]);
    assert_eq!((said.status, said.out.as_str()), (2, ""));
    assert_eq!(
        said.err,
        "error: the vm engine needs a kernel image\n  = help: add `--kernel-image IMAGE`, a bzImage or a name such as debian:6.1\n"
    );
    let said = fourtuple(&root(), &["certify", file, "--on", "no-such-image"]);
    assert_eq!(said.status, 2);
    assert_eq!(
        said.err,
        "error: unknown kernel image `no-such-image`: expected a file or a name such as `debian:6.1`\n"
    );
    let said = fourtuple(&root(), &["certify", "--on", "host"]);
    assert_eq!(said.status, 2);
    assert!(said.err.starts_with("error: no scenarios to run\n"));
}
