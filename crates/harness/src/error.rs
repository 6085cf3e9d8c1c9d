//! The error of engines.

/// The reason why an engine is unable to run a case, in one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct EngineError {
    /// One line without a full stop, such as `turmoil's sockets have no SO_REUSEPORT`.
    pub reason: String,
}

impl EngineError {
    /// Makes the error from its line.
    pub fn new(reason: impl Into<String>) -> Self {
        EngineError {
            reason: reason.into(),
        }
    }
}
