//! `fourtuple new`: a scenario to start from.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::corpus;
use crate::output::{Failure, Output, Verdict};

/// Writes a new scenario that runs as it is: a short one with a comment on each setting, or one of the corpus.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: fourtuple new scenarios/mine/first.yaml && fourtuple run scenarios/mine\n         \
                  fourtuple new mine.yaml --from timewait/who-closes-first\n         \
                  fourtuple new --from timewait    (says which scenarios that topic has)"
)]
pub(crate) struct Args {
    /// The file to write; an ending is added if it has none. A file that is there already is left alone. With `--from`
    /// it may be left out: then it is the scenario's own name, here.
    #[arg(required_unless_present = "from")]
    name: Option<PathBuf>,
    /// The scenario of the corpus to start from.
    #[arg(long, value_name = "TOPIC/NAME")]
    from: Option<String>,
}

const TEMPLATE: &str = include_str!("new.yaml");
/// The file that editors read the format from.
const SCHEMA: &str = "scenario.schema.json";
/// How far above a scenario the schema is looked for.
const LEVELS: usize = 4;

impl Args {
    pub(crate) fn run(self, out: &mut Output) -> Result<Verdict, Failure> {
        let text = match &self.from {
            Some(from) => corpus::find(from)?,
            None => TEMPLATE,
        };
        let own = || self.from.as_deref().and_then(|from| Path::new(from).file_name());
        let mut path = self
            .name
            .or_else(|| own().map(PathBuf::from))
            .unwrap_or_else(|| PathBuf::from("scenario"));
        if !matches!(
            path.extension().and_then(|ending| ending.to_str()),
            Some("yaml" | "yml")
        ) {
            path.as_mut_os_string().push(".yaml");
        }
        write_new(&path, &format!("{}{text}", modeline(&path)))?;
        writeln!(out, "{}", path.display())?;
        Ok(Verdict::Good)
    }
}

/// The line that tells editors where the schema is, if there is one in a directory above the file.
fn modeline(path: &Path) -> String {
    let directory = path.parent().unwrap_or(Path::new(""));
    let up = |level: usize| format!("{}{SCHEMA}", "../".repeat(level));
    (0..LEVELS)
        .map(up)
        .find(|below| plain(directory, below).is_file())
        .map_or_else(String::new, |below| {
            format!("# yaml-language-server: $schema={below}\n")
        })
}

/// A path below a directory that need not exist yet, so that `..` cannot be left to the system.
fn plain(directory: &Path, below: &str) -> PathBuf {
    let mut path = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
    for part in below.split('/') {
        if part == ".." {
            path.pop();
        } else {
            path.push(part);
        }
    }
    path
}

/// Writes a file that is not there yet, and the directories that lead to it.
pub(super) fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    let told = |error: std::io::Error| {
        let reason = match error.kind() {
            std::io::ErrorKind::AlreadyExists => "it is there already".to_owned(),
            kind => kind.to_string(),
        };
        Failure::Told(format!(
            "error: {} cannot be written: {reason}",
            path.display()
        ))
    };
    if let Some(directory) = path
        .parent()
        .filter(|directory| !directory.as_os_str().is_empty())
    {
        std::fs::create_dir_all(directory).map_err(told)?;
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(told)?;
    file.write_all(text.as_bytes()).map_err(told)
}
