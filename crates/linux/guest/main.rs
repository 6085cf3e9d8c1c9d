//! The guest: runs socket programs on the kernel it finds itself on and says what the kernel answered.
//!
//! One static executable without the C library. Started as the first process of a machine (`/init` of an initramfs) it
//! takes its programs from the file `/programs` and answers on the second serial port; started as an ordinary process it makes
//! itself a set of namespaces, takes programs from its standard input and answers on its standard output.
#![no_std]
#![no_main]

mod boot;
mod exec;
mod frame;
mod isolate;
mod link;
mod play;
mod program;
mod start;
mod sys;
#[path = "../src/wire.rs"]
#[allow(dead_code)]
mod wire;

use wire::{MAX_ANSWER, MAX_DATA, MAX_FRAME, MAX_SOCKETS, MAX_STEPS};

/// All memory of the guest. It is zeroed memory of the executable, so a page that is never touched costs nothing.
pub struct Memory {
    pub input: [u8; MAX_FRAME],
    pub output: [u8; MAX_ANSWER],
    pub sockets: exec::Sockets<MAX_SOCKETS>,
    pub data: [u8; MAX_DATA],
    pub ports: program::Ports,
    pub tables: play::Tables,
}

static mut MEMORY: Memory = Memory {
    input: [0; MAX_FRAME],
    output: [0; MAX_ANSWER],
    sockets: exec::Sockets::NONE,
    data: [0; MAX_DATA],
    ports: [0; MAX_STEPS],
    tables: play::Tables::NONE,
};

pub fn main(_argc: usize) -> ! {
    // SAFETY: `main` runs once and there are no threads, so this is the only reference.
    let memory = unsafe { &mut *(&raw mut MEMORY) };
    sys::raise_file_limit();
    // Sleeps end on the tick, not some tens of microseconds later. Kernels without the call do so anyway.
    let _ = sys::prctl(sys::PR_SET_TIMERSLACK, 1);
    if sys::getpid() == 1 {
        boot::run(memory)
    } else {
        isolate::run(memory)
    }
}
