//! A proxy before PostgreSQL that ends connections at a COMMIT.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::spawn;

/// The statement, and the answer to it, end with a zero byte.
const COMMIT: &[u8] = b"COMMIT\0";
/// Of so many commits, one does not reach the server, and the answer to another one does not reach the client.
const CUT_EVERY: usize = 4;

/// The proxy. Its thread ends with the process.
pub struct Proxy {
    folder: tempfile::TempDir,
    cuts: Arc<[AtomicUsize; 2]>,
}

/// The end of a connection.
#[derive(Clone, Copy, PartialEq)]
enum Cut {
    BeforeCommit,
    BeforeAnswer,
}

impl Proxy {
    /// Starts a proxy before the server with this socket.
    pub fn start(server: PathBuf) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join(".s.PGSQL.5432")).unwrap();
        let (cuts, commits) = (Arc::<[AtomicUsize; 2]>::default(), Arc::new(AtomicUsize::new(0)));
        let counted = cuts.clone();
        spawn(move || {
            for client in listener.incoming() {
                let (client, server) = (client.unwrap(), UnixStream::connect(&server).unwrap());
                let link = Link { commits: commits.clone(), cuts: counted.clone() };
                spawn(move || link.run(client, server));
            }
        });
        Self { folder, cuts }
    }

    /// Returns the folder of the socket.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the number of commits that did not reach the server, and of those whose answer did not reach the client.
    pub fn cuts(&self) -> [usize; 2] {
        [0, 1].map(|kind| self.cuts[kind].load(Ordering::SeqCst))
    }
}

/// One connection through the proxy.
struct Link {
    commits: Arc<AtomicUsize>,
    cuts: Arc<[AtomicUsize; 2]>,
}

impl Link {
    fn run(self, mut client: UnixStream, mut server: UnixStream) {
        let mut bytes = vec![0; 1 << 20];
        let answers = Answers::start(&client, &server);
        while let Some(sent) = client.read(&mut bytes).ok().filter(|count| *count > 0).map(|count| &bytes[..count]) {
            let cut = contains(sent, COMMIT).then(|| self.cut()).flatten();
            match cut {
                Some(Cut::BeforeCommit) => break,
                Some(Cut::BeforeAnswer) => answers.end_before_commit(),
                None => {}
            }
            if server.write_all(sent).is_err() || cut.is_some() {
                break;
            }
        }
        answers.wait(&client, &server);
    }

    /// Returns how to end the connection at the next commit, if at all.
    fn cut(&self) -> Option<Cut> {
        let cut = match self.commits.fetch_add(1, Ordering::SeqCst) % CUT_EVERY {
            1 => Cut::BeforeCommit,
            3 => Cut::BeforeAnswer,
            _ => return None,
        };
        self.cuts[usize::from(cut == Cut::BeforeAnswer)].fetch_add(1, Ordering::SeqCst);
        Some(cut)
    }
}

/// The answers of the server on one connection.
struct Answers {
    ends_before_commit: Arc<AtomicUsize>,
    thread: std::thread::JoinHandle<()>,
}

impl Answers {
    fn start(client: &UnixStream, server: &UnixStream) -> Self {
        let (mut client, mut server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        let ends_before_commit = Arc::new(AtomicUsize::new(0));
        let ends = ends_before_commit.clone();
        let thread = spawn(move || {
            let mut bytes = vec![0; 1 << 20];
            while let Some(sent) = server.read(&mut bytes).ok().filter(|count| *count > 0).map(|count| &bytes[..count])
            {
                let ends = ends.load(Ordering::SeqCst) > 0;
                if ends && contains(sent, COMMIT) || !ends && client.write_all(sent).is_err() {
                    break;
                }
            }
            let _ = client.shutdown(Shutdown::Both);
        });
        Self { ends_before_commit, thread }
    }

    /// Passes nothing on any more, and ends the connection when the answer to COMMIT is there.
    fn end_before_commit(&self) {
        self.ends_before_commit.store(1, Ordering::SeqCst);
    }

    fn wait(self, client: &UnixStream, server: &UnixStream) {
        if self.ends_before_commit.load(Ordering::SeqCst) == 0 {
            let _ = client.shutdown(Shutdown::Both);
            let _ = server.shutdown(Shutdown::Both);
        }
        let _ = self.thread.join();
        let _ = server.shutdown(Shutdown::Both);
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
