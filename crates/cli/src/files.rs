//! Files that verbs write: whole or not at all.
//!
//! The text goes to a file that has no name yet, which then takes the place of the one that is meant. Whatever ends
//! the command in between, a full disk, a signal, a crash, the old file or none is there, never half a new one, and
//! nothing beside it. Where a file cannot be without a name, it has a hidden one beside the one that is meant.

use std::io::{self, Write as _};
use std::path::Path;

use crate::output::Failure;

/// What becomes of a file that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existing {
    /// It stays as it is, and nothing is written.
    Keep,
    /// The new one takes its place; behind a link, that of the file which the link points to.
    Replace,
    /// The new one takes its place if it is a file itself. For names that a verb chooses in a directory: a link there could
    /// point to any file of the user's.
    ReplaceFile,
}

/// Fails when a path to write to is one of the files that were read.
pub(crate) fn refuse_inputs<'a>(
    path: &Path,
    inputs: impl IntoIterator<Item = &'a str>,
) -> Result<(), Failure> {
    let Ok(target) = path.canonicalize() else {
        return Ok(());
    };
    let same = |input: &&str| {
        Path::new(input)
            .canonicalize()
            .is_ok_and(|read| read == target)
    };
    match inputs.into_iter().find(same) {
        None => Ok(()),
        Some(input) => Err(Failure::Told(format!(
            "error: {} cannot be written: the scenario {input} is read from it\n  = help: name another file",
            path.display()
        ))),
    }
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
        let reason = match (error.kind(), error.raw_os_error()) {
            (io::ErrorKind::AlreadyExists, _) => "it is there already".to_owned(),
            // Made by this module.
            (io::ErrorKind::Other, None) => error.to_string(),
            (kind, _) => kind.to_string(),
        };
        Failure::Told(format!(
            "error: {} cannot be written: {reason}",
            path.display()
        ))
    })
}

fn try_write(path: &Path, text: &[u8], existing: Existing) -> io::Result<()> {
    if existing == Existing::ReplaceFile {
        return match path.symlink_metadata() {
            Ok(kind) if kind.is_symlink() => Err(io::Error::other("it is a symbolic link")),
            Ok(kind) if !kind.is_file() => Err(io::Error::other("it is not a file")),
            _ => replace(path, text, existing),
        };
    }
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
    replace(path, text, existing)
}

/// Puts a file in its place, which is not behind a link.
fn replace(path: &Path, text: &[u8], existing: Existing) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(directory)?;
    // The new file may be read and written by those who may the old one.
    let kept = path.metadata().ok().map(|kind| kind.permissions());
    let fill = |file: &mut std::fs::File| -> io::Result<()> {
        file.write_all(text)?;
        if let Some(permissions) = &kept {
            file.set_permissions(permissions.clone())?;
        }
        // Without this the name could reach the disk before the text does.
        file.sync_all()
    };
    #[cfg(target_os = "linux")]
    if let Some(mut file) = unnamed::file(directory) {
        fill(&mut file)?;
        if unnamed::name(&file, directory, path, existing)? {
            return Ok(());
        }
    }
    let mut builder = tempfile::Builder::new();
    builder.prefix(".fourtuple-").suffix(".tmp");
    #[cfg(unix)]
    let usual = {
        use std::os::unix::fs::PermissionsExt as _;
        // What the process's mask leaves of it.
        std::fs::Permissions::from_mode(0o666)
    };
    #[cfg(unix)]
    builder.permissions(usual);
    let mut file = builder.tempfile_in(directory)?;
    fill(file.as_file_mut())?;
    match existing {
        Existing::Keep => file.persist_noclobber(path)?,
        Existing::Replace | Existing::ReplaceFile => file.persist(path)?,
    };
    Ok(())
}

/// Files without a name, of which nothing is left when the command ends before they get one.
#[cfg(target_os = "linux")]
mod unnamed {
    use super::Existing;
    use rustix::fs::{AtFlags, CWD, FlockOperation, Mode, OFlags};
    use rustix::io::Errno;
    use std::fs::File;
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    use std::io;
    use std::os::fd::AsRawFd as _;
    use std::path::Path;

    /// A new one, where the file system has such files.
    pub(super) fn file(directory: &Path) -> Option<File> {
        let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        // What the process's mask leaves of it.
        let mode = Mode::from_raw_mode(0o666);
        rustix::fs::open(directory, flags, mode)
            .ok()
            .map(File::from)
    }

    /// Gives it the name that is meant. No, where it cannot be given one, such as without `/proc`.
    pub(super) fn name(
        file: &File,
        directory: &Path,
        path: &Path,
        existing: Existing,
    ) -> io::Result<bool> {
        let here = format!("/proc/self/fd/{}", file.as_raw_fd());
        let link = |to: &Path| rustix::fs::linkat(CWD, &*here, CWD, to, AtFlags::SYMLINK_FOLLOW);
        match (link(path), existing) {
            (Ok(()), _) => return Ok(true),
            (Err(Errno::EXIST), Existing::Replace | Existing::ReplaceFile) => {}
            (Err(Errno::EXIST), Existing::Keep) => return Err(Errno::EXIST.into()),
            (Err(_), _) => return Ok(false),
        }
        // A name cannot be given that is taken, but a file that has one can take another's place. Commands that write to one
        // directory take turns with that; the lock ends with its holder, whatever ends it.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let turn = rustix::fs::open(directory, flags, Mode::empty())?;
        let lock = || rustix::fs::flock(&turn, FlockOperation::LockExclusive);
        if rustix::io::retry_on_intr(lock).is_err() {
            return Ok(false);
        }
        let mut hash = DefaultHasher::new();
        path.file_name().hash(&mut hash);
        let hidden = directory.join(format!(".fourtuple-{:016x}.tmp", hash.finish()));
        // Left by a command that was killed between the next two calls.
        let _ = std::fs::remove_file(&hidden);
        link(&hidden)?;
        std::fs::rename(&hidden, path).inspect_err(|_| {
            let _ = std::fs::remove_file(&hidden);
        })?;
        Ok(true)
    }
}
