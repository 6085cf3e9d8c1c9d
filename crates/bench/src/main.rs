//! Measures the crates of the workspace and writes the results to `docs/performance.md`.
//!
//! Run `cargo build --profile dist`, then `cargo run --profile dist -p fourtuple-bench`. With the
//! argument `flat` it only checks that the instructions per call do not grow, with `nat` it prints
//! the figures of NAT hosts; neither writes anything.

mod bounds;
mod clock;
mod command;
mod instructions;
mod kernel;
mod loads;
#[allow(dead_code, reason = "the benchmarks of the kernel crate use all of it")]
#[path = "../../kernel/benches/support/mod.rs"]
mod machine;
mod memory;
mod nat;
mod page;
mod plot;
mod real;
mod sockets;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    let top = top.expect("crates/bench is two levels down");
    let done = match arguments.next().as_deref() {
        Some(real::INSIDE) => real::inside().map_err(|e| e.to_string()),
        Some(real::PART) => {
            real::part(arguments.next(), arguments.next()).map_err(|e| e.to_string())
        }
        Some(nat::SERVER) => nat::server().map_err(|e| e.to_string()),
        Some(nat::CLIENT) => nat::client(arguments.next()).map_err(|e| e.to_string()),
        Some("nat") => page::print_nat(),
        Some(kernel::HELD) => kernel::held_inside(arguments.next(), arguments.next()),
        Some("flat") => instructions::flat(top),
        Some(other) => Err(format!(
            "unknown argument `{other}`: expected none, `flat` or `nat`"
        )),
        None => page::write(top),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::from(2)
        }
    }
}
