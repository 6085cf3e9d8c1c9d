//! The engines there are.

use fourtuple_harness::{Engine, Model};
use fourtuple_turmoil::engine::Turmoil;

use crate::output::Failure;

/// Names of the engines, for `--engine`.
pub(crate) const NAMES: [&str; 2] = ["model", "turmoil"];

/// The engines with these names, each once, in this order.
pub(crate) fn by_name(names: &[String]) -> Result<Vec<Box<dyn Engine>>, Failure> {
    let mut engines: Vec<Box<dyn Engine>> = Vec::new();
    for name in names {
        let engine: Box<dyn Engine> = match name.as_str() {
            "model" => Box::new(Model),
            "turmoil" => Box::new(Turmoil),
            _ => {
                let message = format!(
                    "error: there is no engine `{name}`\n  = help: the engines are {}",
                    NAMES.join(", ")
                );
                return Err(Failure::Told(message));
            }
        };
        if !engines.iter().any(|one| one.name() == engine.name()) {
            engines.push(engine);
        }
    }
    // The model is what others are compared with, so that it comes first wherever it was named.
    engines.sort_by_key(|engine| engine.name() != Model::NAME);
    Ok(engines)
}
