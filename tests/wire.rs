//! Connections that send raw bytes.

use crate::host::Host;
use futures_util::FutureExt;
use serde_json::Value;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// An answer as received on a connection.
pub struct Raw {
    pub status: u16,
    pub head: String,
    pub body: Value,
}

impl Raw {
    pub fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_else(|| panic!("no error in {}{}", self.head, self.body))
    }
}

/// A connection to a host that sends raw bytes.
pub struct Wire(pub TcpStream);

impl Wire {
    pub async fn to(host: &Host<'_>) -> Self {
        Self(TcpStream::connect(host.url.strip_prefix("http://").unwrap()).await.unwrap())
    }

    /// Connects from another address of this machine, such as 127.0.0.2.
    pub async fn from(address: impl Into<IpAddr>, host: &Host<'_>) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((address.into(), 0).into()).unwrap();
        let host: SocketAddr = host.url.strip_prefix("http://").unwrap().parse().unwrap();
        Self(socket.connect(host).await.unwrap())
    }

    pub async fn to_each(host: &Host<'_>, count: usize) -> Vec<Self> {
        let mut wires = Vec::with_capacity(count);
        for _ in 0..count {
            wires.push(Self::to(host).await);
        }
        wires
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Sends bytes to a host that may have closed the connection.
    pub async fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.write_all(bytes).await
    }

    /// Returns whether an answer has arrived.
    pub fn has_answer(&self) -> bool {
        self.0.readable().now_or_never().is_some()
    }

    /// Sends the head of a payload with these header lines.
    pub async fn send_head(&mut self, source: &str, headers: &str) {
        self.send(format!("POST /api/webhooks/{source} HTTP/1.1\r\nhost: test\r\n{headers}\r\n")).await;
    }

    /// Sends a whole payload and reads the answer.
    pub async fn post(&mut self, source: &str, body: &[u8]) -> Raw {
        self.send_head(source, &format!("content-length: {}\r\n", body.len())).await;
        self.send(body).await;
        self.answer().await
    }

    /// Reads one answer.
    pub async fn answer(&mut self) -> Raw {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.unwrap_or_else(|error| panic!("{error} after {head:?}")));
        }
        let head = String::from_utf8(head).unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap();
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await.unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Raw { status, head, body: serde_json::from_slice(&body).unwrap_or_default() }
    }

    /// Waits until the host has closed the connection.
    pub async fn closed(&mut self) {
        let closed = async { while self.0.read_u8().await.is_ok() {} };
        tokio::time::timeout(Duration::from_secs(60), closed).await.unwrap();
    }

    /// Returns whether the host has closed the connection.
    pub fn is_closed(&self) -> bool {
        match self.0.try_read(&mut [0]) {
            Ok(0) => true,
            Ok(_) => panic!("bytes that were not requested"),
            Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
        }
    }
}
