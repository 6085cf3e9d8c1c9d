//! A line on the terminal about work that takes more than a second.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// Shown on standard error if that is a terminal, and only when the work has taken a second.
pub(crate) struct Progress {
    terminal: bool,
    next: Instant,
    shown: bool,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Progress {
            terminal: std::io::stderr().is_terminal(),
            next: Instant::now() + Duration::from_secs(1),
            shown: false,
        }
    }

    /// Says how far the work is.
    pub(crate) fn show(&mut self, words: &str) {
        if self.terminal && Instant::now() >= self.next {
            self.next = Instant::now() + Duration::from_millis(200);
            self.shown = true;
            let _ = write!(std::io::stderr(), "\r\x1b[K{words}");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
