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
    let directory = guest.with_extension("crates");
    let syscall = library(
        &directory,
        "fourtuple_syscall",
        fourtuple_syscall::SOURCES,
        &[],
    )?;
    let vocabulary = ("fourtuple_syscall", syscall.as_path());
    let program = library(
        &directory,
        "fourtuple_program",
        fourtuple_program::SOURCES,
        &[vocabulary],
    )?;
    let mut command = compiler("guest", "bin", Path::new("guest/main.rs"));
    command.args(["-C", "strip=symbols", "-C", "relocation-model=static"]);
    command.args(["-C", "link-arg=-nostdlib", "-C", "link-arg=-nostartfiles"]);
    command.args(["-C", "link-arg=-static"]);
    // Cargo passes on a linker that was set for the target.
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        let mut option = std::ffi::OsString::from("linker=");
        option.push(linker);
        command.arg("-C").arg(option);
    }
    link(&mut command, &[vocabulary, ("fourtuple_program", &program)]);
    run(command.arg("-o").arg(guest))
}

/// Compiles a crate that the guest is made of, from the sources that it carries inside itself.
fn library(
    directory: &Path,
    name: &str,
    sources: &[(&str, &str)],
    needs: &[(&str, &Path)],
) -> Result<PathBuf, String> {
    let source = directory.join(name);
    for (file, text) in sources {
        let path = source.join(file);
        let parent = path.parent().unwrap_or(&source);
        let written = fs::create_dir_all(parent).and_then(|()| fs::write(&path, text));
        written.map_err(|e| format!("failed to write {}: {e}", path.display()))?;
    }
    let library = directory.join(format!("lib{name}.rlib"));
    let mut command = compiler(name, "rlib", &source.join("lib.rs"));
    link(&mut command, needs);
    run(command.arg("-o").arg(&library))?;
    Ok(library)
}

/// The compiler, with the options that the guest and its crates have in common.
fn compiler(name: &str, kind: &str, source: &Path) -> Command {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut command = Command::new(rustc);
    command.args(["--edition", "2024", "--crate-type", kind]);
    command.args(["--crate-name", name]);
    command.args(["-C", "panic=abort", "-C", "opt-level=s"]);
    if let Ok(target) = env::var("TARGET") {
        command.args(["--target", &target]);
    }
    command.arg(source);
    command
}

fn link(command: &mut Command, crates: &[(&str, &Path)]) {
    for (name, library) in crates {
        let mut option = std::ffi::OsString::from(format!("{name}="));
        option.push(library);
        command.arg("--extern").arg(option);
        if let Some(directory) = library.parent() {
            command.arg("-L").arg(directory);
        }
    }
}

fn run(command: &mut Command) -> Result<(), String> {
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
