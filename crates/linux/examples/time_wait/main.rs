//! Prints the end of TIME-WAIT on kernel images, measured to the tick, next to the model's value.
//!
//! `time_wait IMAGE...`; an image is a file or a name such as `debian:6.1`.

mod measure;

use fourtuple_linux::{Image, RunError, Vm};
use std::process::ExitCode;

fn main() -> ExitCode {
    let images: Vec<String> = std::env::args().skip(1).collect();
    if images.is_empty() {
        eprintln!("usage: time_wait IMAGE...");
        return ExitCode::FAILURE;
    }
    for image in images {
        if let Err(e) = print(&image) {
            eprintln!("{e}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn print(image: &str) -> Result<(), RunError> {
    let found = measure::measure(&Vm::new(Image::named(image)?))?;
    let ms = |us: u64| us as f64 / 1000.0;
    println!("{} (profile {})", found.release, found.profile);
    for one in &found.all {
        println!(
            "  began {:10.3} ms, lasted {:.3} ms; {:+.3} ms from the model",
            ms(one.began),
            ms(one.lasted()),
            one.late() as f64 / 1000.0
        );
    }
    println!(
        "  at most {:.3} ms off the grid of {} ms, {:.3} ms off the model; a tick has {} ms",
        ms(found.off_the_grid()),
        ms(found.step()),
        ms(found.off_the_model()),
        ms(found.tick)
    );
    println!("  ticks count from {} ms on", ms(found.phase));
    Ok(())
}
