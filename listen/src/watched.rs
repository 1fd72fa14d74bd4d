//! A connection's socket, which notes whether its client takes what is written to it.

use super::connections::Connection;
use socket2::SockRef;
use std::io::{IoSlice, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// How much of what is written the system holds that it has not sent: beyond this a client is waited for. The system's own
/// bound is megabytes, for each client that reads slowly.
const UNSENT_BYTES_MAX: u32 = 128 * 1024;

/// A socket of a connection.
pub(super) struct Watched {
    tcp: TcpStream,
    connection: Arc<Connection>,
}

impl Watched {
    pub fn new(tcp: TcpStream, connection: Arc<Connection>) -> Self {
        // What fails here is a connection that is gone, as reading will show.
        let _ = tcp.set_nodelay(true);
        let _ = SockRef::from(&tcp).set_tcp_notsent_lowat(UNSENT_BYTES_MAX);
        Self { tcp, connection }
    }

    fn note<T>(&self, written: Poll<T>) -> Poll<T> {
        match written.is_pending() {
            true => self.connection.stalls(),
            false => self.connection.moves(),
        }
        written
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.tcp).poll_read(context, bytes)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.tcp).poll_write(context, bytes);
        self.note(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.tcp).poll_write_vectored(context, bytes);
        self.note(written)
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
