//! A progress line on the terminal for work that takes more than a second.

use std::io::IsTerminal as _;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use fourtuple_render::text::clean;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Delay before the line appears.
const PATIENCE: Duration = Duration::from_secs(1);
const REDRAW: Duration = Duration::from_millis(200);

/// A progress line on standard error if that is a terminal, shown after [`PATIENCE`] and removed on
/// drop.
pub(crate) struct Progress {
    bar: ProgressBar,
    /// Closed on drop, which ends the thread before the line appears.
    waiting: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// The progress of work of unknown size.
    pub(crate) fn new() -> Self {
        Self::with(ProgressBar::with_draw_target(
            None,
            ProgressDrawTarget::hidden(),
        ))
    }

    /// The progress of `total` jobs.
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
            // Without a thread there is no line.
            thread: Builder::new().spawn(show).ok(),
        }
    }

    /// Shows the current job.
    pub(crate) fn show(&self, words: impl Into<String>) {
        self.bar
            .set_message(clean::line(&words.into()).into_owned());
    }

    /// Shows the number of finished jobs, and the current one.
    pub(crate) fn at(&self, done: usize, words: impl Into<String>) {
        self.bar
            .set_position(u64::try_from(done).unwrap_or(u64::MAX));
        self.show(words);
    }

    /// Hides the line while other text is written, possibly to the same terminal.
    pub(crate) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        self.bar.suspend(write)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        drop(self.waiting.take());
        if let Some(thread) = self.thread.take() {
            // The thread cannot panic; if it did, only the line would be lost.
            let _ = thread.join();
        }
        self.bar.finish_and_clear();
    }
}
