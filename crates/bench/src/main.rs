//! Measures the crates of the workspace in one run and writes what it found to `docs/performance.md`.
//!
//! `cargo build --release --workspace && cargo run --release -p fourtuple-bench`

mod clock;
mod command;
mod kernel;
#[allow(dead_code, reason = "the benchmarks of the kernel crate use all of it")]
#[path = "../../kernel/benches/support/mod.rs"]
mod machine;
mod memory;
mod page;
mod plot;
mod real;
mod sockets;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let done = match arguments.next().as_deref() {
        Some(real::INSIDE) => real::inside().map_err(|e| e.to_string()),
        Some(real::PART) => {
            real::part(arguments.next(), arguments.next()).map_err(|e| e.to_string())
        }
        Some(other) => Err(format!(
            "`{other}` is nothing to measure; there are no arguments"
        )),
        None => {
            let top = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
            page::write(top.expect("crates/bench is two levels down"))
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::from(2)
        }
    }
}
