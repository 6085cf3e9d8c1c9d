//! The scenarios of the corpus, as templates.

use fourtuple_scenario::nearest_few;

use crate::output::Failure;

/// Name and text of every scenario, sorted by name.
const CORPUS: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/corpus.rs"));

/// The text of a scenario, without the comment with the schema's path.
pub(crate) fn find(name: &str) -> Result<&'static str, Failure> {
    let asked = name.trim_start_matches("scenarios/");
    let asked = asked.trim_end_matches(".yaml").trim_end_matches('/');
    match CORPUS.iter().find(|(one, _)| *one == asked) {
        Some((_, text)) => Ok(body(text)),
        None => Err(Failure::Message(unknown(asked))),
    }
}

/// A scenario without its first line if that has the schema's path, which depends on the location
/// of the file.
fn body(text: &str) -> &str {
    match text.split_once('\n') {
        Some((first, rest)) if first.starts_with("# yaml-language-server:") => rest,
        _ => text,
    }
}

/// The part of a name below its topic.
fn short(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

fn unknown(asked: &str) -> String {
    let names = || CORPUS.iter().map(|(name, _)| *name);
    let in_topic: Vec<&str> = names()
        .filter(|name| name.split('/').next() == Some(asked))
        .collect();
    if !in_topic.is_empty() {
        return format!(
            "error: `{asked}` is a topic\n  = help: name one of its scenarios: {}",
            in_topic.join(", ")
        );
    }
    let mut near: Vec<&str> = names().filter(|name| short(name) == short(asked)).collect();
    near.extend(nearest_few(asked, names()));
    let shorts = nearest_few(short(asked), names().map(short));
    near.extend(names().filter(|name| shorts.contains(&short(name))));
    if near.is_empty() && asked.len() > 2 {
        near.extend(names().filter(|name| name.contains(asked)));
    }
    let mut distinct: Vec<&str> = Vec::new();
    for name in near {
        if !distinct.contains(&name) && distinct.len() < 5 {
            distinct.push(name);
        }
    }
    let help = if distinct.is_empty() {
        let mut topics: Vec<&str> = names().filter_map(|name| name.split('/').next()).collect();
        topics.dedup();
        format!(
            "name a topic to see its scenarios; there are {}",
            topics.join(", ")
        )
    } else {
        format!("did you mean {}?", distinct.join(", or "))
    };
    format!("error: unknown scenario `{asked}`\n  = help: {help}")
}
