//! The guest as the first process of a virtual machine.

use crate::program::serve;
use crate::{Memory, link, sys};

/// The input file and the output device. The first serial port is left to the kernel's messages.
const PROGRAMS: &[u8] = b"/programs\0";
const ANSWERS: &[u8] = b"/dev/ttyS1\0";

pub fn run(memory: &mut Memory) -> ! {
    let _ = sys::mkdir(b"/proc\0");
    if sys::mount(b"proc\0", b"/proc\0", b"proc\0", 0).is_err() {
        complain(b"cannot mount /proc\n");
    }
    // If the kernel lacks network namespaces, all programs run in the initial one.
    let _ = link::up(b"lo\0", 0);
    load_modules(memory);
    match (
        sys::open(PROGRAMS, sys::O_RDONLY),
        sys::open(ANSWERS, sys::O_RDWR),
    ) {
        (Ok(programs), Ok(answers)) => {
            make_raw(answers);
            serve(memory, programs, answers, 0);
            drain(answers);
        }
        (Err(_), _) => complain(b"cannot open /programs\n"),
        (_, Err(_)) => complain(b"cannot open the second serial port\n"),
    }
    sys::restart();
    loop {
        // The first process of a machine must not exit.
        let _ = sys::sleep_ms(1000);
    }
}

/// Writes a line to the machine's console.
fn complain(what: &[u8]) {
    let _ = sys::write(2, b"fourtuple guest: ");
    let _ = sys::write(2, what);
}

/// Loads `/modules/00`, `/modules/01` and so on.
fn load_modules(memory: &mut Memory) {
    for number in 0..100 {
        let mut path = *b"/modules/00\0";
        path[9] += number / 10;
        path[10] += number % 10;
        let Ok(fd) = sys::open(&path, sys::O_RDONLY) else {
            return;
        };
        let mut n = 0;
        while let Ok(more @ 1..) = sys::read(fd, &mut memory.input[n..]) {
            n += more;
        }
        let _ = sys::close(fd);
        if sys::init_module(&memory.input[..n]).is_err() {
            complain(b"cannot load a module\n");
        }
    }
}

/// The kernel's `struct termios`.
#[repr(C)]
struct Termios {
    input: u32,
    output: u32,
    control: u32,
    local: u32,
    line: u8,
    characters: [u8; 19],
}

/// Sets the port to raw mode at its highest speed.
fn make_raw(tty: i32) {
    const TCGETS: usize = 0x5401;
    const TCSETS: usize = 0x5402;
    const B115200: u32 = 0o010002;
    const CS8: u32 = 0o60;
    const CREAD: u32 = 0o200;
    const CLOCAL: u32 = 0o4000;
    let mut t = Termios {
        input: 0,
        output: 0,
        control: 0,
        local: 0,
        line: 0,
        characters: [0; 19],
    };
    if sys::ioctl(tty, TCGETS, &mut t).is_ok() {
        (t.input, t.output, t.local) = (0, 0, 0);
        t.control = B115200 | CS8 | CREAD | CLOCAL;
        let _ = sys::ioctl(tty, TCSETS, &mut t);
    }
}

/// Waits until the last byte is sent.
fn drain(tty: i32) {
    const TCSBRK: usize = 0x5409;
    let _ = sys::ioctl_number(tty, TCSBRK, 1);
}
