//! The answers that the model gives for a profile are allowed by that profile, so that it can
//! replace the kernel.

use fourtuple_kernel::profile::find;
use fourtuple_linux::generate::{self, Kind};
use fourtuple_linux::judge::Judge;
use fourtuple_linux::simulate::simulate;
use fourtuple_linux::{Outcome, Program, scenario_text};

const KIND: Kind = Kind {
    virtual_time: true,
    users: true,
    links: true,
};

#[test]
fn the_answers_of_a_profile_are_allowed_by_it() {
    // One kernel of each era.
    for name in [
        "linux-2.6.32",
        "linux-3.16",
        "linux-4.9",
        "linux-5.10",
        "linux-6.1",
        "linux-6.12",
        "linux-6.18",
    ] {
        let profile = find(name).expect("it is there");
        let (mut simulated, mut waited, mut left_out) = (0, 0, 0);
        for number in 0..150 {
            let program = generate::program(5, number, KIND);
            // A sysctl of the hosts may not exist in this kernel.
            let Some(answered) = simulate(profile.behaviours, number, &program) else {
                continue;
            };
            simulated += 1;
            let waiting = |p: &Program| {
                let results = p.steps.iter().filter_map(|s| s.answer.as_ref());
                results.filter(|a| a.outcome == Outcome::WouldBlock).count()
            };
            waited += waiting(&answered.program);
            match Judge::new(profile.behaviours).program(&answered.program) {
                // Timers that may have fired or not, one after the other, branch too often.
                Err(e) if e.too_many => left_out += 1,
                judged => assert_eq!(judged, Ok(None), "{name}: {program:#?}"),
            }
        }
        assert!(
            simulated > 100 && waited > 0,
            "{name}: {simulated}, {waited}"
        );
        assert!(left_out <= 2, "{name}: {left_out}");
    }
}

#[test]
fn checker_with_one_state_skips_programs_and_is_never_wrong() {
    let profile = find("linux-6.18").expect("it is there");
    let (mut allowed, mut left_out) = (0, 0);
    for number in 0..150 {
        let program = generate::program(5, number, KIND);
        let Some(answered) = simulate(profile.behaviours, number, &program) else {
            continue;
        };
        let mut judge = Judge::keeping_at_most(profile.behaviours, 1);
        match judge.program(&answered.program) {
            Err(e) if e.too_many => left_out += 1,
            judged => {
                assert_eq!(judged, Ok(None), "{program:#?}");
                allowed += 1;
            }
        }
        assert_eq!(judge.most_states(), 1);
    }
    assert!(allowed > 50 && left_out > 0, "{allowed}, {left_out}");
}

#[test]
fn same_seed_gives_the_same_answers() {
    let profile = find("linux-6.18").expect("it is there");
    let mut different = 0;
    for number in 0..50 {
        let program = generate::program(5, number, KIND);
        let first = simulate(profile.behaviours, 1, &program).expect("the model knows its steps");
        let again = simulate(profile.behaviours, 1, &program).expect("the model knows its steps");
        assert_eq!(first.program, again.program);
        let other = simulate(profile.behaviours, 2, &program).expect("the model knows its steps");
        different += usize::from(other.program != first.program);
    }
    assert!(different > 0, "the seed decides nothing");
}

/// A counterexample is kept as a scenario, so each program has to be one that can be read.
#[test]
fn programs_are_written_as_valid_scenarios() {
    let profile = find("linux-6.18").expect("it is there");
    for number in 0..2000 {
        let program = generate::program(6, number, KIND);
        let Some(run) = simulate(profile.behaviours, number, &program) else {
            continue;
        };
        let program = run.program;
        let text = scenario_text(&program, program.steps.len(), "linux-6.18", "a test", true);
        if let Err(errors) = fourtuple_scenario::parse(&program.program, &text) {
            panic!("{errors}\n{text}");
        }
    }
}
