//! The guest: runs socket programs on the kernel that it is started on and reports the results.
//!
//! A static executable without the C library. As the first process of a machine (`/init` of an
//! initramfs) it reads its programs from the file `/programs` and answers on the second serial
//! port. As an ordinary process it makes its own namespaces, reads programs from its standard input
//! and answers on its standard output.
#![no_std]
#![no_main]

extern crate alloc;

mod boot;
mod exec;
mod frame;
mod isolate;
mod link;
mod memory;
mod play;
mod program;
mod start;
mod sys;
#[path = "../src/wire.rs"]
#[allow(dead_code)]
mod wire;

use wire::{MAX_ANSWER, MAX_DATA, MAX_FRAME, MAX_SOCKETS, MAX_STEPS};

/// All memory of the guest but for its heap. It is zeroed memory of the executable, so a page that
/// is never touched costs nothing.
pub struct Memory {
    pub input: [u8; MAX_FRAME],
    pub output: [u8; MAX_ANSWER],
    pub sockets: exec::Sockets<MAX_SOCKETS>,
    pub data: [u8; MAX_DATA],
    pub ports: program::Ports,
}

static mut MEMORY: Memory = Memory {
    input: [0; MAX_FRAME],
    output: [0; MAX_ANSWER],
    sockets: exec::Sockets::NONE,
    data: [0; MAX_DATA],
    ports: [0; MAX_STEPS],
};

pub fn main(_argc: usize) -> ! {
    // SAFETY: `main` runs once and there are no threads, so this is the only reference.
    let memory = unsafe { &mut *(&raw mut MEMORY) };
    sys::raise_file_limit();
    // Sleeps end on the tick, not tens of microseconds later. Kernels without the option do so
    // anyway.
    let _ = sys::prctl(sys::PR_SET_TIMERSLACK, 1);
    if sys::getpid() == 1 {
        boot::run(memory)
    } else {
        isolate::run(memory)
    }
}
