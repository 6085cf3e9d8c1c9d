//! `fourtuple.toml`: defaults of options for a project.
//!
//! The file of the nearest directory counts, from the working directory upwards. Its keys are long
//! options. Those at the top apply to every verb that takes scenarios, those in a table of a verb's
//! name to that verb. The command line has precedence.
//!
//! ```toml
//! engine = ["model"]
//! kernel = ["rhel-8", "linux-6.18"]
//!
//! [explore]
//! samples = 10000
//! ```

use std::io::{self, Read as _};
use std::ops::Range;
use std::path::{Path, PathBuf};

use clap::error::{ContextKind, ContextValue};
use clap::{ArgAction, Command};
use fourtuple_scenario::{Diagnostic, Errors};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::output::Failure;

const FILE: &str = "fourtuple.toml";

/// The largest file that is read, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// The options that a file may set. None of them writes a file, so that running the command in
/// a directory of unknown origin is safe.
const OPTIONS: [&str; 19] = [
    "all",
    "budget",
    "destinations",
    "engine",
    "engines",
    "format",
    "hz",
    "jobs",
    "kernel",
    "max-calls",
    "max-memory",
    "max-time",
    "max-wait",
    "playground",
    "quiet",
    "samples",
    "seed",
    "threshold",
    "verbose",
];

/// The verbs that keys at the top of a file apply to: those that take scenarios.
const SCENARIO_VERBS: [&str; 9] = [
    "run", "test", "report", "explain", "remedies", "compare", "explore", "capacity", "lint",
];

/// A configuration file, in the order of its keys.
pub(crate) struct Config {
    path: PathBuf,
    text: String,
    settings: Vec<Setting>,
}

/// A default of an option.
struct Setting {
    /// The verb of its table; `None` at the top of the file.
    verb: Option<String>,
    option: String,
    values: Vec<String>,
    /// The bytes of the value in the file.
    value: Range<usize>,
}

