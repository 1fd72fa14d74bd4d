//! The HTTP/1.1 listener: accepts connections from others, over TLS if configured, within bounds that no client can
//! exhaust.
//!
//! - [`Bounds`] limits how many connections are open and how long each of them may keep the host waiting. The head of a
//!   request is limited to 32 KiB.
//! - When as many connections are open as allowed, the ones that have kept the host waiting longest are closed for new
//!   ones. A request that has arrived completely is always answered.
//! - [`PassedSockets`] are sockets that a service manager opened and keeps open.
//! - [`LiveTls`] is replaceable while the listener serves.
//! - [`Listener::serve`] stops gracefully: requests in flight are answered before it returns.
//!
//! All of this rests on one atomic number per connection, which is read from time to time: a request sets no timer and
//! takes no lock (`connection_state.rs`).
//!
//! This crate does not interpret requests. It passes each request to an [`axum::Router`], with the address of its
//! client as [`ConnectInfo`](axum::extract::ConnectInfo). Limits for bodies and rates belong to the router.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> anyhow::Result<()> {
//! use hookmill_listen::{Bounds, Listener, LiveTls, PassedSockets};
//! use std::time::Duration;
//!
//! let bounds = Bounds { connections: 100, head_timeout: Duration::from_secs(10) };
//! let mut passed = PassedSockets::default();
//! let listener = Listener::open("127.0.0.1:0".parse()?, &mut passed, LiveTls::new(None)?, bounds).await?;
//! let (stop, stopped) = tokio::sync::watch::channel(false);
//! let served = tokio::spawn(listener.serve(axum::Router::new(), stopped));
//! stop.send(true)?;
//! served.await?;
//! # Ok(())
//! # }
//! ```

mod bounds;
mod connection_state;
mod connections;
mod http;
mod listener;
mod monitored_stream;
mod passed_sockets;
mod tls;

pub use bounds::{Bounds, Descriptors};
pub use listener::Listener;
pub use passed_sockets::PassedSockets;
pub use tls::{LiveTls, TlsFiles};
