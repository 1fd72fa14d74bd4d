//! A gate between a host and PostgreSQL, which a test closes to cut the connections.

use std::io::copy;
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::spawn;
use tempfile::TempDir;

/// The gate. Its threads end with the process.
pub struct Gate {
    folder: TempDir,
    /// The connections through the gate; `None` while it is closed.
    open: Arc<Mutex<Option<Vec<UnixStream>>>>,
}

impl Gate {
    /// Opens a gate before the server with this socket.
    pub fn new(server: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join(".s.PGSQL.5432")).unwrap();
        let open = Arc::new(Mutex::new(Some(Vec::new())));
        spawn({
            let (open, server) = (open.clone(), server.to_owned());
            move || {
                for client in listener.incoming().map_while(Result::ok) {
                    // A client that comes while the gate is closed finds its connection closed.
                    if let Some(connections) = &mut *open.lock().unwrap() {
                        connections.extend(link(client, &server));
                    }
                }
            }
        });
        Self { folder, open }
    }

    /// Returns the URL of a database through the gate.
    pub fn through(&self, url: &str) -> String {
        let (start, path) = url.split_once('@').unwrap();
        let database = path.rsplit('/').next().unwrap();
        format!("{start}@{}/{database}", self.folder.path().to_str().unwrap().replace('/', "%2F"))
    }

    /// Cuts all connections, and lets none through until the gate is opened.
    pub fn close(&self) {
        for connection in self.open.lock().unwrap().take().unwrap_or_default() {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    pub fn open(&self) {
        *self.open.lock().unwrap() = Some(Vec::new());
    }
}

/// Connects a client with the server, and returns both ends.
fn link(client: UnixStream, server: &Path) -> [UnixStream; 2] {
    let server = UnixStream::connect(server).unwrap();
    for (from, to) in [(&client, &server), (&server, &client)] {
        let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
        spawn(move || {
            let _ = copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Both);
        });
    }
    [client, server]
}
