//! A receiver of deliveries that reads everything and counts the requests, in a process of its own.

use super::server::Server;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Runs the receiver until its process ends.
#[tokio::main(flavor = "current_thread")]
pub async fn serve() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let take = |State(count): State<Arc<AtomicUsize>>, _: axum::body::Bytes| async move {
        count.fetch_add(1, Ordering::Relaxed);
        StatusCode::OK
    };
    let tell = |State(count): State<Arc<AtomicUsize>>| async move { count.load(Ordering::Relaxed).to_string() };
    let router = Router::new().route("/hook", post(take)).route("/count", get(tell)).with_state(count);
    eprintln!("listens on http://{}", listener.local_addr().unwrap());
    axum::serve(listener, router).await.unwrap();
}

/// Starts the receiver: this program, which has to call [`serve`] for the argument `sink`.
pub fn start() -> Server {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg("sink");
    Server::start(command, tempfile::tempdir().unwrap())
}

/// Returns the number of requests so far.
pub fn count(sink: &Server) -> usize {
    sink.get("/count").rsplit("\r\n").next().unwrap().parse().unwrap()
}

/// Waits for a number of requests since the start.
pub fn wait_for(sink: &Server, wanted: usize) {
    while count(sink) < wanted {
        std::thread::sleep(Duration::from_millis(5));
    }
}
