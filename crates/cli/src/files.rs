//! Files that verbs write: completely or not at all.
//!
//! The text is written to an unnamed file, which then replaces the old one. However the command
//! ends in between (full disk, signal, crash), either the old file remains or none, never half of a
//! new one, and no temporary file. On file systems without unnamed files a hidden temporary file in
//! the same directory is used.

use std::io::{self, Write as _};
use std::path::Path;

use crate::output::Failure;

/// The handling of an existing file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existing {
    /// Keeps it and fails.
    Keep,
    /// Replaces it; for a symbolic link, the file that it points to.
    Replace,
    /// Replaces it if it is a regular file. For names that a verb chooses in a directory, where a
    /// link could point to any file of the user.
    ReplaceFile,
}

/// Fails if a path to write to is one of the files that were read.
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
        Some(input) => Err(Failure::Message(format!(
            "error: failed to write {}: it is the scenario {input}, which is read\n  = help: name another file",
            path.display()
        ))),
    }
}

/// Writes a file and creates its parent directories.
///
/// # Errors
/// A sentence with the file and the reason.
pub(crate) fn write(
    path: &Path,
    text: impl AsRef<[u8]>,
    existing: Existing,
) -> Result<(), Failure> {
    try_write(path, text.as_ref(), existing).map_err(|error| {
        let reason = match (error.kind(), error.raw_os_error()) {
            (io::ErrorKind::AlreadyExists, _) => "it already exists".to_owned(),
            // An error of this module.
            (io::ErrorKind::Other, None) => error.to_string(),
            (kind, _) => kind.to_string(),
        };
        Failure::Message(format!(
            "error: failed to write {}: {reason}",
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
    // Devices and pipes are written to, not replaced.
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
    // For a symbolic link, the file that it points to.
    let path = &path.canonicalize().unwrap_or_else(|_| path.to_owned());
    replace(path, text, existing)
}

/// Replaces a file that is not a symbolic link.
fn replace(path: &Path, text: &[u8], existing: Existing) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(directory)?;
    // The new file gets the permissions of the old one.
    let kept = path.metadata().ok().map(|kind| kind.permissions());
    let fill = |file: &mut std::fs::File| -> io::Result<()> {
        file.write_all(text)?;
        if let Some(permissions) = &kept {
            file.set_permissions(permissions.clone())?;
        }
        // Without a sync the name could reach the disk before the text.
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
        // Restricted by the process's umask.
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

/// Unnamed files, which vanish if the command ends before they are linked.
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

    /// Makes an unnamed file, if the file system supports it.
    pub(super) fn file(directory: &Path) -> Option<File> {
        let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        // Restricted by the process's umask.
        let mode = Mode::from_raw_mode(0o666);
        rustix::fs::open(directory, flags, mode)
            .ok()
            .map(File::from)
    }

    /// Links the file to its path. Returns `false` if that is impossible, such as without `/proc`.
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
        // linkat() cannot replace an existing name, but rename() can: the file gets a hidden name
        // first. A lock on the directory serialises commands; the kernel releases it when its
        // holder ends.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let turn = rustix::fs::open(directory, flags, Mode::empty())?;
        let lock = || rustix::fs::flock(&turn, FlockOperation::LockExclusive);
        if rustix::io::retry_on_intr(lock).is_err() {
            return Ok(false);
        }
        let mut hash = DefaultHasher::new();
        path.file_name().hash(&mut hash);
        let hidden = directory.join(format!(".fourtuple-{:016x}.tmp", hash.finish()));
        // Left behind by a command that was killed between the next two calls.
        let _ = std::fs::remove_file(&hidden);
        link(&hidden)?;
        std::fs::rename(&hidden, path).inspect_err(|_| {
            let _ = std::fs::remove_file(&hidden);
        })?;
        Ok(true)
    }
}
