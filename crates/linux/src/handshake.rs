//! The handshake of a guest: the kernel that it runs on, or the reason why it cannot run.

use crate::wire::*;
use fourtuple_syscall::Errno;

/// A guest that is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hello {
    /// The release that uname reports.
    pub(crate) release: String,
    /// Sockets cannot belong to different users.
    pub(crate) one_uid: bool,
}

/// Parses a hello frame; the error is one line.
pub(crate) fn parse(frame: &[u8]) -> Result<Hello, String> {
    let strange = || "invalid hello frame from the guest program".to_owned();
    let rest = frame.strip_prefix(&MAGIC).ok_or_else(strange)?;
    let (head, release) = rest.split_first_chunk::<7>().ok_or_else(strange)?;
    let [version, stage, e0, e1, e2, e3, flags] = *head;
    if version != VERSION {
        return Err(strange());
    }
    let errno = Errno::new(i32::from_le_bytes([e0, e1, e2, e3]).unsigned_abs() as u16);
    let reason = match stage {
        STAGE_READY => None,
        STAGE_NAMESPACES => Some("not permitted to make network and user namespaces"),
        STAGE_USER_MAP => Some("not permitted to map a user into a namespace"),
        STAGE_FORK => Some("cannot start a process"),
        STAGE_PROC => Some("failed to write to /proc/sys/net in a namespace"),
        _ => return Err(strange()),
    };
    if let Some(reason) = reason {
        return Err(format!("{reason} ({errno})"));
    }
    let release = String::from_utf8_lossy(release).into_owned();
    Ok(Hello {
        release,
        one_uid: flags & HELLO_ONE_UID != 0,
    })
}
