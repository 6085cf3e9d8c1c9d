//! A dropped guest ends at once. (The only test of its file, as it counts this process's children.)
#![cfg(target_os = "linux")]

mod common;

use common::{HOSTS, descendants, program};

#[test]
fn dropped_guest_is_gone() {
    let Some(mut host) = common::host() else {
        return;
    };
    let _ = host.run(&program(HOSTS, r#"{"op":"socket","sock":"a"}"#));
    // The watcher and the guest itself.
    assert_eq!(descendants(std::process::id()).len(), 2);
    drop(host);
    assert_eq!(descendants(std::process::id()).len(), 0);
}
