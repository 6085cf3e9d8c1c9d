//! Parts of a sweep, one after the other, are the bytes of the whole.

mod common;

use common::{fourtuple, root};

fn lines(arguments: &[&str], shard: Option<&str>) -> String {
    let mut all = arguments.to_vec();
    all.extend(["--format", "json-lines"]);
    if let Some(shard) = shard {
        all.extend(["--shard", shard]);
    }
    let said = fourtuple(&root(), &all);
    assert_eq!((said.status, said.err.as_str()), (0, ""));
    said.out
}

#[test]
fn parts_one_after_the_other_are_the_whole() {
    let run = ["run", "scenarios/parity", "--engine", "model"];
    let explore = [
        "explore",
        "scenarios/rhel-6.5/connect-after-bind.yaml",
        "--samples",
        "20",
        "--budget",
        "100",
    ];
    for sweep in [&run[..], &explore] {
        let whole = lines(sweep, None);
        for of in [1, 2, 3] {
            let parts: Vec<String> = (1..=of)
                .map(|part| lines(sweep, Some(&format!("{part}/{of}"))))
                .collect();
            assert!(parts.concat() == whole, "{of} parts of {sweep:?} differ");
        }
        // More parts than there is to do: some are empty, and that is no failure.
        assert_eq!(lines(sweep, Some("1/1000")), "");
    }
}

/// Which ports a real kernel chooses is its secret, but not whether its profile allows them.
#[test]
fn parts_of_a_campaign_on_the_running_kernel_are_the_whole() {
    let fuzz = ["fuzz", "--on", "host", "--count", "10", "--seed", "5"];
    let tried = fourtuple(&root(), &[&fuzz[..], &["--shard", "1/1000"]].concat());
    if tried.status == 2 {
        println!("skipped: {}", tried.err);
        return;
    }
    assert_eq!(tried.status, 0, "a part without programs is no failure");
    let whole = lines(&fuzz, None);
    assert_eq!(whole.lines().count(), 10);
    for of in [2, 3] {
        let parts: Vec<String> = (1..=of)
            .map(|part| lines(&fuzz, Some(&format!("{part}/{of}"))))
            .collect();
        assert!(parts.concat() == whole, "{of} parts differ");
    }
}

#[test]
fn threads_change_nothing_in_an_exploration() {
    let explore = ["explore", "scenarios/rhel-6.5/connect-after-bind.yaml"];
    let one = lines(&[&explore[..], &["--jobs", "1"]].concat(), None);
    let many = lines(&[&explore[..], &["--jobs", "7"]].concat(), None);
    assert!(one == many);
}

#[test]
fn what_is_no_part_is_told() {
    let said = fourtuple(&root(), &["run", "scenarios/parity", "--shard", "3/2"]);
    assert_eq!(said.status, 2);
    assert!(said.err.contains("such as `2/5`"), "{}", said.err);
}