impl Config {
    /// Reads the file of the nearest directory, if there is one.
    ///
    /// # Errors
    /// The file cannot be read, or is not a configuration.
    pub(crate) fn find(command: &Command) -> Result<Option<Self>, Failure> {
        // Without a working directory there is none of a project either.
        let Ok(directory) = std::env::current_dir() else {
            return Ok(None);
        };
        for directory in directory.ancestors() {
            let path = directory.join(FILE);
            match read(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    let message = format!("error: failed to read {}: {error}", path.display());
                    return Err(Failure::Message(message));
                }
                Ok(text) => return Self::parse(path, text, command).map(Some),
            }
        }
        Ok(None)
    }

    fn parse(path: PathBuf, text: String, command: &Command) -> Result<Self, Failure> {
        let mut config = Config {
            path,
            text: String::new(),
            settings: Vec::new(),
        };
        let read = DeTable::parse(&text).map_err(|error| {
            let at = error.span().unwrap_or(0..0);
            Errors::from(config.wrong(&text, at, format!("invalid TOML: {}", error.message()), ""))
        });
        read.and_then(|table| config.take_table(&text, None, table.get_ref(), command))?;
        config.text = text;
        Ok(config)
    }

    fn take_table(
        &mut self,
        text: &str,
        verb: Option<&str>,
        table: &DeTable<'_>,
        command: &Command,
    ) -> Result<(), Errors> {
        for (key, value) in table {
            let name: &str = key.get_ref();
            match (value.get_ref(), verb) {
                (DeValue::Table(inner), None) => {
                    if command.find_subcommand(name).is_none() {
                        let message = format!("unknown verb `{name}`");
                        let problem = self.wrong(text, key.span(), message, "expected a verb");
                        return Err(problem
                            .with_help("`fourtuple --help` lists the verbs")
                            .into());
                    }
                    self.take_table(text, Some(name), inner, command)?;
                }
                _ => self.take_option(text, verb, key, value, command)?,
            }
        }
        Ok(())
    }

    fn take_option(
        &mut self,
        text: &str,
        verb: Option<&str>,
        key: &Spanned<std::borrow::Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
        command: &Command,
    ) -> Result<(), Errors> {
        let name: &str = key.get_ref();
        let known = |verb: &&str| option(command, verb, name).is_some();
        if !OPTIONS.contains(&name) || !verbs(verb).iter().any(known) {
            let message = match verb {
                None => format!("unknown option `{name}`"),
                Some(verb) => format!("`{verb}` has no option `{name}` that can be set here"),
            };
            let problem = self.wrong(text, key.span(), message, "expected a long option");
            return Err(problem
                .with_help(format!("the options are {}", OPTIONS.join(", ")))
                .into());
        }
        let values = values(value.get_ref()).ok_or_else(|| {
            let message = format!("a value of `{name}` that no option can have");
            self.wrong(
                text,
                value.span(),
                message,
                "expected a text, a number, true, false, or a list",
            )
        })?;
        if values.iter().any(|value| value.starts_with("exec:")) {
            let message = "an engine that runs a command";
            let problem = self.wrong(text, value.span(), message, "expected another engine");
            return Err(problem
                .with_help("give `--engine exec:COMMAND` on the command line")
                .into());
        }
        self.settings.push(Setting {
            verb: verb.map(str::to_owned),
            option: name.to_owned(),
            values,
            value: value.span(),
        });
        Ok(())
    }

    /// The command with these defaults.
    pub(crate) fn apply(&self, mut command: Command) -> Command {
        // Tables of verbs come after the top, so that they have precedence.
        let (top, tables): (Vec<_>, Vec<_>) =
            self.settings.iter().partition(|one| one.verb.is_none());
        for setting in top.into_iter().chain(tables) {
            for verb in verbs(setting.verb.as_deref()) {
                let Some(id) = option(&command, verb, &setting.option) else {
                    continue;
                };
                command = command.mut_subcommand(verb, |verb| {
                    verb.mut_arg(id, |arg| match arg.get_action() {
                        ArgAction::SetTrue => arg.default_value(setting.values.concat()),
                        _ => arg.default_values(setting.values.clone()),
                    })
                });
            }
        }
        command
    }

    /// The problem of a default, if that is what the command line could not be parsed for.
    pub(crate) fn problem(&self, error: &clap::Error) -> Option<Failure> {
        let text = |kind| match error.get(kind)? {
            ContextValue::String(text) => Some(text.as_str()),
            _ => None,
        };
        let (option, value) = (
            text(ContextKind::InvalidArg)?,
            text(ContextKind::InvalidValue)?,
        );
        let setting = self.settings.iter().rfind(|one| {
            let name = option
                .strip_prefix("--")
                .and_then(|name| name.split(' ').next());
            name == Some(&one.option) && one.values.iter().any(|one| one == value)
        })?;
        let message = format!("invalid value `{value}` for `{}`", setting.option);
        let problem = self.wrong(&self.text, setting.value.clone(), message, "");
        let help = format!("`fourtuple run --help` describes `--{}`", setting.option);
        Some(Failure::Message(problem.with_help(help).to_string()))
    }

    fn wrong(
        &self,
        text: &str,
        at: Range<usize>,
        message: impl Into<String>,
        label: &str,
    ) -> Diagnostic {
        Diagnostic::in_text(self.path.to_string_lossy(), text, at, message, label)
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let file = std::fs::File::open(path)?;
    let read = file.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    if read as u64 > MAX_BYTES {
        let message = format!("it is larger than {MAX_BYTES} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(text)
}

/// The verbs that a table applies to; without a table, those of the top.
fn verbs(table: Option<&str>) -> Vec<&str> {
    table.map_or(SCENARIO_VERBS.to_vec(), |verb| vec![verb])
}

/// The identifier of a verb's option.
fn option(command: &Command, verb: &str, name: &str) -> Option<clap::Id> {
    let mut arguments = command.find_subcommand(verb)?.get_arguments();
    let argument = arguments.find(|argument| argument.get_long() == Some(name))?;
    Some(argument.get_id().clone())
}

/// A value as the command line would have it.
fn values(value: &DeValue<'_>) -> Option<Vec<String>> {
    Some(match value {
        DeValue::String(text) => vec![text.clone().into_owned()],
        DeValue::Integer(number) => vec![number.to_string()],
        DeValue::Float(number) => vec![number.to_string()],
        DeValue::Boolean(set) => vec![set.to_string()],
        DeValue::Array(list) => {
            let inner = list.iter().map(|value| match value.get_ref() {
                DeValue::Array(_) => None,
                value => values(value),
            });
            inner.collect::<Option<Vec<_>>>()?.concat()
        }
        DeValue::Datetime(_) | DeValue::Table(_) => return None,
    })
}
