//! The processes that have descriptors of sockets.

use std::collections::BTreeMap;
use std::fs;

use crate::document::{Process, Socket, printable};

/// Names a process for each socket, by its inode. Processes of other users stay unknown without
/// privileges.
pub(super) fn name(sockets: &mut [(Socket, u64)]) {
    let mut places: BTreeMap<u64, usize> = BTreeMap::new();
    for (n, (_, inode)) in sockets.iter().enumerate() {
        if *inode != 0 {
            places.insert(*inode, n);
        }
    }
    let Ok(all) = fs::read_dir("/proc") else {
        return;
    };
    let mut pids: Vec<u32> = all
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    pids.sort_unstable();
    for pid in pids {
        let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else {
            continue;
        };
        let mut name = None;
        for descriptor in descriptors.flatten() {
            let Some(n) = inode(&descriptor).and_then(|inode| places.get(&inode)) else {
                continue;
            };
            let name = name.get_or_insert_with(|| comm(pid));
            // The first process is named of several that share a socket.
            sockets[*n].0.process.get_or_insert_with(|| Process {
                pid,
                name: name.clone(),
            });
        }
    }
}

/// The inode of a descriptor that is a socket: `socket:[812]`.
fn inode(descriptor: &fs::DirEntry) -> Option<u64> {
    let target = fs::read_link(descriptor.path()).ok()?;
    let number = target
        .to_str()?
        .strip_prefix("socket:[")?
        .strip_suffix(']')?;
    number.parse().ok()
}

/// The name of a process, without control characters.
fn comm(pid: u32) -> String {
    let name = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    let name = String::from_utf8_lossy(&name);
    printable(name.trim_end())
}
