//! Calls of turmoil's and turmoil-net's sockets, with their errors as errnos.

use fourtuple_syscall::{Errno, Outcome};
use std::any::Any;
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Once;
use std::task::Poll;

thread_local! {
    /// `true` while panics of this thread are expected, and caught.
    static EXPECTED: Cell<bool> = const { Cell::new(false) };
}

/// Runs a closure that may panic, without output on standard error. The error is the panic's text.
pub(super) fn quietly<R>(call: impl FnOnce() -> R) -> Result<R, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let former = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !EXPECTED.get() {
                former(info);
            }
        }));
    });
    let before = EXPECTED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(call));
    EXPECTED.set(before);
    result.map_err(|panic| text(&*panic))
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without a text")
        .to_owned()
}

/// Awaits a call that may panic.
pub(super) async fn call<T>(future: impl Future<Output = io::Result<T>>) -> Result<T, Failed> {
    let mut future = pin!(future);
    poll_fn(|cx| match quietly(|| future.as_mut().poll(cx)) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(result)) => Poll::Ready(result.map_err(Failed::Error)),
        Err(panic) => Poll::Ready(Err(Failed::Panic(panic))),
    })
    .await
}

/// The failure of a call.
#[derive(Debug)]
pub(super) enum Failed {
    Error(io::Error),
    /// A panic, which would have ended the calling task.
    Panic(String),
}

impl Failed {
    /// The outcome of the call.
    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Failed::Panic(_) => PANIC,
            Failed::Error(error) => Outcome::Err(match error.kind() {
                io::ErrorKind::ConnectionRefused => Errno::ECONNREFUSED,
                io::ErrorKind::ConnectionReset => Errno::ECONNRESET,
                io::ErrorKind::AddrInUse => Errno::EADDRINUSE,
                io::ErrorKind::AddrNotAvailable => Errno::EADDRNOTAVAIL,
                io::ErrorKind::BrokenPipe => Errno::EPIPE,
                io::ErrorKind::NotConnected => Errno::ENOTCONN,
                io::ErrorKind::WouldBlock => return Outcome::WouldBlock,
                _ => return Outcome::Unsupported("ERROR"),
            }),
        }
    }
}

/// The outcome of a call that panics.
pub(super) const PANIC: Outcome = Outcome::Unsupported("PANIC");

/// The outcome of a call that the sockets do not have.
pub(super) const INEXPRESSIBLE: Outcome = Outcome::Unsupported("INEXPRESSIBLE");
