//! Raw Linux system calls. There is no C library because its start-up code refuses kernels older
//! than 3.2.
//!
//! Only calls that both architectures have are used, hence no `open`, `fork` or `poll`.

use core::arch::asm;

/// An errno, always positive.
pub type Errno = i32;
pub type Res<T> = Result<T, Errno>;

pub const EAGAIN: Errno = 11;
pub const EINVAL: Errno = 22;
pub const EIO: Errno = 5;
pub const EMFILE: Errno = 24;
pub const ETIMEDOUT: Errno = 110;
pub const EALREADY: Errno = 114;
pub const EINPROGRESS: Errno = 115;

#[cfg(target_arch = "x86_64")]
mod nr {
    pub const READ: usize = 0;
    pub const WRITE: usize = 1;
    pub const CLOSE: usize = 3;
    pub const IOCTL: usize = 16;
    pub const NANOSLEEP: usize = 35;
    pub const GETPID: usize = 39;
    pub const SOCKET: usize = 41;
    pub const CONNECT: usize = 42;
    pub const ACCEPT: usize = 43;
    pub const SENDTO: usize = 44;
    pub const RECVFROM: usize = 45;
    pub const SHUTDOWN: usize = 48;
    pub const BIND: usize = 49;
    pub const LISTEN: usize = 50;
    pub const GETSOCKNAME: usize = 51;
    pub const GETPEERNAME: usize = 52;
    pub const SETSOCKOPT: usize = 54;
    pub const CLONE: usize = 56;
    pub const WAIT4: usize = 61;
    pub const KILL: usize = 62;
    pub const UNAME: usize = 63;
    pub const FCNTL: usize = 72;
    pub const GETRLIMIT: usize = 97;
    pub const GETEUID: usize = 107;
    pub const GETEGID: usize = 108;
    pub const SETRESUID: usize = 117;
    pub const PRCTL: usize = 157;
    pub const SETRLIMIT: usize = 160;
    pub const MOUNT: usize = 165;
    pub const REBOOT: usize = 169;
    pub const INIT_MODULE: usize = 175;
    pub const SCHED_SETAFFINITY: usize = 203;
    pub const CLOCK_GETTIME: usize = 228;
    pub const EXIT_GROUP: usize = 231;
    pub const OPENAT: usize = 257;
    pub const MKDIRAT: usize = 258;
    pub const PPOLL: usize = 271;
    pub const UNSHARE: usize = 272;
    pub const PIPE2: usize = 293;
    pub const GETCPU: usize = 309;
}

#[cfg(target_arch = "aarch64")]
mod nr {
    pub const FCNTL: usize = 25;
    pub const IOCTL: usize = 29;
    pub const MKDIRAT: usize = 34;
    pub const MOUNT: usize = 40;
    pub const OPENAT: usize = 56;
    pub const CLOSE: usize = 57;
    pub const PIPE2: usize = 59;
    pub const READ: usize = 63;
    pub const WRITE: usize = 64;
    pub const PPOLL: usize = 73;
    pub const EXIT_GROUP: usize = 94;
    pub const UNSHARE: usize = 97;
    pub const NANOSLEEP: usize = 101;
    pub const INIT_MODULE: usize = 105;
    pub const CLOCK_GETTIME: usize = 113;
    pub const SCHED_SETAFFINITY: usize = 122;
    pub const KILL: usize = 129;
    pub const REBOOT: usize = 142;
    pub const SETRESUID: usize = 147;
    pub const UNAME: usize = 160;
    pub const GETRLIMIT: usize = 163;
    pub const SETRLIMIT: usize = 164;
    pub const PRCTL: usize = 167;
    pub const GETCPU: usize = 168;
    pub const GETPID: usize = 172;
    pub const GETEUID: usize = 175;
    pub const GETEGID: usize = 177;
    pub const SOCKET: usize = 198;
    pub const BIND: usize = 200;
    pub const LISTEN: usize = 201;
    pub const ACCEPT: usize = 202;
    pub const CONNECT: usize = 203;
    pub const GETSOCKNAME: usize = 204;
    pub const GETPEERNAME: usize = 205;
    pub const SENDTO: usize = 206;
    pub const RECVFROM: usize = 207;
    pub const SETSOCKOPT: usize = 208;
    pub const SHUTDOWN: usize = 210;
    pub const CLONE: usize = 220;
    pub const WAIT4: usize = 260;
}

