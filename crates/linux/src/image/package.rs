//! Kernels in packages and other archives, and the programs that open those.

use super::{cache, tar};
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Returns whether a file is a package by its name.
pub(super) fn is_package(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    matches!(ending, Some("deb" | "rpm")) && path.is_file()
}

/// The packages in a directory, sorted.
pub(super) fn files_in(dir: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    let mut packages: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    packages.retain(|path| is_package(path));
    packages.sort();
    match packages.is_empty() {
        true => Err("the directory contains no `.deb` or `.rpm` package".to_owned()),
        false => Ok(packages),
    }
}

/// A digest of the contents of packages.
pub(super) fn digest(packages: &[PathBuf]) -> Result<String, String> {
    use std::hash::Hasher as _;
    let mut hasher = siphasher::sip128::SipHasher13::new();
    let mut buffer = vec![0; 1 << 16];
    for path in packages {
        let said = |e: std::io::Error| format!("{}: {e}", path.display());
        let mut file = fs::File::open(path).map_err(said)?;
        loop {
            match file.read(&mut buffer).map_err(said)? {
                0 => break,
                n => hasher.write(&buffer[..n]),
            }
        }
    }
    Ok(format!(
        "{:032x}",
        siphasher::sip128::Hasher128::finish128(&hasher).as_u128()
    ))
}

/// Writes the kernel, and the modules that there are, of packages or other archives to a
/// directory.
pub(super) fn keep(archives: &[PathBuf], dir: &Path) -> Result<(), String> {
    let mut found = false;
    for archive in archives {
        found |= keep_from(&contents(archive)?, dir)?;
    }
    found.then_some(()).ok_or_else(|| {
        let names = archives
            .iter()
            .filter_map(|path| path.file_name()?.to_str());
        format!("no kernel in {}", names.collect::<Vec<_>>().join(", "))
    })
}

/// As [`keep`], of a tar archive in memory. Returns true if it contains a kernel.
pub(super) fn keep_from(files: &[u8], dir: &Path) -> Result<bool, String> {
    let said = |e: std::io::Error| format!("{}: {e}", dir.display());
    for module in cache::modules() {
        let begin = format!("/{module}.ko");
        let Some((name, content)) = tar::find(files, |name| name.contains(&begin)) else {
            continue;
        };
        let name = name.rsplit('/').next().unwrap_or(module);
        let file = dir.join(cache::file_name(name));
        fs::write(&file, content).map_err(said)?;
        let unpacker = match name.rsplit('.').next() {
            Some("xz") => Some("xz"),
            Some("zst") => Some("zstd"),
            Some("gz") => Some("gzip"),
            _ => None,
        };
        if let Some(unpacker) = unpacker {
            let arguments: &[&str] = match unpacker {
                "zstd" => &["-dq", "--rm"],
                _ => &["-d"],
            };
            run(Command::new(unpacker).args(arguments).arg(&file))?;
        }
    }
    match tar::find(files, is_kernel) {
        None => Ok(false),
        Some((_, kernel)) => {
            fs::write(dir.join(cache::KERNEL), kernel).map_err(said)?;
            Ok(true)
        }
    }
}

fn is_kernel(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    file.starts_with("vmlinuz") || file.starts_with("bzImage")
}

/// The content of a package or archive as a tar archive.
fn contents(archive: &Path) -> Result<Vec<u8>, String> {
    match archive.extension().is_some_and(|ending| ending == "deb") {
        true => run(Command::new("dpkg-deb").arg("--fsys-tarfile").arg(archive)),
        // Converts whatever libarchive reads: RPM, and tar in any compression.
        false => {
            let mut from = std::ffi::OsString::from("@");
            from.push(archive);
            run(Command::new("bsdtar")
                .args(["-cf", "-", "--format=gnutar"])
                .arg(from))
        }
    }
}

/// Runs a program to its end and returns its output.
///
/// # Errors
/// It is not installed, or fails; then with the line of its messages that has the reason.
pub(super) fn run(command: &mut Command) -> Result<Vec<u8>, String> {
    let program = command.get_program().display().to_string();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => format!("{program} is not installed"),
            _ => format!("{program}: {e}"),
        })?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let is_error = |line: &&str| {
        ["E:", "Error:", "level=fatal"]
            .iter()
            .any(|e| line.contains(e))
    };
    let line = said.lines().find(is_error).or(said.lines().next());
    Err(format!(
        "{program} failed: {}",
        line.unwrap_or("no message")
    ))
}
