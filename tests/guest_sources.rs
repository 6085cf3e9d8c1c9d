//! The sources that the guest program is compiled from: `SOURCES` of a crate has each of its files.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rstest::rstest;

fn add(found: &mut BTreeMap<String, String>, root: &Path, directory: &Path) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            add(found, root, &path);
            continue;
        }
        let name = path.strip_prefix(root).expect("a file below it");
        let name = name.to_string_lossy().replace('\\', "/");
        found.insert(name, fs::read_to_string(&path).expect("a text"));
    }
}

#[rstest]
#[case::program("program", fourtuple_program::SOURCES)]
#[case::syscall("syscall", fourtuple_syscall::SOURCES)]
fn every_file_is_there(#[case] name: &str, #[case] sources: &[(&str, &str)]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("crates/{name}/src"));
    let mut found = BTreeMap::new();
    add(&mut found, &root, &root);
    let sources: BTreeMap<String, String> = sources
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect();
    assert_eq!(sources, found);
}
