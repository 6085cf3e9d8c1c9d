//! Rebuilds the suite when a scenario is added: `rstest` expands its file globs at compile time.
fn main() {
    println!("cargo::rerun-if-changed=scenarios");
}
