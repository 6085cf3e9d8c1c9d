//! The runtime of a program without the C library: the entry point, the panic handler and the
//! memory functions that the compiler calls.

use crate::sys;
use core::arch::{asm, global_asm};

#[cfg(target_arch = "x86_64")]
global_asm!(
    ".globl _start",
    "_start:",
    "xor ebp, ebp",
    "mov rdi, rsp",
    "and rsp, -16",
    "call {main}",
    "ud2",
    main = sym start,
);

#[cfg(target_arch = "aarch64")]
global_asm!(
    ".globl _start",
    "_start:",
    "mov x29, xzr",
    "mov x30, xzr",
    "mov x0, sp",
    "bl {main}",
    "brk 1",
    main = sym start,
);

/// Called by `_start` with the stack as the kernel laid it out: `argc` comes first.
unsafe extern "C" fn start(stack: *const usize) -> ! {
    // SAFETY: the kernel puts `argc` where the stack pointer pointed at the start.
    let argc = unsafe { *stack };
    crate::main(argc)
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    let _ = sys::write(2, b"fourtuple guest: internal error\n");
    sys::exit(101)
}

/// Referenced by the unwinding tables of the compiled core library; never called, as panics abort.
#[unsafe(no_mangle)]
pub extern "C" fn rust_eh_personality() {}

/// Named by the compiled alloc library, for the same reason.
#[unsafe(no_mangle)]
pub extern "C" fn _Unwind_Resume() -> ! {
    sys::exit(101)
}

// The loops are written as assembly or with volatile access, or the compiler would turn each into a
// call of itself.

/// # Safety
/// As in C: both ranges are valid and do not overlap.
#[unsafe(no_mangle)]
#[cfg(target_arch = "x86_64")]
pub unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
    // SAFETY: the caller vouches for both ranges; the direction flag is clear as the ABI demands.
    unsafe {
        asm!("rep movsb", inout("rcx") n => _, inout("rdi") to => _, inout("rsi") from => _, options(nostack, preserves_flags));
    }
    to
}

/// # Safety
/// As in C: both ranges are valid and do not overlap.
#[unsafe(no_mangle)]
#[cfg(not(target_arch = "x86_64"))]
pub unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
    // SAFETY: the caller vouches for both ranges.
    unsafe { memmove(to, from, n) }
}

/// # Safety
/// As in C: both ranges are valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
    let forward = (to as usize) < from as usize;
    for i in 0..n {
        let i = if forward { i } else { n - 1 - i };
        // SAFETY: `i < n`, and the caller vouches for both ranges.
        unsafe { to.add(i).write_volatile(from.add(i).read_volatile()) };
    }
    to
}

/// # Safety
/// As in C: the range is valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memset(to: *mut u8, byte: i32, n: usize) -> *mut u8 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the caller vouches for the range; the direction flag is clear as the ABI demands.
    unsafe {
        asm!("rep stosb", inout("rcx") n => _, inout("rdi") to => _, in("al") byte as u8, options(nostack, preserves_flags));
    }
    #[cfg(not(target_arch = "x86_64"))]
    for i in 0..n {
        // SAFETY: `i < n`, and the caller vouches for the range.
        unsafe { to.add(i).write_volatile(byte as u8) };
    }
    to
}

/// # Safety
/// As in C: both ranges are valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
    for i in 0..n {
        // SAFETY: `i < n`, and the caller vouches for both ranges.
        let (x, y) = unsafe { (a.add(i).read_volatile(), b.add(i).read_volatile()) };
        if x != y {
            return x as i32 - y as i32;
        }
    }
    0
}

/// # Safety
/// As in C: both ranges are valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
    // SAFETY: the same contract.
    unsafe { memcmp(a, b, n) }
}
