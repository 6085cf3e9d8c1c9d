//! Loading of scenario files and search of directories.

use std::ffi::OsStr;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::diagnostic::{Diagnostic, Errors};
use crate::limits::{MAX_DIRECTORY_DEPTH, MAX_FILE_BYTES, MAX_FILES};
use crate::model::Scenario;

/// The directory that scenario names are relative to.
const ROOT: &str = "scenarios";

/// The path that stands for standard input.
const STDIN: &str = "-";

/// Reads one scenario file; `-` is standard input.
///
/// # Errors
///
/// The file cannot be read, is too large, is not UTF-8 text, or is not a valid scenario.
pub fn load(path: &Path) -> Result<Scenario, Errors> {
    if path == Path::new(STDIN) {
        let text = read_all(std::io::stdin().lock());
        let text = text.map_err(|problem| Errors::from(problem.of("standard input")))?;
        return crate::parse_named("standard input", "stdin", &text);
    }
    let shown = display(path);
    let text = read_text(path).map_err(|problem| Errors::from(problem.of(&shown)))?;
    crate::parse_named(&shown, &name_of(path), &text)
}

/// The name of a scenario: its path below the nearest `scenarios` directory without the extension,
/// with `/` as separator. A file outside such a directory is named by its file name.
pub fn name_of(path: &Path) -> String {
    let parts: Vec<String> = path
        .with_extension("")
        .components()
        .filter_map(|part| match part {
            std::path::Component::Normal(part) => Some(part.to_string_lossy().into_owned()),
            _ => None,
        })
        .collect();
    let below = parts
        .iter()
        .rposition(|part| part == ROOT)
        .filter(|at| at + 1 < parts.len())
        .map_or(parts.len().saturating_sub(1), |at| at + 1);
    parts[below..].join("/")
}

/// Finds the scenario files under some paths, sorted within each directory. A path to a file, and
/// `-` (standard input), are returned unchanged; a directory yields all `*.yaml` and `*.yml` files
/// below it, without hidden ones.
///
/// # Errors
///
/// A path that does not exist, a directory that cannot be read or that contains no scenario. All
/// paths are checked.
pub fn discover<P: AsRef<Path>>(
    paths: impl IntoIterator<Item = P>,
) -> Result<Vec<PathBuf>, Errors> {
    let mut found: Vec<PathBuf> = Vec::new();
    let mut problems = Vec::new();
    for path in paths {
        let path = path.as_ref();
        let mut here = Vec::new();
        match look(path, 0, &mut here) {
            Ok(()) if here.is_empty() => {
                let problem = Problem::new("no scenario in this directory")
                    .help("scenarios are files that end in `.yaml` or `.yml`; `fourtuple new NAME` creates one");
                problems.push(problem.of(&display(path)));
            }
            Ok(()) => {
                for file in here {
                    if !found.contains(&file) {
                        found.push(file);
                    }
                }
            }
            Err((at, problem)) => problems.push(problem.of(&display(&at))),
        }
    }
    Errors::check(problems, 0)?;
    Ok(found)
}

fn look(path: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), (PathBuf, Problem)> {
    if path == Path::new(STDIN) {
        found.push(path.to_owned());
        return Ok(());
    }
    let here = |problem| (path.to_owned(), problem);
    let kind = fs::metadata(path).map_err(|error| here(Problem::io(&error)))?;
    if !kind.is_dir() {
        found.push(path.to_owned());
        return Ok(());
    }
    if depth >= MAX_DIRECTORY_DEPTH {
        let problem = Problem::new(format!(
            "directories are nested more than {MAX_DIRECTORY_DEPTH} deep"
        ));
        return Err(here(
            problem.help(format!("the limit is {MAX_DIRECTORY_DEPTH}")),
        ));
    }
    let mut entries = Vec::new();
    for entry in fs::read_dir(path).map_err(|error| here(Problem::io(&error)))? {
        entries.push(entry.map_err(|error| here(Problem::io(&error)))?);
    }
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name();
        if name.to_string_lossy().starts_with('.') {
            continue;
        }
        let entry_path = entry.path();
        // Symbolic links to directories are not followed: they could form a cycle.
        let kind = entry
            .file_type()
            .map_err(|error| here(Problem::io(&error)))?;
        let scenario = matches!(
            entry_path.extension().and_then(OsStr::to_str),
            Some("yaml" | "yml")
        );
        if kind.is_dir() {
            look(&entry_path, depth + 1, found)?;
        } else if scenario && !(kind.is_symlink() && entry_path.is_dir()) {
            found.push(entry_path);
        }
        if found.len() > MAX_FILES {
            let problem = Problem::new(format!("more than {MAX_FILES} scenarios"));
            return Err(here(
                problem.help(format!("the limit is {MAX_FILES} files per invocation")),
            ));
        }
    }
    Ok(())
}

/// A problem of a file as a whole, without its path.
struct Problem {
    message: String,
    help: Option<String>,
}

impl Problem {
    fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: None,
        }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    fn io(error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::NotFound => {
                Self::new("no such file or directory").help("check the spelling of the path")
            }
            std::io::ErrorKind::PermissionDenied => Self::new("permission denied")
                .help("check the permissions of this file or directory"),
            // The message of the system differs between machines, the error kind does not.
            kind => Self::new(format!("failed to read: {kind}")),
        }
    }

    fn of(self, file: &str) -> Diagnostic {
        let made = Diagnostic::of_file(file, self.message);
        match self.help {
            Some(help) => made.with_help(help),
            None => made,
        }
    }
}

fn read_text(path: &Path) -> Result<String, Problem> {
    let kind = fs::metadata(path).map_err(|error| Problem::io(&error))?;
    if kind.is_dir() {
        return Err(Problem::new("this is a directory, not a scenario file"));
    }
    if !kind.is_file() {
        // Reading a pipe or a device could block forever.
        return Err(Problem::new("this is not a regular file"));
    }
    if kind.len() > MAX_FILE_BYTES {
        return Err(too_large(kind.len()));
    }
    read_all(fs::File::open(path).map_err(|error| Problem::io(&error))?)
}

fn read_all(file: impl std::io::Read) -> Result<String, Problem> {
    let mut bytes = Vec::new();
    // One byte more than the limit reveals a file that grew after `metadata`.
    file.take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Problem::io(&error))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(too_large(bytes.len() as u64));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Problem::new(format!("the file is not text: byte {at} is not UTF-8"))
            .help("scenarios are YAML in UTF-8; is this the right file?")
    })?;
    Ok(text)
}

fn too_large(size: u64) -> Problem {
    Problem::new(format!("the file has {size} bytes")).help(format!(
        "the limit is {MAX_FILE_BYTES} bytes; use `count` or `matrix` to repeat things"
    ))
}

fn display(path: &Path) -> String {
    // Outcomes and snapshots contain the path, and must be the same on every machine.
    path.to_string_lossy().replace('\\', "/")
}
