//! Programs in a virtual machine. Set FOURTUPLE_VM_IMAGE to an image (a file or a name such as
//! debian:6.1) to run these.
#![cfg(target_os = "linux")]

mod common;

use common::{HOSTS, HOSTS_RESULTS, HOSTS_STEPS, ONE_HOST, ONE_HOST_RESULTS, program, results};
use fourtuple_linux::{Image, RunError, Vm};
use std::time::Duration;

fn vm() -> Option<Vm> {
    let Ok(name) = std::env::var("FOURTUPLE_VM_IMAGE") else {
        println!("skipped: FOURTUPLE_VM_IMAGE names no kernel image");
        return None;
    };
    Some(Vm::new(Image::named(&name).expect("the image can be had")))
}

#[test]
fn programs_run_the_same_way_every_time() {
    let Some(vm) = vm() else { return };
    let waiting = r#"
        {"op":"socket","sock":"a"}
        {"op":"bind","sock":"a","at":"0.0.0.0:0"}
        {"op":"sleep","ms":90000}
        {"op":"socket","sock":"b"}
        {"op":"bind","sock":"b","at":"0.0.0.0:0"}
    "#;
    let asked = [
        program("[]", ONE_HOST),
        program("[]", waiting),
        program(HOSTS, HOSTS_STEPS),
    ];
    let first = vm.run(&asked).expect("it boots");
    assert_eq!(
        results(first.answers[0].as_ref().expect("it runs")),
        ONE_HOST_RESULTS
    );
    let waited = first.answers[1].as_ref().expect("it runs");
    let at: Vec<_> = waited
        .steps
        .iter()
        .map(|s| s.answer.as_ref().unwrap().at_us)
        .collect();
    assert!(
        (90_000_000..90_100_000).contains(&(at[2] - at[1])),
        "{at:?}"
    );
    match &first.answers[2] {
        Ok(answered) => assert_eq!(results(answered), HOSTS_RESULTS),
        Err(e @ RunError::Setup { .. }) if vm.image.modules.is_empty() => println!("skipped: {e}"),
        Err(e) => panic!("{e}"),
    }
    let second = vm.run(&asked).expect("it boots");
    for (a, b) in first.answers.iter().zip(&second.answers) {
        assert_eq!(a.as_ref().ok(), b.as_ref().ok());
    }
}

#[test]
fn slow_machine_is_ended() {
    let Some(mut vm) = vm() else { return };
    vm.limit = Duration::from_millis(300);
    let e = vm
        .run(&[program("[]", ONE_HOST)])
        .expect_err("nothing boots so fast");
    assert!(e.to_string().contains("was not done after"), "{e}");
}

#[test]
fn boot_errors_are_one_line() {
    let e = Image::named("no-such-image")
        .expect_err("there is none")
        .to_string();
    assert_eq!(
        e,
        "unknown kernel image `no-such-image`: expected a file or a name such as `debian:6.1`"
    );
    let asked = [program("[]", ONE_HOST)];
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let e = Vm::new(Image::file(file))
        .run(&asked)
        .expect_err("it is not a kernel")
        .to_string();
    assert!(
        e.ends_with("Cargo.toml: not a kernel image (bzImage)"),
        "{e}"
    );
    if let Some(mut vm) = vm() {
        vm.qemu = "no-such-emulator".into();
        let e = vm.run(&asked).expect_err("there is none").to_string();
        assert_eq!(
            e,
            "failed to start a virtual machine: no-such-emulator is not installed"
        );
    }
}
