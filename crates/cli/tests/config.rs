//! `fourtuple.toml`: defaults of options for a project.

use std::path::{Path, PathBuf};

use crate::common::{Said, fourtuple, scratch};

const SCENARIO: &str = r#"about: "Which port does a client get?"
hosts:
  a: { addresses: [10.0.0.1] }
  b: { addresses: [10.0.0.2] }
processes:
  server: { on: b, listen: 10.0.0.2:80 }
  client: { on: a, connect: 10.0.0.2:80, count: 2 }
expect:
  client.connect: { ok: 2 }
"#;

/// A project with a scenario and a configuration.
fn project(name: &str, config: &str) -> PathBuf {
    let directory = scratch(name);
    std::fs::create_dir(directory.join("inner")).expect("a directory");
    std::fs::write(directory.join("one.yaml"), SCENARIO).expect("a scenario");
    std::fs::write(directory.join("fourtuple.toml"), config).expect("a configuration");
    directory
}

/// The kernels that a run reports.
fn kernels(directory: &Path, arguments: &[&str]) -> Vec<String> {
    let said = fourtuple(directory, arguments);
    assert_eq!(said.status, 0, "{said:?}");
    let document: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
    let runs = document["runs"].as_array().expect("runs").iter();
    let kernel = |run: &serde_json::Value| run["kernel"].as_str().expect("a name").to_owned();
    runs.map(kernel).collect()
}

#[test]
fn the_file_gives_defaults_and_the_command_line_has_precedence() {
    let config =
        "engine = ['model']\nkernel = ['linux-3.9', 'linux-6.18']\n\n[run]\nformat = 'json'\n";
    let project = project("config-defaults", config);
    let run = ["run", "one.yaml"];
    assert_eq!(kernels(&project, &run), ["linux-3.9", "linux-6.18"]);
    let over = ["run", "one.yaml", "--kernel", "linux-5.4"];
    assert_eq!(kernels(&project, &over), ["linux-5.4"]);
    // The file of a directory above counts too.
    let inner = project.join("inner");
    assert_eq!(kernels(&inner, &["run", "../one.yaml"]).len(), 2);
}

#[test]
fn a_table_has_precedence_over_the_top() {
    let config =
        "kernel = 'linux-3.9'\n\n[run]\nkernel = 'linux-6.18'\nengine = 'model'\nformat = 'json'\n";
    let project = project("config-table", config);
    assert_eq!(kernels(&project, &["run", "one.yaml"]), ["linux-6.18"]);
}

#[test]
fn the_nearest_file_counts() {
    let project = project("config-nearest", "kernel = 'linux-3.9'\n");
    let nearer = project.join("inner/fourtuple.toml");
    std::fs::write(
        nearer,
        "[run]\nformat = 'json'\nengine = 'model'\nkernel = 'linux-6.1'\n",
    )
    .expect("a configuration");
    let inner = project.join("inner");
    assert_eq!(kernels(&inner, &["run", "../one.yaml"]), ["linux-6.1"]);
}

/// The error of a wrong file, without the directory.
fn refused(name: &str, config: &str) -> String {
    let project = project(name, config);
    let Said { status, out, err } = fourtuple(&project, &["run", "one.yaml"]);
    assert_eq!((status, out.as_str()), (2, ""), "{err}");
    err.replace(&*project.to_string_lossy(), "/project")
}

#[test]
fn a_wrong_file_is_refused_with_its_place() {
    let wrong = [
        ("syntax", "engine = [\n"),
        ("unknown", "engin = 'model'\n"),
        ("unknown-verb", "[runn]\njobs = 1\n"),
        ("of-another-verb", "[capacity]\njobs = 1\n"),
        ("writes-a-file", "[report]\noutput = '/etc/passwd'\n"),
        ("runs-a-command", "engine = ['model', 'exec:rm -r /']\n"),
        ("wrong-value", "[run]\nmax-time = 'long'\n"),
        ("wrong-type", "[run]\nmax-time = 2020-01-01\n"),
        ("escapes", "[run]\nformat = \"\\u001b[31m\"\n"),
    ];
    let texts = wrong.map(|(name, config)| refused(&format!("config-{name}"), config));
    insta::with_settings!({ prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("config__a_wrong_file_is_refused_with_its_place", texts.join("\n"));
    });
}

#[test]
fn a_file_that_is_no_text_is_refused() {
    let project = project("config-binary", "");
    std::fs::write(project.join("fourtuple.toml"), [0xff, 0xfe, 0]).expect("a file");
    let said = fourtuple(&project, &["run", "one.yaml"]);
    assert_eq!(said.status, 2);
    assert!(said.err.contains("failed to read"), "{}", said.err);
}
