//! The instructions of single calls as the range fills, counted by valgrind: the same on every
//! machine of a kind, at any load, so that counts of two versions can be compared.
//!
//! `cargo bench -p fourtuple-kernel --bench instructions` needs valgrind and `cargo install
//! gungraun-runner` in the version of gungraun in Cargo.toml. Without them it prints that nothing
//! is counted. `crates/bench` makes a table of the counts.

#[allow(dead_code, reason = "`calls.rs` uses all of it")]
mod support;

use std::process::{Command, Stdio};

mod counted {
    use crate::support::rounds::{Act, FILLED, KERNELS, ROUND, Rounds};
    use gungraun::{
        Callgrind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main,
    };

    /// Each kernel at each fill: the number in a benchmark's id counts these.
    fn points(act: Act) -> Vec<(Act, &'static str, usize)> {
        let at = |kernel| FILLED.map(|filled| (act, kernel, filled));
        KERNELS.into_iter().flat_map(at).collect()
    }

    /// A machine whose tables have grown to the size that a round needs. Entries are used again
    /// after they have ended, so that it takes some rounds until no table grows any more.
    fn ready((act, kernel, filled): (Act, &str, usize)) -> Rounds {
        let mut rounds = Rounds::new(act, kernel, filled);
        for _ in 0..8 {
            rounds.before(ROUND);
            rounds.calls(ROUND);
            rounds.after();
        }
        rounds.before(ROUND);
        rounds
    }

    // Fewer destinations than in `calls.rs`: valgrind runs the setup as well.
    #[library_benchmark]
    #[benches::connect_one(iter = points(Act::ConnectOne), setup = ready)]
    #[benches::connect_another(iter = points(Act::ConnectAnother(8)), setup = ready)]
    #[benches::connect_poisoned(iter = points(Act::ConnectPoisoned), setup = ready)]
    #[benches::bind(iter = points(Act::Bind), setup = ready)]
    #[benches::close(iter = points(Act::Close), setup = ready)]
    #[benches::expiry(iter = points(Act::Expiry), setup = ready)]
    fn round(mut rounds: Rounds) -> Rounds {
        rounds.calls(ROUND);
        rounds
    }

    library_benchmark_group!(name = calls, benchmarks = round);
    main!(
        config = LibraryBenchmarkConfig::default().tool(Callgrind::with_args(["--cache-sim=no"]));
        library_benchmark_groups = calls
    );

    pub(super) fn run() {
        main();
    }
}

fn main() {
    // Valgrind runs this very program for each benchmark.
    let inside = std::env::args().nth(1).as_deref() == Some("--gungraun-run");
    if !inside {
        if !std::env::args().any(|argument| argument == "--bench") {
            println!("instructions are counted by `cargo bench`, not by tests");
            return;
        }
        for (program, package) in [
            ("valgrind", "the package valgrind"),
            ("gungraun-runner", "`cargo install gungraun-runner`"),
        ] {
            if !there(program) {
                eprintln!(
                    "instructions are not counted: there is no `{program}` here, which {package} has"
                );
                return;
            }
        }
    }
    counted::run();
}

/// Returns `true` if a program of this name can be started.
fn there(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok()
}
