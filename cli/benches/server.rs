//! Servers of benchmarks, each in a process and a folder of its own.

use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A server; ends with this.
pub struct Server {
    /// Its process.
    pub child: Child,
    /// The address of the server.
    pub address: SocketAddr,
    /// Its folder.
    pub folder: tempfile::TempDir,
}

impl Server {
    /// `hookmill serve` of this build in a folder, ready.
    pub fn hookmill(folder: tempfile::TempDir) -> Self {
        Self::build(env!("CARGO_BIN_EXE_hookmill"), folder)
    }

    /// `hookmill serve` of any build in a folder, ready.
    pub fn build(program: &str, folder: tempfile::TempDir) -> Self {
        let mut command = Command::new(program);
        command.arg("serve").arg("--config").arg(folder.path().join("hookmill.yaml"));
        Self::host(command, folder)
    }

    /// A program that is a host in a folder, ready.
    pub fn host(command: Command, folder: tempfile::TempDir) -> Self {
        let server = Self::start(command, folder);
        while !server.get("/readyz").contains(" 200 ") {
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    /// A program that prints its address on standard error.
    pub fn start(mut command: Command, folder: tempfile::TempDir) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let listening =
            lines.find_map(|line| line.unwrap().split_once("listens on http://").map(|(_, at)| at.to_owned()));
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address: listening.unwrap().split_whitespace().next().unwrap().parse().unwrap(), folder }
    }

    /// The processor time that it has used, in seconds.
    pub fn cpu_s(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let ticks = stat.rsplit(')').next().unwrap().split_whitespace().skip(11).take(2);
        ticks.map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / 100.0
    }

    /// Returns the processor time that each thread has used, by its id: more exact than [`Server::cpu_s`], and without
    /// threads that have ended.
    pub fn thread_times(&self) -> BTreeMap<u32, Duration> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let time = |task: std::fs::DirEntry| {
            let ran = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
            let ns = ran.split_whitespace().next()?.parse().ok()?;
            Some((task.file_name().to_str()?.parse().ok()?, Duration::from_nanos(ns)))
        };
        tasks.filter_map(|task| time(task.ok()?)).collect()
    }

    /// Returns a memory figure of the process in MiB: `VmHWM` is the peak, `VmRSS` the current value.
    pub fn memory_mib(&self, figure: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(figure)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
    }

    /// Lets it stand still, so that another one has the machine.
    pub fn pause(&self) {
        kill_process(Pid::from_child(&self.child), Signal::STOP).unwrap();
    }

    /// Lets it go on.
    pub fn resume(&self) {
        kill_process(Pid::from_child(&self.child), Signal::CONT).unwrap();
    }

    /// A whole answer, head and all.
    pub fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        write!(stream, "GET {path} HTTP/1.0\r\nhost: x\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A bundled mapper.
pub fn plugin_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../target/plugins/{name}.wasm"))
}

/// A folder with these mappers and this configuration, for a host on a port of its own.
pub fn folder(plugins: &[&str], config: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    std::fs::create_dir(folder.path().join("plugins")).unwrap();
    for name in plugins {
        std::fs::copy(plugin_file(name), folder.path().join(format!("plugins/{name}.wasm")))
            .unwrap_or_else(|error| panic!("{name}.wasm: {error}; run `make mappers` first"));
    }
    std::fs::write(folder.path().join("hookmill.yaml"), format!("listen: 127.0.0.1:0\n{config}")).unwrap();
    folder
}
