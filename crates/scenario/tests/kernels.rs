//! Kernel selectors, and the errors for unknown names.

use fourtuple_scenario::{Case, Errors, KernelNames, expand, parse};

fn names() -> KernelNames {
    KernelNames::new([
        ("linux-2.6.32", &[][..]),
        ("linux-3.10", &["rhel-6.5", "rhel-7.0"]),
        ("linux-4.2", &["linux-4.4", "linux-4.10"]),
        ("linux-5.4", &[]),
        ("linux-6.1", &["debian-12"]),
        ("rhel-8.0", &[]),
        ("linux-6.18", &["linux-6.17.13"]),
    ])
}

fn ask(kernel: &str) -> Result<Vec<Case>, Errors> {
    let text = format!(
        "about: Kernels\nkernel: {kernel}\nhosts: {{ h: }}\nprocesses: {{ p: {{ bind: 127.0.0.1:0 }} }}\n"
    );
    let scenario = parse("kernels.yaml", &text).unwrap_or_else(|errors| panic!("{errors}"));
    expand(&scenario, &names())
}

fn selected(kernel: &str) -> Vec<String> {
    let cases = ask(kernel).unwrap_or_else(|errors| panic!("{errors}"));
    cases.into_iter().map(|case| case.kernel).collect()
}

#[test]
fn one_name_a_list_and_all() {
    assert_eq!(selected("rhel-6.5"), ["rhel-6.5"]);
    assert_eq!(
        selected("[linux-6.18, rhel-6.5, linux-6.18]"),
        ["linux-6.18", "rhel-6.5"]
    );
    assert_eq!(selected("all").len(), 7);
}

#[test]
fn ranges_stay_in_their_family_and_keep_the_names_of_their_ends() {
    assert_eq!(
        selected("linux-4.2..linux-6.1"),
        ["linux-4.2", "linux-5.4", "linux-6.1"]
    );
    assert_eq!(
        selected("linux-4.10..linux-6.17.13"),
        ["linux-4.10", "linux-5.4", "linux-6.1", "linux-6.17.13"]
    );
    assert_eq!(selected("..linux-3.10"), ["linux-2.6.32", "linux-3.10"]);
    assert_eq!(selected("linux-6.1.."), ["linux-6.1", "linux-6.18"]);
    assert_eq!(selected("rhel-6.5.."), ["rhel-6.5", "rhel-8.0"]);
}

#[test]
fn a_missing_selector_means_all() {
    let text = "about: Kernels\nhosts: { h: }\nprocesses: { p: { bind: 127.0.0.1:0 } }\n";
    let scenario = parse("kernels.yaml", text).expect("valid");
    assert_eq!(expand(&scenario, &names()).expect("cases").len(), 7);
}

#[test]
fn unknown_names_come_with_the_nearest_ones() {
    let errors = ask("[linux-6.8, linux-6.1..rhel-8.0, linux-6.1..linux-4.2, windows]")
        .expect_err("unknown names");
    insta::assert_snapshot!(errors.to_string(), @"
    error: unknown kernel `linux-6.8`
     --> kernels.yaml:2:10
      |
    2 | kernel: [linux-6.8, linux-6.1..rhel-8.0, linux-6.1..linux-4.2, windows]
      |          ^^^^^^^^^ expected a known kernel
      |
      = help: did you mean `linux-6.1`, `linux-6.18` or `linux-4.2`?

    error: the range spans the families `linux` and `rhel`
     --> kernels.yaml:2:21
      |
    2 | kernel: [linux-6.8, linux-6.1..rhel-8.0, linux-6.1..linux-4.2, windows]
      |                     ^^^^^^^^^^^^^^^^^^^ expected a known kernel
      |
      = help: a range covers one family; write a list of two ranges

    error: the range from `linux-6.1` to `linux-4.2` is reversed
     --> kernels.yaml:2:42
      |
    2 | kernel: [linux-6.8, linux-6.1..rhel-8.0, linux-6.1..linux-4.2, windows]
      |                                          ^^^^^^^^^^^^^^^^^^^^ expected a known kernel
      |
      = help: write `linux-4.2..linux-6.1`

    error: unknown kernel `windows`
     --> kernels.yaml:2:64
      |
    2 | kernel: [linux-6.8, linux-6.1..rhel-8.0, linux-6.1..linux-4.2, windows]
      |                                                                ^^^^^^^ expected a known kernel
      |
      = help: `fourtuple kernels` lists the names
    ");
}

#[test]
fn names_in_hosts_and_expectations_are_looked_up_as_well() {
    let text = "\
about: Kernels
hosts: { h: { kernel: rhel-6.4 } }
processes: { p: { bind: 127.0.0.1:0 } }
expect:
  - { kernel: linux-6.19, p.bind: ok }
";
    let scenario = parse("kernels.yaml", text).expect("valid but for the names");
    let errors = expand(&scenario, &names()).expect_err("unknown names");
    insta::assert_snapshot!(errors.to_string(), @"
    error: unknown kernel `rhel-6.4`
     --> kernels.yaml:2:23
      |
    2 | hosts: { h: { kernel: rhel-6.4 } }
      |                       ^^^^^^^^ expected a known kernel
      |
      = help: did you mean `rhel-6.5`, `rhel-7.0` or `rhel-8.0`?

    error: unknown kernel `linux-6.19`
     --> kernels.yaml:5:15
      |
    5 |   - { kernel: linux-6.19, p.bind: ok }
      |               ^^^^^^^^^^ expected a known kernel
      |
      = help: did you mean `linux-6.1`, `linux-6.18` or `linux-3.10`?
    ");
}
