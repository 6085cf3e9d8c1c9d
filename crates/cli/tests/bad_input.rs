//! Input that must be rejected: with file, line and column, the line itself and what was expected,
//! and exit status 2. Nothing reaches standard output.

use crate::common::{fourtuple, here};

fn rejected(name: &str, arguments: &[&str]) {
    let said = fourtuple(&here("bad"), arguments);
    assert_eq!(said.status, 2, "{}", said.err);
    assert_eq!(said.out, "");
    let mut settings = insta::Settings::clone_current();
    settings.set_omit_expression(true);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_snapshot_path("snapshots/bad");
    settings.bind(|| insta::assert_snapshot!(name, said.err));
}

macro_rules! rejected {
    ($($name:ident: $file:literal,)*) => {
        $(#[test] fn $name() { rejected(stringify!($name), &["run", $file]); })*

        /// A file without a test that names it is not tested.
        #[test]
        fn every_bad_file_is_tried() {
            let tried = [$($file,)*];
            for entry in std::fs::read_dir(here("bad")).expect("bad/") {
                let name = entry.expect("an entry").file_name().into_string().expect("text");
                assert!(tried.contains(&name.as_str()), "{name} is not tried");
            }
        }
    };
}

rejected! {
    alias_bomb: "alias-bomb.yaml",
    binary: "binary.yaml",
    count_too_large: "count-too-large.yaml",
    count_zero: "count-zero.yaml",
    cyclic_after: "cyclic-after.yaml",
    directory_without_scenario: "no-scenario",
    duplicate_key: "duplicate-key.yaml",
    empty: "empty.yaml",
    missing_about: "missing-about.yaml",
    missing_path: "missing.yaml",
    port_70000: "port-70000.yaml",
    range_reversed: "range-reversed.yaml",
    unknown_field: "unknown-field.yaml",
    unknown_host: "unknown-host.yaml",
    unknown_kernel: "unknown-kernel.yaml",
    wrong_bind_style: "wrong-bind-style.yaml",
}

#[test]
fn several_files_are_reported_together() {
    rejected(
        "several_files",
        &[
            "run",
            "port-70000.yaml",
            "unknown-host.yaml",
            "missing-about.yaml",
        ],
    );
}

#[test]
fn an_unknown_kernel_on_the_command_line() {
    rejected(
        "unknown_kernel_option",
        &["run", "../wrong", "--kernel", "rhel-6.55"],
    );
}

#[test]
fn an_unknown_engine_on_the_command_line() {
    rejected(
        "unknown_engine_option",
        &["run", "../wrong", "--engine", "modle"],
    );
}

#[test]
fn an_unknown_kernel_to_show() {
    rejected("unknown_kernel_to_show", &["kernels", "debain-12"]);
}
