//! Puts the scenarios of the corpus into the binary, so that `fourtuple new --from` has them
//! wherever it is installed.
//!
//! `scenarios` is a link to the corpus at the top of the repository; a package of this crate holds
//! the files themselves.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn main() {
    let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let root = root.join("scenarios");
    let mut found = Vec::new();
    walk(&root, &mut found);
    found.sort();
    assert!(!found.is_empty(), "no scenarios in {}", root.display());
    let mut table = String::from("&[\n");
    for path in &found {
        let name = path.strip_prefix(&root).expect("a path below the corpus");
        let name = name.with_extension("").to_string_lossy().replace('\\', "/");
        let path = path.to_string_lossy();
        writeln!(table, "    ({name:?}, include_str!({path:?})),").expect("text takes everything");
    }
    table.push_str("]\n");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it"));
    std::fs::write(out.join("corpus.rs"), table).expect("the output directory can be written");
}

/// Collects the scenarios below a directory. Prints every directory for Cargo, which does not
/// follow the link.
fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
    println!("cargo::rerun-if-changed={}", directory.display());
    let entries = std::fs::read_dir(directory)
        .unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    for entry in entries {
        let path = entry.expect("a directory entry").path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "yaml") {
            found.push(path);
        }
    }
}
