//! The top level of the schema, and rules that apply to every value.

use indexmap::IndexMap;
use schemars::transform::{RecursiveTransform, Transform};
use schemars::{JsonSchema, Schema, generate::SchemaSettings};
use serde_json::{Value, json};

use super::written::{self, Kernels, OneOrMany, Scalar};
use crate::model::{Host, Process, Step};

/// A question about local TCP ports: hosts, the program that runs on them, and the kernels to ask.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Scenario")]
#[expect(dead_code, reason = "the fields are read by the schema only")]
struct Document {
    /// The question that the scenario asks, in one sentence.
    about: String,
    /// The source of the question: a report, a link, a kernel commit; one or a list.
    source: Option<OneOrMany<String>>,
    /// The kernels to run on [default: all].
    kernel: Option<Kernels>,
    /// Seed of all randomness [default: 1].
    seed: Option<u64>,
    /// Length of TIME-WAIT [default: 60s, as in the kernel].
    time_wait: Option<written::Duration>,
    /// Axes with their values. The scenario runs once for each combination; `${name}` stands for
    /// the value anywhere below `seed`, `time_wait`, `network`, `hosts`, `processes`, `steps` and
    /// `expect`.
    matrix: Option<IndexMap<String, OneOrMany<Scalar>>>,
    /// The network between the hosts, and its faults.
    network: Option<NetworkDocument>,
    /// The hosts by name.
    hosts: IndexMap<String, Host>,
    /// The declarative form: processes by name. Give exactly one of `processes` and `steps`.
    processes: Option<IndexMap<String, Process>>,
    /// The step form: socket calls in one total order. Give exactly one of `processes` and `steps`.
    steps: Option<Vec<Step>>,
    /// Expectations checked in addition to the snapshot: `process.call: RESULT` if every result is
    /// that (or one of a list), `process.call: { RESULT: COUNT }` for exact counts. A list of such
    /// maps may limit each to some kernels with the key `kernel`.
    expect: Option<ExpectDocument>,
}

/// The network between the hosts, and its faults.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Network")]
#[expect(dead_code, reason = "the fields are read by the schema only")]
struct NetworkDocument {
    /// The one-way delay of a packet: a duration, or a range such as `1ms..20ms`.
    latency: Option<written::Latency>,
    /// The fraction of packets that is lost, such as `1%` or `0.01`.
    loss: Option<written::Loss>,
    /// Faults, each with its time.
    faults: Option<Vec<FaultDocument>>,
}

/// A fault at a point in time. Give exactly one field besides `at`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Fault")]
#[expect(dead_code, reason = "the fields are read by the schema only")]
struct FaultDocument {
    /// The time, counted from the start of the run.
    at: written::Duration,
    /// Drops packets between these two hosts from now on.
    partition: Option<[String; 2]>,
    /// Delivers packets between these two hosts again after a partition.
    repair: Option<[String; 2]>,
    /// Holds packets between these two hosts back from now on.
    hold: Option<[String; 2]>,
    /// Delivers the packets between these two hosts that were held back, and later ones.
    release: Option<[String; 2]>,
    /// Stops this host; its sockets disappear without a packet.
    crash: Option<String>,
    /// Stops and restarts this host; its processes start again.
    bounce: Option<String>,
}

struct ExpectDocument;

impl JsonSchema for ExpectDocument {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Expect".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> Schema {
        let answers = generator.subschema_for::<written::Answers>();
        let kernels = generator.subschema_for::<Kernels>();
        let counts = json!({
            "type": "object",
            "minProperties": 1,
            "additionalProperties": { "type": "integer", "minimum": 0 },
        });
        let check = json!({ "anyOf": [answers, counts] });
        let key = r"^[^.]+\.[a-z]+$";
        schemars::json_schema!({
            "anyOf": [
                {
                    "type": "object",
                    "patternProperties": { key: check },
                    "additionalProperties": false,
                },
                {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": { "kernel": kernels },
                        "patternProperties": { key: check },
                        "additionalProperties": false,
                    },
                },
            ],
        })
    }
}

/// A matrix axis within a word.
const AXIS: &str = r"\$\{[A-Za-z_][A-Za-z0-9_-]*\}";

/// Generates the JSON Schema of scenario files (draft 2020-12).
pub fn schema() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<Document>();
    RecursiveTransform(drop_noise).transform(&mut schema);
    RecursiveTransform(allow_axes).transform(&mut schema);
    let mut schema = schema.to_value();
    allow_axis_keys(&mut schema["$defs"]);
    // `h:` without a value is a host without addresses.
    let host = schema["properties"]["hosts"]["additionalProperties"].take();
    schema["properties"]["hosts"]["additionalProperties"] =
        json!({ "anyOf": [host, { "type": "null" }] });
    schema["$defs"]["Axis"] = json!({
        "description": "A value out of the matrix: `${name}`, alone or within a word.",
        "type": "string",
        "pattern": AXIS,
    });
    schema["oneOf"] = json!([{ "required": ["processes"] }, { "required": ["steps"] }]);
    in_order(schema)
}

