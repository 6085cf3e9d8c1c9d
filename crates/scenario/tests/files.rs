//! Discovery and loading of files and directories, and the errors of unreadable ones.

use std::fs;
use std::path::{Path, PathBuf};

use fourtuple_scenario::{Errors, discover, limits, load, name_of};

/// A temporary directory of one test, removed on drop.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("files-{name}"));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("writable");
        Self(path)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("writable");
        fs::write(&path, bytes).expect("writable");
        path
    }

    /// The message with the path of this machine removed.
    fn message(&self, errors: &Errors) -> String {
        errors
            .to_string()
            .replace(&*self.0.to_string_lossy(), "DIR")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn names_come_from_the_path_below_scenarios() {
    let name = |path: &str| name_of(Path::new(path));
    assert_eq!(
        name("scenarios/rhel-6.5/connect-after-bind.yaml"),
        "rhel-6.5/connect-after-bind"
    );
    assert_eq!(name("/a/scenarios/b/scenarios/c/d.yml"), "c/d");
    assert_eq!(name("./scenarios/top.yaml"), "top");
    assert_eq!(name("somewhere/else.yaml"), "else");
    assert_eq!(name("rhel-6.5.yaml"), "rhel-6.5");
    assert_eq!(name(""), "");
}

#[test]
fn directories_are_searched_in_order_without_hidden_files() {
    let dir = Scratch::new("order");
    for name in [
        "b/2.yaml",
        "b/1.yml",
        "a.yaml",
        "c/d/e.yaml",
        ".hidden/x.yaml",
        "b/.x.yaml",
        "notes.txt",
        "s.json",
    ] {
        dir.file(name, b"");
    }
    let found = discover([&dir.0]).expect("files");
    let below: Vec<String> = found
        .iter()
        .map(|path| {
            path.strip_prefix(&dir.0)
                .expect("below")
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    assert_eq!(below, ["a.yaml", "b/1.yml", "b/2.yaml", "c/d/e.yaml"]);
    // A named file is accepted with any extension, and duplicates are removed.
    let twice =
        discover([dir.0.join("notes.txt"), dir.0.join("a.yaml"), dir.0.clone()]).expect("files");
    assert_eq!(twice.len(), 5);
}

#[cfg(unix)]
#[test]
fn cyclic_symlinks_are_not_followed() {
    let dir = Scratch::new("links");
    dir.file("a.yaml", b"");
    std::os::unix::fs::symlink(&dir.0, dir.0.join("loop")).expect("a link");
    std::os::unix::fs::symlink(&dir.0, dir.0.join("loop.yaml")).expect("a link");
    assert_eq!(discover([&dir.0]).expect("files").len(), 1);
}

#[test]
fn missing_paths_and_empty_directories_are_reported_together() {
    let dir = Scratch::new("missing");
    fs::create_dir(dir.0.join("empty")).expect("writable");
    let errors =
        discover([dir.0.join("nowhere"), dir.0.join("empty")]).expect_err("nothing to find");
    insta::assert_snapshot!(dir.message(&errors), @"
    error: no such file or directory
    --> DIR/nowhere
     = help: check the spelling of the path

    error: no scenario in this directory
    --> DIR/empty
     = help: scenarios are files that end in `.yaml` or `.yml`; `fourtuple new NAME` creates one
    ");
}

#[test]
fn files_that_are_not_scenarios_are_rejected() {
    let dir = Scratch::new("refused");
    let mut shown = Vec::new();
    for (name, bytes) in [
        ("empty.yaml", &b""[..]),
        ("latin1.yaml", b"about: caf\xe9\n"),
        ("nul.yaml", b"about: a\0b\n"),
        ("elf.yaml", b"\x7fELF\x02\x01\x01\0\0\0\0"),
    ] {
        let path = dir.file(name, bytes);
        shown.push(dir.message(&load(&path).expect_err(name)));
    }
    shown.push(dir.message(&load(&dir.0).expect_err("a directory")));
    shown.push(dir.message(&load(&dir.0.join("nowhere.yaml")).expect_err("nothing")));
    insta::assert_snapshot!(shown.join("\n\n"), @"
    error: the file is empty
    --> DIR/empty.yaml
     = help: start with `about: ...`, then `hosts:` and `processes:` or `steps:`

    error: the file is not text: byte 10 is not UTF-8
    --> DIR/latin1.yaml
     = help: scenarios are YAML in UTF-8; is this the right file?

    error: the file is not text: byte 8 is NUL
    --> DIR/nul.yaml
     = help: scenarios are YAML in UTF-8; is this the right file?

    error: the file is not text: byte 7 is NUL
    --> DIR/elf.yaml
     = help: scenarios are YAML in UTF-8; is this the right file?

    error: this is a directory, not a scenario file
    --> DIR

    error: no such file or directory
    --> DIR/nowhere.yaml
     = help: check the spelling of the path
    ");
}

#[test]
fn a_file_over_the_limit_is_refused_before_it_is_read() {
    let dir = Scratch::new("large");
    let path = dir.file("large.yaml", b"");
    // A sparse file: it has a size but no allocated bytes.
    let file = fs::File::options()
        .write(true)
        .open(&path)
        .expect("writable");
    file.set_len(100 * 1024 * 1024).expect("a size");
    let errors = load(&path).expect_err("too large");
    insta::assert_snapshot!(dir.message(&errors), @"
    error: the file has 104857600 bytes
    --> DIR/large.yaml
     = help: the limit is 1048576 bytes; use `count` or `matrix` to repeat things
    ");
    let text = format!(
        "about: \"{}\"\n",
        "x".repeat(usize::try_from(limits::MAX_FILE_BYTES).expect("fits"))
    );
    assert!(fourtuple_scenario::parse("large.yaml", &text).is_err());
}
