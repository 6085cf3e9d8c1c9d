//! The engines there are.

use fourtuple_harness::{Engine, Model};
use fourtuple_turmoil::engine::{Stock, Turmoil};

use crate::output::Failure;

/// What `run` uses unless it is told otherwise: the engines that need nothing but this program.
pub(crate) const DEFAULT: [&str; 3] = ["model", "turmoil", "stock"];

/// Every engine. The model comes first: it is what the others are compared with.
fn all() -> Vec<Box<dyn Engine>> {
    vec![Box::new(Model), Box::new(Turmoil), Box::new(Stock)]
}

/// The engines with these names, each once.
pub(crate) fn by_name(names: &[String]) -> Result<Vec<Box<dyn Engine>>, Failure> {
    let mut engines = all();
    if let Some(name) = names
        .iter()
        .find(|name| engines.iter().all(|one| one.name() != **name))
    {
        let mut message = format!("error: there is no engine `{name}`");
        for engine in &engines {
            message.push_str(&format!(
                "\n  = help: {}: {}",
                engine.name(),
                engine.about()
            ));
        }
        return Err(Failure::Told(message));
    }
    engines.retain(|engine| names.iter().any(|name| engine.name() == name));
    Ok(engines)
}
