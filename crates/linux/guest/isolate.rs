//! The guest as an ordinary process: in namespaces of its own, ended together with the process that
//! started it.

use crate::Memory;
use crate::program::{hello, serve};
use crate::sys::{self, PollFd, Res};
use crate::wire::{HELLO_ONE_UID, STAGE_FORK, STAGE_NAMESPACES, STAGE_PROC, STAGE_USER_MAP};

const INPUT: i32 = 0;
const OUTPUT: i32 = 1;

/// Forks. The worker is the first process of its PID namespace, so the kernel kills everything in
/// there with it. The watcher stays outside; once the other end of the input is closed, for
/// whatever reason, it kills the worker.
pub fn run(memory: &mut Memory) -> ! {
    // Each CPU has a queue of packets between the processes of a program. On a busy machine one
    // queue is emptied later than another, so that an acknowledgement arrives behind a FIN that was
    // sent after it: the TIME-WAIT answers it, the closed end answers that with a reset, and the
    // TIME-WAIT is gone. With a single CPU packets keep their order.
    let _ = sys::stay_on_cpu();
    let flags = match namespaces() {
        Ok(flags) => flags,
        Err((stage, e)) => give_up(stage, e),
    };
    let alive = match sys::pipe() {
        Ok(alive) => alive,
        Err(e) => give_up(STAGE_FORK, e),
    };
    match sys::fork() {
        Err(e) => give_up(STAGE_FORK, e),
        Ok(0) => {
            let _ = sys::close(alive[0]);
            work(memory, flags)
        }
        Ok(pid) => {
            let _ = sys::close(alive[1]);
            let _ = sys::close(OUTPUT);
            watch(pid, alive[0])
        }
    }
}

fn give_up(stage: u8, e: i32) -> ! {
    hello(OUTPUT, stage, e, 0);
    sys::exit(1)
}

/// Makes network, mount and PID namespaces; without the rights for that, inside a new user
/// namespace.
fn namespaces() -> Result<u8, (u8, i32)> {
    let wanted = sys::NEWNS | sys::NEWPID | sys::NEWNET;
    if sys::unshare(wanted).is_ok() {
        return Ok(0);
    }
    let (uid, gid) = (sys::geteuid(), sys::getegid());
    sys::unshare(sys::NEWUSER | wanted).map_err(|e| (STAGE_NAMESPACES, e))?;
    // Kernels before 3.19 do not have this file, nor need it.
    let _ = put(b"/proc/self/setgroups\0", b"deny");
    map(b"/proc/self/uid_map\0", uid).map_err(|e| (STAGE_USER_MAP, e))?;
    map(b"/proc/self/gid_map\0", gid).map_err(|e| (STAGE_USER_MAP, e))?;
    Ok(HELLO_ONE_UID)
}

fn put(path: &[u8], text: &[u8]) -> Res<usize> {
    let fd = sys::open(path, sys::O_WRONLY)?;
    let r = sys::write(fd, text);
    let _ = sys::close(fd);
    r
}

/// Maps only `id`, to 0.
fn map(path: &[u8], id: u32) -> Res<usize> {
    let mut text = *b"0 0000000000 1";
    let mut n = id;
    for digit in text[2..12].iter_mut().rev() {
        *digit = b'0' + (n % 10) as u8;
        n /= 10;
    }
    put(path, &text)
}

fn work(memory: &mut Memory, flags: u8) -> ! {
    let _ = sys::prctl(sys::PR_SET_PDEATHSIG, 9);
    // Mounts here must not propagate outside. A new /proc is needed where the existing one is
    // read-only, as in containers; where it cannot be mounted, the old one has to do.
    let _ = sys::mount(b"none\0", b"/\0", b"none\0", sys::MS_REC | sys::MS_PRIVATE);
    let _ = sys::mount(b"proc\0", b"/proc\0", b"proc\0", 0);
    match sys::open(b"/proc/sys/net/ipv4/ip_local_port_range\0", sys::O_RDWR) {
        Ok(fd) => {
            let _ = sys::close(fd);
        }
        Err(e) => give_up(STAGE_PROC, e),
    }
    serve(memory, INPUT, OUTPUT, flags);
    sys::exit(0)
}

fn watch(pid: i32, alive: i32) -> ! {
    // No events are requested: POLLHUP is always reported.
    let mut fds = [
        PollFd {
            fd: INPUT,
            events: 0,
            revents: 0,
        },
        PollFd {
            fd: alive,
            events: 0,
            revents: 0,
        },
    ];
    let _ = sys::poll(&mut fds);
    let _ = sys::kill(pid);
    let status = sys::wait(pid).unwrap_or(0);
    sys::exit((status >> 8) & 0xff)
}
