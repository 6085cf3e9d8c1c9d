//! Compiles the guest program (`guest/main.rs`), which is embedded in the library.
//!
//! The guest is built with the compiler and target of the library, so nothing else has to be
//! installed. If it cannot be built, the library still is: its engines then report the reason that
//! is stored here.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

fn main() {
    println!("cargo:rerun-if-changed=guest");
    println!("cargo:rerun-if-changed=src/wire.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let guest = out.join("guest.bin");
    let reason = match build(&guest) {
        Ok(()) => String::new(),
        Err(reason) => {
            fs::write(&guest, b"").expect("cargo's own directory can be written to");
            reason
        }
    };
    fs::write(out.join("guest.reason"), reason).expect("cargo's own directory can be written to");
}

fn build(guest: &Path) -> Result<(), String> {
    let os = env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    let arch = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    if os != "linux" || !matches!(arch.as_str(), "x86_64" | "aarch64") {
        return Err(format!(
            "the guest program is not available for {os} on {arch}, only for Linux on x86_64 and aarch64"
        ));
    }
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut command = Command::new(rustc);
    command.args([
        "--edition",
        "2024",
        "--crate-type",
        "bin",
        "--crate-name",
        "guest",
    ]);
    command.args([
        "-C",
        "panic=abort",
        "-C",
        "opt-level=s",
        "-C",
        "strip=symbols",
    ]);
    command.args(["-C", "relocation-model=static", "-C", "link-arg=-nostdlib"]);
    command.args(["-C", "link-arg=-nostartfiles", "-C", "link-arg=-static"]);
    if let Ok(target) = env::var("TARGET") {
        command.args(["--target", &target]);
    }
    // Cargo passes a linker that is configured for the target.
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        let mut option = std::ffi::OsString::from("linker=");
        option.push(linker);
        command.arg("-C").arg(option);
    }
    command.arg("guest/main.rs").arg("-o").arg(guest);
    let output = command
        .output()
        .map_err(|e| format!("failed to start the compiler for the guest program: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    for line in text.lines() {
        println!("cargo:warning={line}");
    }
    let first = text
        .lines()
        .find(|l| l.starts_with("error"))
        .unwrap_or("no message");
    Err(format!(
        "failed to build the guest program for this target: {first}"
    ))
}
