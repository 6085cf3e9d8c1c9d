//! A network namespace of this machine.

mod netlink;
mod processes;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::document::{Document, FORMAT, Socket, Source};
use crate::{Namespace, proc};

/// Sysctls that show how full the connection tracking table is.
const CONNTRACK: &[&str] = &[
    "net.netfilter.nf_conntrack_count",
    "net.netfilter.nf_conntrack_max",
];

/// The longest value of a sysctl: a list of every second port.
const LONGEST_VALUE: usize = 256 * 1024;

/// Captures a namespace. One other than this process's is entered by a thread that ends afterwards.
pub(super) fn capture(namespace: &Namespace) -> Result<Document, String> {
    let Namespace::File(path) = namespace else {
        return here();
    };
    let file = fs::File::open(path)
        .map_err(|error| format!("failed to open {}: {}", path.display(), error.kind()))?;
    let path = path.display().to_string();
    let inside = std::thread::spawn(move || {
        let kind = Some(rustix::thread::LinkNameSpaceType::Network);
        rustix::thread::move_into_link_name_space(file.as_fd(), kind).map_err(|error| {
            format!(
                "failed to enter the network namespace {path}: {}",
                io::Error::from(error).kind()
            )
        })?;
        here()
    });
    inside
        .join()
        .unwrap_or_else(|_| Err("the capture ended unexpectedly".to_owned()))
}

/// Captures the namespace of this thread.
fn here() -> Result<Document, String> {
    let (source, mut found) = match netlink::sockets() {
        Ok(found) => (Source::SockDiag, found),
        Err(_) => (Source::Proc, proc_sockets()?),
    };
    processes::name(&mut found);
    Ok(Document {
        fourtuple_capture: FORMAT,
        kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
            .map_err(|error| format!("failed to read the kernel's release: {}", error.kind()))?
            .trim()
            .to_owned(),
        time: SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs()),
        source,
        sysctl: sysctls(),
        addresses: proc::addresses(&table("fib_trie"), &table("if_inet6")),
        routes: table("route").lines().filter_map(proc::route).collect(),
        sockets: found.into_iter().map(|(socket, _)| socket).collect(),
    })
}

/// A table of the namespace of this thread; empty if the kernel does not have it.
fn table(name: &str) -> String {
    fs::read_to_string(format!("/proc/thread-self/net/{name}")).unwrap_or_default()
}

fn sysctls() -> BTreeMap<String, String> {
    let names = fourtuple_kernel::sysctl_names()
        .into_iter()
        .chain(CONNTRACK.iter().copied());
    let value = |name: &str| {
        let path = format!("/proc/sys/{}", name.replace('.', "/"));
        // The kernel writes a list of ports in one read() and cuts it off at the buffer's end.
        let mut value = vec![0; LONGEST_VALUE];
        let length = fs::File::open(path).ok()?.read(&mut value).ok()?;
        let value = String::from_utf8_lossy(value.get(..length)?);
        let words: Vec<&str> = value.split_whitespace().collect();
        Some((name.to_owned(), words.join(" ")))
    };
    names.filter_map(value).collect()
}

/// The sockets of `/proc/net/tcp` with their inodes, where netlink is not allowed.
fn proc_sockets() -> Result<Vec<(Socket, u64)>, String> {
    let mut all = Vec::new();
    for name in ["tcp", "tcp6"] {
        let path = format!("/proc/thread-self/net/{name}");
        match fs::read_to_string(&path) {
            Ok(text) => all.extend(text.lines().filter_map(proc::socket)),
            // A kernel without IPv6 has no tcp6.
            Err(_) if name == "tcp6" => {}
            Err(error) => return Err(format!("failed to read {path}: {}", error.kind())),
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn both_interfaces_show_a_listener_of_this_process() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let at = listener.local_addr().expect("an address");
        let mine = |(one, _): &&(Socket, u64)| one.state == "LISTEN" && one.local == at;
        let text = proc_sockets().expect("readable");
        assert!(text.iter().any(|one| mine(&one)));
        let document = capture(&Namespace::Own).expect("readable");
        let found = document
            .sockets
            .iter()
            .find(|one| one.state == "LISTEN" && one.local == at)
            .expect("the listener");
        let process = found.process.as_ref().expect("its process");
        assert_eq!(process.pid, std::process::id());
        assert!(document.sysctl.contains_key("net.ipv4.ip_local_port_range"));
    }

    #[test]
    fn a_namespace_that_is_not_there_is_named() {
        let missing = Namespace::File("/proc/0/ns/net".into());
        let said = capture(&missing).expect_err("no such process");
        assert!(said.contains("/proc/0/ns/net"), "{said}");
    }
}
