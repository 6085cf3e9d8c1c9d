//! A line on the terminal about work that takes more than a second.

use std::io::IsTerminal as _;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::clean;

/// Work that takes less is not worth a line.
const PATIENCE: Duration = Duration::from_secs(1);
const REDRAW: Duration = Duration::from_millis(200);

/// Shown on standard error if that is a terminal, and only when the work has taken a second. It goes away when it is
/// dropped.
pub(crate) struct Progress {
    bar: ProgressBar,
    /// Closing it tells the thread that the work was done before anybody grew impatient.
    waiting: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// About work of unknown size.
    pub(crate) fn new() -> Self {
        Self::with(ProgressBar::with_draw_target(
            None,
            ProgressDrawTarget::hidden(),
        ))
    }

    /// About so many pieces of work.
    pub(crate) fn of(total: usize) -> Self {
        let total = u64::try_from(total).ok();
        Self::with(ProgressBar::with_draw_target(
            total,
            ProgressDrawTarget::hidden(),
        ))
    }

    fn with(bar: ProgressBar) -> Self {
        let template = match bar.length() {
            Some(_) => "{elapsed} [{bar:30}] {pos}/{len} {wide_msg}",
            None => "{elapsed} {spinner} {wide_msg}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        if !std::io::stderr().is_terminal() {
            return Progress {
                bar,
                waiting: None,
                thread: None,
            };
        }
        let (waiting, done) = mpsc::channel();
        let shown = bar.clone();
        let show = move || {
            if done.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                shown.set_draw_target(ProgressDrawTarget::stderr());
                shown.enable_steady_tick(REDRAW);
            }
        };
        Progress {
            bar,
            waiting: Some(waiting),
            // Where the system has no thread to give, there is no line.
            thread: Builder::new().spawn(show).ok(),
        }
    }

    /// Says what is being done.
    pub(crate) fn show(&self, words: impl Into<String>) {
        self.bar
            .set_message(clean::line(&words.into()).into_owned());
    }

    /// Says how far the work is, and what is being done now.
    pub(crate) fn at(&self, done: usize, words: impl Into<String>) {
        self.bar
            .set_position(u64::try_from(done).unwrap_or(u64::MAX));
        self.show(words);
    }

    /// Takes the line away while something else is written, which may go to the same terminal.
    pub(crate) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        self.bar.suspend(write)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        drop(self.waiting.take());
        if let Some(thread) = self.thread.take() {
            // The thread cannot panic; if it did, the line is all that is lost.
            let _ = thread.join();
        }
        self.bar.finish_and_clear();
    }
}
