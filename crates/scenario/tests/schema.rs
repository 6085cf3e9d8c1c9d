//! The checked-in schema is the generated one, and it accepts what the parser accepts.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

fn checked_in() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios/scenario.schema.json")
}

/// `UPDATE_SCHEMA=1 cargo test -p fourtuple-scenario --test integration schema` rewrites the file.
#[test]
fn the_checked_in_schema_is_current() {
    let path = checked_in();
    let current = fourtuple_scenario::schema_text();
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        fs::create_dir_all(path.parent().expect("a directory")).expect("writable");
        fs::write(&path, &current).expect("writable");
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == current,
        "scenarios/scenario.schema.json is out of date; run UPDATE_SCHEMA=1 cargo test -p fourtuple-scenario --test integration schema"
    );
}

#[test]
fn the_schema_is_valid_draft_2020_12() {
    let schema = fourtuple_scenario::schema();
    assert_eq!(
        schema["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    assert!(jsonschema::meta::is_valid(&schema));
}

/// Converts YAML to JSON as an editor does: plain scalars that look like numbers or booleans become
/// these.
fn as_json(text: &str) -> Value {
    let yaml = granit_parser::Parser::new_from_str(text);
    let mut stack: Vec<(Value, Option<String>)> = vec![(json!([]), None)];
    fn put(stack: &mut [(Value, Option<String>)], value: Value) {
        let (open, key) = stack.last_mut().expect("something is open");
        match (open, key.take()) {
            (Value::Array(items), _) => items.push(value),
            (Value::Object(map), Some(name)) => drop(map.insert(name, value)),
            (Value::Object(_), None) => {
                *key = Some(
                    value
                        .as_str()
                        .map_or_else(|| value.to_string(), str::to_owned),
                )
            }
            _ => unreachable!("only lists and maps are open"),
        }
    }
    for event in yaml {
        use granit_parser::{Event, ScalarStyle};
        match event.expect("valid YAML").0 {
            Event::Scalar(text, ScalarStyle::Plain, ..) => {
                let value = match &*text {
                    "" | "~" | "null" => Value::Null,
                    // A scalar such as `10.0` or `1e3` is a number too, and one such as
                    // `40000-40003` is not.
                    text => serde_json::from_str(text)
                        .ok()
                        .filter(|value: &Value| value.is_number() || value.is_boolean())
                        .unwrap_or_else(|| json!(text)),
                };
                put(&mut stack, value);
            }
            Event::Scalar(text, ..) => put(&mut stack, json!(text)),
            Event::SequenceStart(..) => stack.push((json!([]), None)),
            Event::MappingStart(..) => stack.push((json!({}), None)),
            Event::SequenceEnd | Event::MappingEnd => {
                let (value, _) = stack.pop().expect("something is open");
                put(&mut stack, value);
            }
            _ => {}
        }
    }
    stack[0].0[0].take()
}

fn yaml_files(directory: PathBuf) -> Vec<PathBuf> {
    let mut files = fourtuple_scenario::discover([directory]).expect("files");
    files.sort();
    files
}

#[test]
fn the_schema_accepts_every_example_and_its_encoding() {
    let validator =
        jsonschema::validator_for(&fourtuple_scenario::schema()).expect("a valid schema");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = yaml_files(root.join("tests/examples"));
    // The suite of the workspace, if it exists.
    files.extend(fourtuple_scenario::discover([root.join("../../scenarios")]).unwrap_or_default());
    for file in files {
        let text = fs::read_to_string(&file).expect("readable");
        let Ok(scenario) = fourtuple_scenario::parse(&file.to_string_lossy(), &text) else {
            // The suite checks its own scenarios, which may be incomplete; the examples are checked
            // by other tests.
            continue;
        };
        for text in [text, scenario.to_yaml()] {
            let document = as_json(&text);
            let problems: Vec<String> = validator
                .iter_errors(&document)
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect();
            assert!(problems.is_empty(), "{}: {problems:#?}", file.display());
        }
    }
}

#[test]
fn the_schema_rejects_what_the_parser_rejects_by_type() {
    let validator =
        jsonschema::validator_for(&fourtuple_scenario::schema()).expect("a valid schema");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in [
        "bind-style",
        "combinations",
        "counts",
        "durations",
        "missing-about",
        "missing-everything",
        "not-a-map",
        "steps",
        "unknown-field",
        "wrong-type-for-list",
        "wrong-type-for-map",
        "expectations",
    ] {
        let text =
            fs::read_to_string(root.join(format!("tests/rejects/{name}.yaml"))).expect("readable");
        assert!(!validator.is_valid(&as_json(&text)), "{name}");
    }
}
