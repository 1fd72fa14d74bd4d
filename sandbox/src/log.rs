//! The bounded logs of plugins.

use bytes::Bytes;
use std::sync::{Arc, Mutex, PoisonError};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

const LOG_LINES_MAX: usize = 100;
const LOG_BYTES_MAX: usize = 16 * 1024;
const STREAM_WRITE_BYTES_MAX: usize = 4096;

/// One line of a plugin's log.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct LogLine {
    /// `debug`, `info`, `warn` or `error`.
    pub level: &'static str,
    /// The text.
    pub message: String,
}

/// Writes the lines of a plugin's log to the host's log.
pub fn forward_log(request_id: impl std::fmt::Display, plugin: &str, lines: &[LogLine]) {
    for line in lines {
        tracing::info!(%request_id, plugin, plugin_level = line.level, said = line.message);
    }
}

/// The log of one call.
#[derive(Default)]
pub(crate) struct PluginLog {
    lines: Vec<LogLine>,
    bytes: usize,
    dropped: usize,
    /// The incomplete last line of standard output and of standard error.
    unfinished: [(Option<tracing::Level>, Vec<u8>); 2],
}

impl PluginLog {
    /// Adds a line, or counts it if the log is full.
    pub fn push(&mut self, level: tracing::Level, message: &str) {
        if self.lines.len() >= LOG_LINES_MAX || self.bytes + message.len() > LOG_BYTES_MAX {
            self.dropped += 1;
            return;
        }
        self.bytes += message.len();
        let level = match level {
            tracing::Level::ERROR => "error",
            tracing::Level::WARN => "warn",
            tracing::Level::INFO => "info",
            _ => "debug",
        };
        self.lines.push(LogLine { level, message: message.to_owned() });
    }

    /// Adds bytes of standard output or standard error.
    fn stream(&mut self, level: tracing::Level, bytes: &[u8]) {
        let slot = usize::from(level == tracing::Level::WARN);
        self.unfinished[slot].0 = Some(level);
        for &byte in bytes {
            if byte == b'\n' {
                self.finish_line(slot);
            } else if self.unfinished[slot].1.len() < LOG_BYTES_MAX {
                self.unfinished[slot].1.push(byte);
            }
        }
    }

    fn finish_line(&mut self, slot: usize) {
        let (level, bytes) = &mut self.unfinished[slot];
        if let Some(level) = *level {
            let line = std::mem::take(bytes);
            self.push(level, &String::from_utf8_lossy(&line));
        }
    }

    /// Returns the lines, with a last one about dropped lines.
    pub fn finish(mut self) -> Vec<LogLine> {
        for slot in 0..self.unfinished.len() {
            if !self.unfinished[slot].1.is_empty() {
                self.finish_line(slot);
            }
        }
        if self.dropped > 0 {
            let message = format!("{} further lines were dropped", self.dropped);
            self.lines.push(LogLine { level: "warn", message });
        }
        self.lines
    }
}

/// Locks a log, also if a thread panicked while it held the lock.
pub(crate) fn lock(log: &Mutex<PluginLog>) -> std::sync::MutexGuard<'_, PluginLog> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A plugin's standard output or error.
#[derive(Clone)]
pub(crate) struct LogStream(pub Arc<Mutex<PluginLog>>, pub tracing::Level);

impl IsTerminal for LogStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for LogStream {
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for LogStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if bytes.len() > STREAM_WRITE_BYTES_MAX {
            return Err(StreamError::trap("a write is larger than the stream permits"));
        }
        lock(&self.0).stream(self.1, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(STREAM_WRITE_BYTES_MAX)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for LogStream {
    async fn ready(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::{LOG_BYTES_MAX, LOG_LINES_MAX, PluginLog};
    use tracing::Level;

    #[test]
    fn lines_beyond_the_bounds_are_counted() {
        let mut log = PluginLog::default();
        (0..LOG_LINES_MAX + 3).for_each(|line| log.push(Level::INFO, &line.to_string()));
        let lines = log.finish();
        assert_eq!(lines.len(), LOG_LINES_MAX + 1);
        assert_eq!(lines[LOG_LINES_MAX].message, "3 further lines were dropped");

        let mut log = PluginLog::default();
        log.push(Level::ERROR, &"x".repeat(LOG_BYTES_MAX + 1));
        assert_eq!(log.finish()[0].message, "1 further lines were dropped");
    }

    #[test]
    fn streams_are_split_into_lines() {
        let mut log = PluginLog::default();
        log.stream(Level::INFO, b"one\ntw");
        log.stream(Level::WARN, b"error\n");
        log.stream(Level::INFO, b"o");
        let lines: Vec<_> = log.finish().into_iter().map(|line| (line.level, line.message)).collect();
        let expected = [("info", "one"), ("warn", "error"), ("info", "two")];
        assert_eq!(lines, expected.map(|(level, message)| (level, message.to_owned())));
    }
}
