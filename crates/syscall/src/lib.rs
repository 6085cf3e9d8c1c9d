//! The vocabulary that every crate of fourtuple shares: [`Family`], [`Kind`], [`Errno`],
//! [`SockOpt`], [`Shutdown`], [`Syscall`] and [`Outcome`].
//!
//! Nothing is executed here. The kernel model, the scenario format, the interpreter and the
//! programs that run on real kernels name system calls with these types, so that a call is spelled
//! once.
//!
//! The crate has neither `std` nor `alloc` nor dependencies: the guest program of virtual machines
//! compiles it with rustc alone.
#![no_std]

mod addr;
mod errno;
mod option;
mod syscall;
mod value;
mod words;

pub use addr::{canonical, proc_address};
pub use errno::{Errno, UnknownErrno};
pub use option::{Level, OptId, OptInfo, OptionError, SockOpt};
pub use syscall::{Op, Outcome, Returned, Syscall};
pub use value::{Encoded, OptValue, PortRange, Shape, ShortName};
pub use words::{Family, Kind, Shutdown};

/// The files of this crate, by their paths below `src`. The guest program of virtual machines is
/// compiled from them, by rustc alone.
pub const SOURCES: &[(&str, &str)] = &[
    ("addr.rs", include_str!("addr.rs")),
    ("errno.rs", include_str!("errno.rs")),
    ("lib.rs", include_str!("lib.rs")),
    ("option.rs", include_str!("option.rs")),
    ("syscall.rs", include_str!("syscall.rs")),
    ("value.rs", include_str!("value.rs")),
    ("words.rs", include_str!("words.rs")),
];
