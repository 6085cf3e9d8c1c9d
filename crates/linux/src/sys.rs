//! System calls of the host side that std does not provide.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

/// Makes an anonymous file in memory, freed when the last process closes it.
pub(crate) fn memory_file(content: &[u8]) -> io::Result<File> {
    let name = c"fourtuple";
    let flags = libc::MFD_CLOEXEC;
    // Since Linux 6.3 an executable memory file should be marked as such; older kernels reject the
    // flag.
    let mut fd = -1;
    for flags in [flags | libc::MFD_EXEC, flags] {
        // SAFETY: the name is NUL-terminated, and the call does not keep a reference to it.
        fd = unsafe { libc::memfd_create(name.as_ptr(), flags) };
        if fd >= 0 {
            break;
        }
    }
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just made and has no other owner.
    let mut file = unsafe { File::from_raw_fd(fd) };
    file.write_all(content)?;
    Ok(file)
}

/// The path by which this process, and a child between fork and exec, can open the file.
pub(crate) fn path_of(file: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// Lets the child of `command` inherit these files under the same numbers, and kills it when the
/// thread that starts it ends.
pub(crate) fn tie(command: &mut Command, files: &[&File]) {
    let fds: Vec<_> = files.iter().map(|f| f.as_raw_fd()).collect();
    let parent = std::process::id();
    let set_up = move || {
        for &fd in &fds {
            // SAFETY: changes a flag of the child's own descriptor.
            if unsafe { libc::fcntl(fd, libc::F_SETFD, 0) } < 0 {
                return Err(io::Error::last_os_error());
            }
        }
        // SAFETY: the arguments are plain numbers. The parent may have died before prctl(); then
        // getppid() returns another process.
        let alone = unsafe {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong);
            libc::getppid() as u32 != parent
        };
        if alone {
            Err(io::Error::other("the parent has died"))
        } else {
            Ok(())
        }
    };
    // SAFETY: between fork and exec only system calls are made, and `fds` was allocated before.
    unsafe { command.pre_exec(set_up) };
}
