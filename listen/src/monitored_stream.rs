//! A connection's socket, which records whether the client reads what is written.

use crate::connection_state::ConnectionState;
use socket2::SockRef;
use std::io::{IoSlice, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// The amount of unsent data that the system buffers for a client; with more, the host waits for the client. The
/// system's own limit is megabytes for each client that reads slowly.
const UNSENT_BYTES_MAX: u32 = 128 * 1024;

/// The socket of a connection.
pub struct MonitoredStream {
    tcp: TcpStream,
    state: Arc<ConnectionState>,
}

impl MonitoredStream {
    /// Sets the options of the socket.
    pub fn new(tcp: TcpStream, state: Arc<ConnectionState>) -> Self {
        // An error here means that the connection has ended, which the next read reports.
        let _ = tcp.set_nodelay(true);
        let _ = SockRef::from(&tcp).set_tcp_notsent_lowat(UNSENT_BYTES_MAX);
        Self { tcp, state }
    }

    fn record<T>(&self, written: Poll<T>) -> Poll<T> {
        match written.is_pending() {
            true => self.state.set_stalled(),
            false => self.state.set_progressing(),
        }
        written
    }
}

impl AsyncRead for MonitoredStream {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.tcp).poll_read(context, bytes)
    }
}

impl AsyncWrite for MonitoredStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.tcp).poll_write(context, bytes);
        self.record(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.tcp).poll_write_vectored(context, bytes);
        self.record(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(context)
    }
}
