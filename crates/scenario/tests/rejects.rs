//! Inputs that must be rejected, each with a snapshot of the whole message: `rejects/*.yaml`.

use std::fs;
use std::path::Path;

#[test]
fn every_rejected_input_has_its_message() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rejects");
    let mut files: Vec<_> = fs::read_dir(&directory)
        .expect("the directory is there")
        .map(|entry| entry.expect("readable").path())
        .collect();
    files.sort();
    assert!(files.len() >= 30, "an empty directory would test nothing");
    for file in files {
        let stem = file
            .file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let text = fs::read_to_string(&file).expect("readable");
        let errors = fourtuple_scenario::parse(&format!("rejects/{stem}.yaml"), &text)
            .err()
            .unwrap_or_else(|| panic!("{stem} is accepted"));
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(stem, errors.to_string());
        });
    }
}