/// Moves the metadata (`$schema`, `title`, `description`) to the front.
fn in_order(mut schema: Value) -> Value {
    let mut ordered = serde_json::Map::new();
    for key in ["$schema", "title", "description"] {
        ordered.insert(key.into(), schema[key].take());
    }
    for (key, value) in schema.as_object().into_iter().flatten() {
        if !value.is_null() {
            ordered.insert(key.clone(), value.clone());
        }
    }
    ordered.into()
}

/// The text of `scenarios/scenario.schema.json`.
pub fn schema_text() -> String {
    let mut text = serde_json::to_string_pretty(&schema()).unwrap_or_default();
    text.push('\n');
    text
}

/// Allows every value except free text to be, or contain, a matrix axis such as `${n}`.
fn allow_axes(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    if object.contains_key("x-axis") {
        object.remove("x-axis");
        return;
    }
    let holds = |words: &[&str]| match object.get("type") {
        Some(Value::String(one)) => words.contains(&one.as_str()),
        Some(Value::Array(list)) => list
            .iter()
            .any(|one| one.as_str().is_some_and(|one| words.contains(&one))),
        _ => false,
    };
    let choice = object.contains_key("enum") || object.contains_key("const");
    let text =
        holds(&["string"]) && !object.contains_key("pattern") && !object.contains_key("format");
    let composed = holds(&["object", "array"]);
    if composed || text || !(choice || holds(&["integer", "number", "boolean", "string"])) {
        return;
    }
    // The description stays on the outer schema, where editors look for it.
    let description = object.shift_remove("description");
    let mut inner = Value::Object(std::mem::take(object));
    // The marker keeps the transform, which descends into the new parts, from wrapping them again.
    inner["x-axis"] = json!(true);
    if let Some(description) = description {
        object.insert("description".into(), description);
    }
    object.insert("anyOf".into(), json!([inner, { "$ref": "#/$defs/Axis" }]));
}

/// Allows a field to be named by an axis, as in `options: { "${option}": true }`, with any value.
fn allow_axis_keys(definitions: &mut Value) {
    for (_, definition) in definitions.as_object_mut().into_iter().flatten() {
        if definition["additionalProperties"] == false {
            definition["patternProperties"] = json!({ AXIS: true });
        }
    }
}

/// Removes artefacts of Rust's types: formats such as `uint32`, which JSON Schema does not define,
/// and `null` for optional fields, which must have a value if present.
fn drop_noise(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    let format = object.get("format").and_then(Value::as_str);
    if format.is_some_and(|format| format.contains("int")) {
        object.shift_remove("format");
    }
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|one| one != "null");
        if let [only] = types.as_slice() {
            object["type"] = only.clone();
        }
    }
    if let Some(Value::Array(words)) = object.get_mut("enum") {
        words.retain(|one| !one.is_null());
    }
    let Some(Value::Array(choices)) = object.get_mut("anyOf") else {
        return;
    };
    choices.retain(|one| one.get("type").is_none_or(|kind| kind != "null"));
    if let [only] = choices.as_slice() {
        let only = only.clone();
        object.shift_remove("anyOf");
        if let Value::Object(inner) = only {
            object.extend(inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::{FIELDS_BY_OBJECT, STEP_FIELDS};

    fn fields(schema: &Value) -> Vec<&str> {
        let properties = schema["properties"]
            .as_object()
            .expect("a map of properties");
        let mut names: Vec<&str> = properties.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    fn sorted<'a>(names: &[&'a str]) -> Vec<&'a str> {
        let mut names = names.to_vec();
        names.sort_unstable();
        names
    }

    #[test]
    fn the_schema_has_the_fields_that_are_read() {
        let schema = schema();
        for (object, known) in FIELDS_BY_OBJECT {
            let part = if *object == "Scenario" {
                &schema
            } else {
                &schema["$defs"][object]
            };
            assert_eq!(fields(part), sorted(known), "{object}");
            assert_eq!(part["additionalProperties"], false, "{object}");
        }
    }

    #[test]
    fn the_schema_has_the_steps_that_are_read() {
        let schema = schema();
        let steps = schema["$defs"]["Step"]["anyOf"]
            .as_array()
            .expect("kinds of steps");
        let mut written: Vec<Vec<&str>> = Vec::new();
        for step in steps {
            let name = step["$ref"]
                .as_str()
                .and_then(|path| path.strip_prefix("#/$defs/"));
            let part = name.map_or(step, |name| &schema["$defs"][name]);
            assert_eq!(part["additionalProperties"], false, "{part}");
            written.push(fields(part));
        }
        let read: Vec<Vec<&str>> = STEP_FIELDS.iter().map(|known| sorted(known)).collect();
        assert_eq!(written, read);
    }

    #[test]
    fn every_field_is_described() {
        fn walk(path: &str, value: &Value) {
            for (name, field) in value["properties"].as_object().into_iter().flatten() {
                assert!(
                    field["description"].is_string(),
                    "{path}.{name} has no description"
                );
            }
            for (name, inner) in value["$defs"].as_object().into_iter().flatten() {
                walk(name, inner);
            }
        }
        // The key `kernel` of a block of `expect` is described with `expect` itself.
        walk("Scenario", &schema());
    }
}
