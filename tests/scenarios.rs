//! Every scenario on every engine, against its snapshot. A new file in `scenarios/` is a new test.

use std::path::PathBuf;

use fourtuple_render::text;
use fourtuple_suite::{relative, root, run};
use rstest::rstest;

#[rstest]
fn scenario(#[files("scenarios/**/*.yaml")] path: PathBuf) {
    let report = run(&path);
    let below = relative(&path);
    let topic = below
        .strip_prefix("scenarios")
        .ok()
        .and_then(|path| path.parent())
        .expect("a topic");
    let name = below
        .file_stem()
        .expect("a file has a name")
        .to_string_lossy();

    // The name comes from the path: rstest numbers its tests anew when a file is added.
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(root().join("snapshots").join(topic));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.set_input_file(&below);
    settings.bind(|| insta::assert_snapshot!(&*name, text::snapshot::snapshot(&report)));

    assert!(
        !report.failed(),
        "not as expected:\n\n{}",
        text::summary::summary(&report)
    );
}
