//! The result of one call of a plugin.

use crate::component::Kind;
use crate::guest::MemoryExceeded;
use crate::log::LogLine;
use hookmill_incident::FailureCode;
use std::time::Duration;
use wasmtime::Trap;

/// The length of the end of a log that the message of a trap contains, in bytes.
const LOG_END_BYTES_MAX: usize = 1024;

/// The result of a call, with its log and its use of time and memory.
#[derive(Debug)]
pub struct Call<R> {
    /// The result.
    pub result: R,
    /// The lines that the plugin logged.
    pub log: Vec<LogLine>,
    /// The time from instantiation to the end of the call.
    pub duration: Duration,
    /// The most linear memory that the instance had.
    pub memory_bytes: usize,
}

impl<T> Call<Result<T, CallError>> {
    /// Returns a call that was not made.
    pub(crate) fn refused(error: CallError, duration: Duration) -> Self {
        Self { result: Err(error), log: Vec::new(), duration, memory_bytes: 0 }
    }

    /// Converts the value and keeps the rest.
    pub(crate) fn map_value<U>(self, convert: impl FnOnce(T) -> U) -> Call<Result<U, CallError>> {
        self.map(|result| result.map(convert))
    }
}

impl<R> Call<R> {
    /// Converts the result and keeps the rest.
    pub fn map<U>(self, convert: impl FnOnce(R) -> U) -> Call<U> {
        let Self { result, log, duration, memory_bytes } = self;
        Call { result: convert(result), log, duration, memory_bytes }
    }
}

/// The reason why a call has no result.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// All instances of the plugin are in use; nothing was called.
    #[error("all instances of the plugin are busy")]
    Busy,
    /// The call took too long.
    #[error("the call took longer than {} ms", .0.as_millis())]
    Deadline(Duration),
    /// The instance needs too much memory or too large a table.
    #[error("{0}")]
    Memory(String),
    /// The call returned too much.
    #[error("{0}")]
    Output(String),
    /// The instance trapped.
    #[error("{0}")]
    Trap(String),
    /// The operating system was using the initial memory of the instance; the same call can succeed a moment later.
    #[error("{0}")]
    ImageBusy(String),
    /// The plugin is of another kind; nothing was called.
    #[error("the plugin is a {is}, not a {wanted}")]
    Kind {
        /// The plugin's kind.
        is: Kind,
        /// The kind that the call is for.
        wanted: Kind,
    },
}

impl CallError {
    /// Returns the code of the failure; `None` if the same call can be made later.
    pub fn code(&self) -> Option<FailureCode> {
        match self {
            Self::Busy => None,
            Self::Kind { .. } => Some(FailureCode::Unsupported),
            Self::Deadline(_) => Some(FailureCode::DeadlineExceeded),
            Self::Memory(_) => Some(FailureCode::MemoryExceeded),
            Self::Output(_) => Some(FailureCode::OutputTooLarge),
            Self::Trap(_) | Self::ImageBusy(_) => Some(FailureCode::Trapped),
        }
    }

    /// Returns the kind of an error that ended a call.
    pub(crate) fn of(error: &wasmtime::Error) -> Self {
        if let Some(exceeded) = error.downcast_ref::<MemoryExceeded>() {
            return Self::Memory(exceeded.to_string());
        }
        let is_busy = |cause: &std::io::Error| cause.kind() == std::io::ErrorKind::ResourceBusy;
        if error.chain().any(|cause| cause.downcast_ref().is_some_and(is_busy)) {
            return Self::ImageBusy(format!("{error:#}"));
        }
        // The type of this error is private to the engine, so the error is recognised by its text.
        if error.chain().any(|cause| cause.to_string().contains("fuel allocated for hostcalls has been exhausted")) {
            return Self::Output("the call passes more than `output_mib` to the host".into());
        }
        match error.downcast_ref::<Trap>() {
            Some(Trap::StackOverflow) => Self::Trap("the stack overflowed".into()),
            Some(trap) => Self::Trap(trap.to_string()),
            // The contexts of the cause are the guest's backtrace, which has several lines.
            None => Self::Trap(error.root_cause().to_string()),
        }
    }

    /// Adds the last lines of the plugin's log to a trap. Most languages write the reason of a panic or an uncaught
    /// exception there before they trap.
    pub(crate) fn with_log(self, log: &[LogLine]) -> Self {
        match self {
            Self::Trap(text) if !log.is_empty() => Self::Trap(format!("{text}; its log ends with: {}", end(log))),
            error => error,
        }
    }
}

/// Returns the last lines of a log on one line: as many as fit, and at least the end of the last one.
fn end(log: &[LogLine]) -> String {
    let mut bytes = 0;
    let fits = |line: &&LogLine| {
        bytes += line.message.len();
        bytes <= LOG_END_BYTES_MAX
    };
    let count = log.iter().rev().take_while(fits).count();
    if count == 0 {
        let last = log.last().map_or("", |line| line.message.as_str());
        return last[last.ceil_char_boundary(last.len().saturating_sub(LOG_END_BYTES_MAX))..].to_owned();
    }
    let lines: Vec<&str> = log[log.len() - count..].iter().map(|line| line.message.trim()).collect();
    lines.join(" | ")
}

#[cfg(test)]
mod tests {
    use super::{CallError, LOG_END_BYTES_MAX};
    use crate::guest::MemoryExceeded;
    use crate::log::LogLine;
    use std::io::{Error as IoError, ErrorKind};
    use wasmtime::{Error, Trap, format_err};

    #[test]
    fn errors_of_the_engine_become_the_limit_that_was_reached() {
        let memory =
            CallError::of(&Error::from(MemoryExceeded::Memory { limit_bytes: 64 << 20 }).context("a backtrace"));
        assert!(matches!(memory, CallError::Memory(text) if text == "the call needs more than 64 MiB of memory"));
        let table = CallError::of(&Error::from(MemoryExceeded::Table));
        assert!(
            matches!(table, CallError::Memory(text) if text == "the call needs a table of more than 100000 elements")
        );
        let busy = CallError::of(&Error::from(IoError::from(ErrorKind::ResourceBusy)).context("sealing"));
        assert!(matches!(busy, CallError::ImageBusy(_)));
        let stack = CallError::of(&Error::from(Trap::StackOverflow).context("a backtrace"));
        assert!(matches!(stack, CallError::Trap(text) if text == "the stack overflowed"));
        let other = CallError::of(&format_err!("the cause").context("a backtrace"));
        assert!(matches!(other, CallError::Trap(text) if text == "the cause"));
    }

    #[test]
    fn a_trap_contains_the_end_of_the_log() {
        let line = |message: &str| LogLine { level: "warn", message: message.to_owned() };
        let text = |log: &[LogLine]| CallError::Trap("a trap".into()).with_log(log).to_string();
        assert_eq!(text(&[]), "a trap");
        let long = line(&"x".repeat(LOG_END_BYTES_MAX));
        let lines = [long, line("panicked at mapper.rs:7:9:"), line("  no id")];
        assert_eq!(text(&lines), "a trap; its log ends with: panicked at mapper.rs:7:9: | no id");
        let longer = line(&format!("x{}", "ä".repeat(LOG_END_BYTES_MAX / 2)));
        assert_eq!(text(&[longer]), format!("a trap; its log ends with: {}", "ä".repeat(LOG_END_BYTES_MAX / 2)));
        let deadline = CallError::Deadline(std::time::Duration::from_secs(1)).with_log(&[line("x")]);
        assert_eq!(deadline.to_string(), "the call took longer than 1000 ms");
    }
}
