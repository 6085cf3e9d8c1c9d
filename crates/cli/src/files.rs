//! Files that verbs write: whole or not at all.
//!
//! The text goes to a hidden file beside the one that is meant, which then takes its place in one step. Whatever ends
//! the command in between, a full disk, a signal, a crash, the old file or none is there, never half a new one.

use std::io::{self, Write as _};
use std::path::Path;

use crate::output::Failure;

/// What becomes of a file that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existing {
    /// It stays as it is, and nothing is written.
    Keep,
    /// The new one takes its place.
    Replace,
}

/// Writes a file and the directories that lead to it.
///
/// # Errors
/// A sentence that names the file and what is wrong.
pub(crate) fn write(
    path: &Path,
    text: impl AsRef<[u8]>,
    existing: Existing,
) -> Result<(), Failure> {
    try_write(path, text.as_ref(), existing).map_err(|error| {
        let reason = match error.kind() {
            io::ErrorKind::AlreadyExists => "it is there already".to_owned(),
            kind => kind.to_string(),
        };
        Failure::Told(format!(
            "error: {} cannot be written: {reason}",
            path.display()
        ))
    })
}

fn try_write(path: &Path, text: &[u8], existing: Existing) -> io::Result<()> {
    // A device or a pipe is written to; putting a file in its place is not what was asked for.
    if let Ok(kind) = path.metadata()
        && !kind.is_file()
        && !kind.is_dir()
        && existing == Existing::Replace
    {
        return std::fs::OpenOptions::new()
            .write(true)
            .open(path)?
            .write_all(text);
    }
    // Behind a link, the file that it points to.
    let path = &path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(directory)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".fourtuple-").suffix(".tmp");
    let kept = path.metadata().map(|kind| kind.permissions());
    #[cfg(unix)]
    let usual = {
        use std::os::unix::fs::PermissionsExt as _;
        // What the process's mask leaves of it.
        std::fs::Permissions::from_mode(0o666)
    };
    #[cfg(unix)]
    builder.permissions(usual);
    let mut file = builder.tempfile_in(directory)?;
    file.write_all(text)?;
    // Without this the name could reach the disk before the text does.
    file.as_file().sync_all()?;
    if let Ok(permissions) = kept {
        file.as_file().set_permissions(permissions)?;
    }
    match existing {
        Existing::Keep => file.persist_noclobber(path)?,
        Existing::Replace => file.persist(path)?,
    };
    Ok(())
}
