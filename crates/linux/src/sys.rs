//! The few system calls of the host side that std has not got.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

/// A file without a name, in memory, gone with the last process that has it open.
pub(crate) fn memory_file(content: &[u8]) -> io::Result<File> {
    let name = c"fourtuple";
    let flags = libc::MFD_CLOEXEC;
    // Since Linux 6.3 a file that will be executed is to say so; before, the flag was refused.
    let mut fd = -1;
    for flags in [flags | libc::MFD_EXEC, flags] {
        // SAFETY: the name is a string that ends in NUL, and the call keeps no hold of it.
        fd = unsafe { libc::memfd_create(name.as_ptr(), flags) };
        if fd >= 0 {
            break;
        }
    }
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a descriptor that was just made and that nobody else has.
    let mut file = unsafe { File::from_raw_fd(fd) };
    file.write_all(content)?;
    Ok(file)
}

/// The path under which this process, and a child between fork and exec, finds an open file.
pub(crate) fn path_of(file: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// Makes the child of `command` inherit these files, under the same numbers, and die with the thread that starts it.
pub(crate) fn tie(command: &mut Command, files: &[&File]) {
    let fds: Vec<_> = files.iter().map(|f| f.as_raw_fd()).collect();
    let parent = std::process::id();
    let set_up = move || {
        for &fd in &fds {
            // SAFETY: changes a flag of a descriptor of the child's own.
            if unsafe { libc::fcntl(fd, libc::F_SETFD, 0) } < 0 {
                return Err(io::Error::last_os_error());
            }
        }
        // SAFETY: plain numbers. The parent may have died before the call; then its number is no longer the parent's.
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
