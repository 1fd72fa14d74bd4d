//! PostgreSQL for tests: one server for each test process, with a database for each test.
//!
//! The server listens only on a Unix socket in a temporary folder. It ends with the process that started it, because its
//! shell then reads the end of its input.

#![allow(clippy::expect_used, clippy::panic, reason = "a test that fails should say so and end")]

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The user that runs the server if the tests run as root, which PostgreSQL refuses.
const USER: &str = "postgres";
const START_MAX: Duration = Duration::from_secs(60);
/// Tests need no data after a crash of the machine.
const SETTINGS: [&str; 6] = [
    "listen_addresses=",
    "fsync=off",
    "full_page_writes=off",
    "max_connections=300",
    "shared_buffers=64MB",
    "unix_socket_permissions=0777",
];

/// Returns what the servers are taken for: the profile of databases in `HOOKMILL_TEST_DATABASE_PROFILE`, or `postgres`. What
/// CockroachDB and YugabyteDB lack is not used with their profiles, so that PostgreSQL runs them too.
pub fn profile() -> String {
    std::env::var("HOOKMILL_TEST_DATABASE_PROFILE").unwrap_or_else(|_| "postgres".to_owned())
}

/// A running server. It ends when this is dropped.
#[derive(Debug)]
pub struct Server {
    folder: PathBuf,
    programs: PathBuf,
    settings: Vec<String>,
    shell: Child,
    databases: AtomicU32,
}

/// Returns the URL of a new, empty database on the server of this process.
pub fn new_database() -> String {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| Server::start(&[])).new_database()
}

impl Server {
    /// Starts a server with further settings, such as `log_statement=all`.
    pub fn start(settings: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("hookmill-postgres-").tempdir().expect("a folder").keep();
        let programs = programs();
        if let Some((user, group)) = server_user() {
            chown(&folder, Some(user), Some(group)).expect("a folder of the server");
        }
        std::fs::set_permissions(&folder, Permissions::from_mode(0o755)).expect("a folder that others enter");
        let initialised = run_as_server(&programs.join("initdb"))
            .args(["--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--username"])
            .arg(USER)
            .arg(folder.join("data"))
            .output()
            .expect("initdb");
        assert!(initialised.status.success(), "initdb: {}", String::from_utf8_lossy(&initialised.stderr));
        let settings: Vec<_> = SETTINGS.iter().chain(settings).map(|setting| (*setting).to_owned()).collect();
        let shell = shell(&folder, &programs, &settings);
        let server = Self { folder, programs, settings, shell, databases: AtomicU32::new(0) };
        server.wait_until_ready();
        server
    }

    /// Creates an empty database and returns its URL.
    pub fn new_database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        self.url(&name)
    }

    /// Returns the URL of a database.
    pub fn url(&self, database: &str) -> String {
        let folder = self.folder.to_str().expect("a path in UTF-8").replace('/', "%2F");
        format!("postgres://{USER}@{folder}/{database}")
    }

    /// Runs statements in a database, and returns the rows of the last one as lines with fields that `|` separates.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        let settings = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"];
        self.run("psql", &[&settings[..], &["--dbname", database, "--command", sql]].concat())
    }

    /// Runs a program of PostgreSQL, such as `pg_dump`, on this server, and returns its output.
    pub fn run(&self, program: &str, arguments: &[&str]) -> String {
        let mut command = Command::new(self.programs.join(program));
        let output = command.args(["--username", USER, "--host"]).arg(&self.folder).args(arguments).output();
        let output = output.expect(program);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// Returns the path of the Unix socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.join(".s.PGSQL.5432")
    }

    /// Stops the server at once, as a crash does, and starts it again.
    pub fn restart(&mut self) {
        self.stop();
        self.start_again();
    }

    /// Stops the server at once, as a crash does.
    pub fn stop(&mut self) {
        let _ = self.shell.stdin.take();
        let _ = self.shell.wait();
    }

    /// Starts a server that was stopped.
    pub fn start_again(&mut self) {
        self.shell = shell(&self.folder, &self.programs, &self.settings);
        self.wait_until_ready();
    }

    fn wait_until_ready(&self) {
        let started = Instant::now();
        loop {
            let mut is_ready = Command::new(self.programs.join("pg_isready"));
            let asked = is_ready.arg("--quiet").arg("--host").arg(&self.folder).status().expect("pg_isready");
            if asked.success() {
                return;
            }
            let log = || std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(started.elapsed() < START_MAX, "PostgreSQL did not start: {}", log());
            sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Starts the shell that runs the server until the input of the shell ends. The server of a process that was killed removes
/// its folder too.
fn shell(folder: &Path, programs: &Path, settings: &[String]) -> Child {
    const SCRIPT: &str = r#"
        folder=$1 parent=$2
        shift 2
        "$@" >"$folder/log" 2>&1 &
        read -r _
        kill -QUIT $!
        wait
        [ -d "/proc/$parent" ] || rm -rf "$folder"
    "#;
    let mut command = run_as_server(Path::new("/bin/sh"));
    command.args(["-c", SCRIPT, "sh"]).arg(folder).arg(std::process::id().to_string());
    command.arg(programs.join("postgres")).arg("-D").arg(folder.join("data")).arg("-k").arg(folder);
    for setting in settings {
        command.args(["-c", setting]);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a shell")
}

/// Returns a command that runs as the user of the server.
fn run_as_server(program: &Path) -> Command {
    let mut command = match server_user() {
        Some((user, group)) => {
            let mut command = Command::new("setpriv");
            command.args([format!("--reuid={user}"), format!("--regid={group}")]).arg("--clear-groups").arg(program);
            command
        }
        None => Command::new(program),
    };
    command.current_dir("/");
    command
}

/// Returns the user and the group that run the server; none if the tests do not run as root.
fn server_user() -> Option<(u32, u32)> {
    if std::fs::metadata("/proc/self").expect("this process").uid() != 0 {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").expect("the list of users");
    let line = users.lines().find(|line| line.split(':').next() == Some(USER)).expect("the user `postgres`");
    let mut numbers = line.split(':').skip(2).map(|field| field.parse().expect("a number"));
    Some((numbers.next()?, numbers.next()?))
}

/// Returns the folder with the newest PostgreSQL of Debian's packages.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL; `./setup` installs it");
    let newest = versions.filter_map(Result::ok).max_by_key(|folder| {
        let name = folder.file_name();
        name.to_str().and_then(|name| name.parse::<u32>().ok())
    });
    newest.expect("a version of PostgreSQL").path().join("bin")
}
