//! The socket that accepts connections.

use crate::connections::Connections;
use crate::http::serve_connection;
use crate::{Bounds, LiveTls, PassedSockets};
use anyhow::{Context, Result};
use axum::Router;
use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tracing::warn;

/// The longest interval between two searches for overdue connections; a quarter of their time limit if that is shorter.
const SWEEP_INTERVAL_MAX: Duration = Duration::from_secs(1);
/// The shortest interval between two searches.
const SWEEP_INTERVAL_MIN: Duration = Duration::from_millis(10);
/// The pause after the system refused a connection, for lack of file descriptors for example.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);
/// The time between two warnings about a shortage of connections.
const WARN_INTERVAL: Duration = Duration::from_secs(60);

/// A listening socket with its connections.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    tls: LiveTls,
    connections: Arc<Connections>,
    head_timeout: Duration,
}

impl Listener {
    /// Listens on an address, with the socket that was passed for it if there is one.
    ///
    /// # Errors
    /// Returns an error if another program listens there, or the address does not belong to this machine.
    pub async fn open(address: SocketAddr, passed: &mut PassedSockets, tls: LiveTls, bounds: Bounds) -> Result<Self> {
        let tcp = match passed.take(address)? {
            Some(socket) => TcpListener::from_std(socket),
            None => TcpListener::bind(address).await,
        };
        let tcp = tcp.with_context(|| format!("cannot listen on {address}; is another program there?"))?;
        let connections = Arc::new(Connections::new(bounds.connections));
        Ok(Self { tcp, tls, connections, head_timeout: bounds.head_timeout })
    }

    /// Returns the address of the socket, with the port that the system chose for port 0.
    ///
    /// # Errors
    /// Returns an error if the system does not provide the address.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// Serves until `stopped` is true, and returns when the requests in flight are answered.
    pub async fn serve(self, router: Router, mut stopped: watch::Receiver<bool>) {
        tokio::select! {
            () = self.accept(&router) => {}
            _ = stopped.wait_for(|stopped| *stopped) => {}
        }
        drop(self.tcp);
        self.connections.shut_down().await;
    }

    async fn accept(&self, router: &Router) {
        let mut sweeps = interval((self.head_timeout / 4).clamp(SWEEP_INTERVAL_MIN, SWEEP_INTERVAL_MAX));
        sweeps.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut warned_at = None;
        loop {
            let accepted = tokio::select! {
                accepted = self.tcp.accept() => accepted,
                _ = sweeps.tick() => {
                    self.connections.close_overdue(self.head_timeout);
                    continue;
                }
            };
            match accepted {
                Ok((tcp, peer)) => {
                    if self.connections.are_full() {
                        warn_sometimes(
                            &mut warned_at,
                            "the limit of open connections is reached; new connections replace those that have waited longest",
                        );
                    }
                    let slot = self.connections.open().await;
                    tokio::spawn(serve_connection(tcp, peer, self.tls.current(), router.clone(), slot));
                }
                Err(error) if is_connection_error(&error) => {}
                Err(error) => {
                    warn_sometimes(&mut warned_at, &format!("cannot accept connections: {error}"));
                    self.connections.close_longest_waiting();
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

fn warn_sometimes(warned_at: &mut Option<Instant>, text: &str) {
    if warned_at.is_none_or(|at| at.elapsed() >= WARN_INTERVAL) {
        *warned_at = Some(Instant::now());
        warn!("{text}");
    }
}

/// Returns whether an error concerns only the connection that was being accepted, which no longer exists.
fn is_connection_error(error: &Error) -> bool {
    use ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionRefused | ConnectionAborted | ConnectionReset | Interrupted)
}