#[cfg(target_arch = "x86_64")]
unsafe fn call(n: usize, a: [usize; 6]) -> isize {
    let r: isize;
    // SAFETY: the kernel's calling convention; it clobbers rcx and r11 and touches only memory that
    // the arguments point to, for which the caller vouches.
    unsafe {
        asm!("syscall", inlateout("rax") n as isize => r,
            in("rdi") a[0], in("rsi") a[1], in("rdx") a[2], in("r10") a[3], in("r8") a[4], in("r9") a[5],
            lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    r
}

#[cfg(target_arch = "aarch64")]
unsafe fn call(n: usize, a: [usize; 6]) -> isize {
    let r: isize;
    // SAFETY: the kernel's calling convention; it touches only memory that the arguments point to,
    // for which the caller vouches.
    unsafe {
        asm!("svc 0", in("x8") n, inlateout("x0") a[0] as isize => r,
            in("x1") a[1], in("x2") a[2], in("x3") a[3], in("x4") a[4], in("x5") a[5], options(nostack));
    }
    r
}

fn check(r: isize) -> Res<usize> {
    if r < 0 && r > -4096 {
        Err(-r as Errno)
    } else {
        Ok(r as usize)
    }
}

/// A call whose arguments are plain numbers.
fn plain(n: usize, a: [usize; 6]) -> Res<usize> {
    // SAFETY: only used for calls none of whose arguments is a pointer to anything.
    check(unsafe { call(n, a) })
}

/// A call with `p` as argument number `at`; the kernel only reads it.
fn reading(n: usize, mut a: [usize; 6], at: usize, p: *const u8) -> Res<usize> {
    a[at] = p as usize;
    // SAFETY: callers pass a pointer to a live object of the size that the call reads.
    check(unsafe { call(n, a) })
}

/// Checks that the path ends with a NUL.
fn path(p: &[u8]) -> Res<*const u8> {
    if p.last() == Some(&0) {
        Ok(p.as_ptr())
    } else {
        Err(EINVAL)
    }
}

pub fn read(fd: i32, to: &mut [u8]) -> Res<usize> {
    // SAFETY: the kernel writes at most `to.len()` bytes to `to`, which is borrowed mutably.
    check(unsafe {
        call(
            nr::READ,
            [fd as usize, to.as_mut_ptr() as usize, to.len(), 0, 0, 0],
        )
    })
}

pub fn write(fd: i32, from: &[u8]) -> Res<usize> {
    reading(
        nr::WRITE,
        [fd as usize, 0, from.len(), 0, 0, 0],
        1,
        from.as_ptr(),
    )
}

pub fn write_all(fd: i32, mut from: &[u8]) -> Res<()> {
    while !from.is_empty() {
        match write(fd, from)? {
            0 => return Err(EIO),
            n => from = &from[n.min(from.len())..],
        }
    }
    Ok(())
}

pub fn close(fd: i32) -> Res<usize> {
    plain(nr::CLOSE, [fd as usize, 0, 0, 0, 0, 0])
}

pub const O_RDONLY: usize = 0;
pub const O_WRONLY: usize = 1;
pub const O_RDWR: usize = 2;
const O_CLOEXEC: usize = 0o2000000;

pub fn open(p: &[u8], flags: usize) -> Res<i32> {
    let at_fdcwd = -100isize as usize;
    reading(
        nr::OPENAT,
        [at_fdcwd, 0, flags | O_CLOEXEC, 0, 0, 0],
        1,
        path(p)?,
    )
    .map(|fd| fd as i32)
}

pub fn mkdir(p: &[u8]) -> Res<usize> {
    reading(
        nr::MKDIRAT,
        [-100isize as usize, 0, 0o755, 0, 0, 0],
        1,
        path(p)?,
    )
}

/// Changes settings of an open socket or terminal; `arg` is the structure that `request` expects.
pub fn ioctl<T>(fd: i32, request: usize, arg: &mut T) -> Res<usize> {
    // SAFETY: `arg` is the structure that goes with `request`, borrowed mutably.
    check(unsafe {
        call(
            nr::IOCTL,
            [fd as usize, request, arg as *mut T as usize, 0, 0, 0],
        )
    })
}

pub fn ioctl_number(fd: i32, request: usize, arg: usize) -> Res<usize> {
    plain(nr::IOCTL, [fd as usize, request, arg, 0, 0, 0])
}

#[repr(C)]
pub struct Timespec {
    pub sec: i64,
    pub nsec: i64,
}

pub fn sleep_ms(ms: u32) -> Res<usize> {
    let t = Timespec {
        sec: (ms / 1000) as i64,
        nsec: (ms % 1000) as i64 * 1_000_000,
    };
    reading(nr::NANOSLEEP, [0; 6], 0, &raw const t as *const u8)
}

pub fn sleep_ns(ns: u64) -> Res<usize> {
    let t = Timespec {
        sec: (ns / 1_000_000_000) as i64,
        nsec: (ns % 1_000_000_000) as i64,
    };
    reading(nr::NANOSLEEP, [0; 6], 0, &raw const t as *const u8)
}

/// CLOCK_MONOTONIC in microseconds.
pub fn now_us() -> u64 {
    let mut t = Timespec { sec: 0, nsec: 0 };
    // SAFETY: the kernel fills `t`.
    unsafe { call(nr::CLOCK_GETTIME, [1, &raw mut t as usize, 0, 0, 0, 0]) };
    t.sec as u64 * 1_000_000 + t.nsec as u64 / 1000
}

pub fn getpid() -> i32 {
    plain(nr::GETPID, [0; 6]).unwrap_or(0) as i32
}

pub fn geteuid() -> u32 {
    plain(nr::GETEUID, [0; 6]).unwrap_or(0) as u32
}

pub fn getegid() -> u32 {
    plain(nr::GETEGID, [0; 6]).unwrap_or(0) as u32
}

/// Sets the effective user, which owns new sockets. Effective capabilities are lost with root and
/// restored with it.
pub fn seteuid(uid: u32) -> Res<()> {
    // All bits set: the real and the saved user stay unchanged.
    const SAME: usize = u32::MAX as usize;
    plain(nr::SETRESUID, [SAME, uid as usize, SAME, 0, 0, 0]).map(|_| ())
}

/// Starts a child with a copy of this process. Returns `Ok(0)` in the child.
pub fn fork() -> Res<i32> {
    const SIGCHLD: usize = 17;
    plain(nr::CLONE, [SIGCHLD, 0, 0, 0, 0, 0]).map(|pid| pid as i32)
}

/// Waits for a child and returns its wait status.
pub fn wait(pid: i32) -> Res<i32> {
    let mut status = 0i32;
    // SAFETY: the kernel writes one int to `status`.
    check(unsafe {
        call(
            nr::WAIT4,
            [pid as usize, &raw mut status as usize, 0, 0, 0, 0],
        )
    })?;
    Ok(status)
}

pub fn kill(pid: i32) -> Res<usize> {
    plain(nr::KILL, [pid as usize, 9, 0, 0, 0, 0])
}

pub fn exit(code: i32) -> ! {
    loop {
        let _ = plain(nr::EXIT_GROUP, [code as usize, 0, 0, 0, 0, 0]);
    }
}

pub const NEWNS: usize = 0x0002_0000;
pub const NEWUSER: usize = 0x1000_0000;
pub const NEWPID: usize = 0x2000_0000;
pub const NEWNET: usize = 0x4000_0000;

pub fn unshare(flags: usize) -> Res<usize> {
    plain(nr::UNSHARE, [flags, 0, 0, 0, 0, 0])
}

pub const PR_SET_PDEATHSIG: usize = 1;
pub const PR_SET_TIMERSLACK: usize = 29;

pub fn prctl(option: usize, value: usize) -> Res<usize> {
    plain(nr::PRCTL, [option, value, 0, 0, 0, 0])
}

pub const MS_REC: usize = 16384;
pub const MS_PRIVATE: usize = 1 << 18;

/// Keeps this process and its future children on the CPU that it runs on.
pub fn stay_on_cpu() -> Res<usize> {
    let mut cpu = 0u32;
    // SAFETY: the kernel writes one number to `cpu`; the other pointers are null.
    check(unsafe { call(nr::GETCPU, [&raw mut cpu as usize, 0, 0, 0, 0, 0]) })?;
    let mut mask = [0u64; 128];
    match mask.get_mut(cpu as usize / 64) {
        Some(word) => *word |= 1 << (cpu % 64),
        None => return Err(EINVAL),
    }
    let size = core::mem::size_of_val(&mask);
    let a = [0, size, 0, 0, 0, 0];
    reading(nr::SCHED_SETAFFINITY, a, 2, mask.as_ptr().cast())
}

pub fn mount(source: &[u8], target: &[u8], kind: &[u8], flags: usize) -> Res<usize> {
    let (source, target, kind) = (path(source)?, path(target)?, path(kind)?);
    // SAFETY: three strings that end in NUL, which the kernel reads.
    check(unsafe {
        call(
            nr::MOUNT,
            [source as usize, target as usize, kind as usize, flags, 0, 0],
        )
    })
}

/// Stops the machine. With `-no-reboot` a restart ends the emulator on every kernel, unlike a
/// power-off.
pub fn restart() {
    let _ = plain(nr::REBOOT, [0xfee1_dead, 672_274_793, 0x0123_4567, 0, 0, 0]);
}

pub fn init_module(image: &[u8]) -> Res<usize> {
    let none = b"\0";
    // SAFETY: the kernel reads the image and the empty string of parameters.
    check(unsafe {
        call(
            nr::INIT_MODULE,
            [
                image.as_ptr() as usize,
                image.len(),
                none.as_ptr() as usize,
                0,
                0,
                0,
            ],
        )
    })
}

/// Raises the limit of open files as far as possible.
pub fn raise_file_limit() {
    const NOFILE: usize = 7;
    let mut limit = [0u64; 2];
    // SAFETY: the kernel fills two numbers.
    let _ = unsafe { call(nr::GETRLIMIT, [NOFILE, &raw mut limit as usize, 0, 0, 0, 0]) };
    for hard in [1 << 20, 1 << 16, limit[1]] {
        let want = [hard, hard];
        if hard >= limit[0]
            && reading(
                nr::SETRLIMIT,
                [NOFILE, 0, 0, 0, 0, 0],
                1,
                want.as_ptr() as *const u8,
            )
            .is_ok()
        {
            return;
        }
    }
}

pub fn pipe() -> Res<[i32; 2]> {
    let mut fds = [-1i32; 2];
    // SAFETY: the kernel fills two ints.
    check(unsafe {
        call(
            nr::PIPE2,
            [fds.as_mut_ptr() as usize, O_CLOEXEC, 0, 0, 0, 0],
        )
    })?;
    Ok(fds)
}

#[repr(C)]
pub struct PollFd {
    pub fd: i32,
    pub events: i16,
    pub revents: i16,
}

/// Waits until one of `fds` has an event.
pub fn poll(fds: &mut [PollFd]) -> Res<usize> {
    // SAFETY: the kernel reads and writes the entries of `fds`, borrowed mutably.
    check(unsafe {
        call(
            nr::PPOLL,
            [fds.as_mut_ptr() as usize, fds.len(), 0, 0, 0, 0],
        )
    })
}

/// The kernel's release, as bytes without the NUL.
pub fn release(to: &mut [u8; 65]) -> usize {
    let mut names = [[0u8; 65]; 6];
    // SAFETY: `struct new_utsname` is six strings of 65 bytes.
    unsafe { call(nr::UNAME, [names.as_mut_ptr() as usize, 0, 0, 0, 0, 0]) };
    *to = names[2];
    to.iter().position(|&b| b == 0).unwrap_or(to.len())
}

pub const AF_INET: u16 = 2;
pub const AF_INET6: u16 = 10;
pub const AF_NETLINK: u16 = 16;
pub const SOCK_STREAM: usize = 1;
pub const SOCK_DGRAM: usize = 2;
pub const SOCK_RAW: usize = 3;

pub fn socket(family: u16, kind: usize, protocol: usize) -> Res<i32> {
    plain(nr::SOCKET, [family as usize, kind, protocol, 0, 0, 0]).map(|fd| fd as i32)
}

pub fn set_nonblock(fd: i32) -> Res<usize> {
    const F_SETFL: usize = 4;
    const O_NONBLOCK: usize = 0o4000;
    plain(
        nr::FCNTL,
        [fd as usize, F_SETFL, O_NONBLOCK | O_RDWR, 0, 0, 0],
    )
}

pub fn setsockopt(fd: i32, level: i32, option: i32, value: &[u8]) -> Res<usize> {
    let a = [
        fd as usize,
        level as usize,
        option as usize,
        0,
        value.len(),
        0,
    ];
    reading(nr::SETSOCKOPT, a, 3, value.as_ptr())
}

/// Attaches a classic BPF program, which the kernel takes by address.
pub fn attach(fd: i32, level: i32, option: i32, instructions: &[u8]) -> Res<usize> {
    #[repr(C)]
    struct Fprog {
        len: u16,
        filter: *const u8,
    }
    const INSTRUCTION: usize = 8;
    let program = Fprog {
        len: (instructions.len() / INSTRUCTION) as u16,
        filter: instructions.as_ptr(),
    };
    let size = core::mem::size_of::<Fprog>();
    let a = [fd as usize, level as usize, option as usize, 0, size, 0];
    // The instructions are borrowed for the duration of the call.
    reading(nr::SETSOCKOPT, a, 3, (&raw const program).cast())
}

pub fn bind(fd: i32, at: &[u8]) -> Res<usize> {
    reading(
        nr::BIND,
        [fd as usize, 0, at.len(), 0, 0, 0],
        1,
        at.as_ptr(),
    )
}

pub fn connect(fd: i32, to: &[u8]) -> Res<usize> {
    reading(
        nr::CONNECT,
        [fd as usize, 0, to.len(), 0, 0, 0],
        1,
        to.as_ptr(),
    )
}

pub fn listen(fd: i32, backlog: i32) -> Res<usize> {
    plain(nr::LISTEN, [fd as usize, backlog as usize, 0, 0, 0, 0])
}

pub fn shutdown(fd: i32, how: u8) -> Res<usize> {
    plain(nr::SHUTDOWN, [fd as usize, how as usize, 0, 0, 0, 0])
}

/// A socket address in the kernel's layout.
pub type RawAddr = [u8; 28];

fn with_addr(n: usize, fd: i32, to: &mut RawAddr) -> Res<usize> {
    let mut len = to.len() as u32;
    // SAFETY: the kernel writes at most `len` bytes to `to`, and the true length to `len`.
    check(unsafe {
        call(
            n,
            [
                fd as usize,
                to.as_mut_ptr() as usize,
                &raw mut len as usize,
                0,
                0,
                0,
            ],
        )
    })
}

pub fn accept(fd: i32, peer: &mut RawAddr) -> Res<i32> {
    with_addr(nr::ACCEPT, fd, peer).map(|fd| fd as i32)
}

pub fn getsockname(fd: i32, to: &mut RawAddr) -> Res<usize> {
    with_addr(nr::GETSOCKNAME, fd, to)
}

pub fn getpeername(fd: i32, to: &mut RawAddr) -> Res<usize> {
    with_addr(nr::GETPEERNAME, fd, to)
}

pub fn send(fd: i32, from: &[u8]) -> Res<usize> {
    const MSG_NOSIGNAL: usize = 0x4000;
    reading(
        nr::SENDTO,
        [fd as usize, 0, from.len(), MSG_NOSIGNAL, 0, 0],
        1,
        from.as_ptr(),
    )
}

pub fn sendto(fd: i32, from: &[u8], to: &[u8]) -> Res<usize> {
    const MSG_NOSIGNAL: usize = 0x4000;
    let (data, at) = (from.as_ptr() as usize, to.as_ptr() as usize);
    // SAFETY: the kernel reads `from` and `to`, both borrowed, and writes nothing.
    check(unsafe {
        call(
            nr::SENDTO,
            [fd as usize, data, from.len(), MSG_NOSIGNAL, at, to.len()],
        )
    })
}

/// Receives data and its sender's address, which stays zero where the kernel gives none.
pub fn recvfrom(fd: i32, to: &mut [u8], from: &mut RawAddr) -> Res<usize> {
    let mut len = from.len() as u32;
    // SAFETY: the kernel writes at most `to.len()` bytes to `to` and `len` to `from`, both borrowed
    // mutably, and the true length to `len`.
    check(unsafe {
        call(
            nr::RECVFROM,
            [
                fd as usize,
                to.as_mut_ptr() as usize,
                to.len(),
                0,
                from.as_mut_ptr() as usize,
                &raw mut len as usize,
            ],
        )
    })
}

pub fn recv(fd: i32, to: &mut [u8]) -> Res<usize> {
    // SAFETY: the kernel writes at most `to.len()` bytes to `to`, borrowed mutably.
    check(unsafe {
        call(
            nr::RECVFROM,
            [fd as usize, to.as_mut_ptr() as usize, to.len(), 0, 0, 0],
        )
    })
}
