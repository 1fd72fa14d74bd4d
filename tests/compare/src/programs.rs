//! Programs that take webhooks, each in a process and a folder of its own.

use crate::load::SECRET;
use crate::project;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A program that answers; it ends with this.
pub struct Program {
    child: Child,
    pub address: SocketAddr,
    folder: tempfile::TempDir,
}

impl Program {
    /// Starts a program with a line of the shell, which has `ADDRESS`, `PORT`, `FOLDER`, `MAPPERS` and `SECRET`. Returns none if it
    /// ends.
    pub fn start(line: &str) -> Option<Self> {
        let folder = tempfile::tempdir_in(project("target")).unwrap();
        let plugins = folder.path().join("plugins");
        std::fs::create_dir(&plugins).unwrap();
        std::fs::copy(project("target/plugins/crowdstrike.wasm"), plugins.join("crowdstrike.wasm")).unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", line]).current_dir(folder.path());
        command.env("ADDRESS", address.to_string()).env("PORT", address.port().to_string()).env("SECRET", SECRET);
        command.env("FOLDER", folder.path().canonicalize().unwrap());
        command.env("MAPPERS", project("tests/compare/mappers").canonicalize().unwrap());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut program = Self { child: command.spawn().unwrap(), address, folder };
        while !is_ready(address) {
            if program.child.try_wait().unwrap().is_some() {
                return None;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(program)
    }

    /// The incidents that it has written to its file.
    pub fn lines(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder.path().join("incidents.jsonl")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// The processor time that it and the children that it waited for have used, in seconds.
    pub fn cpu_s(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let ticks = stat.rsplit(')').next().unwrap().split_whitespace().skip(11).take(4);
        ticks.map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / 100.0
    }

    /// The most memory that its own process had, in MiB.
    pub fn memory_mib(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1024.0
    }
}

/// Whether a program answers, and not that it still starts.
fn is_ready(address: SocketAddr) -> bool {
    let answer = || {
        let (mut stream, mut status) = (TcpStream::connect(address)?, [0; 12]);
        stream.write_all(b"GET /readyz HTTP/1.0\r\nhost: localhost\r\n\r\n")?;
        stream.read_exact(&mut status).map(|()| status)
    };
    answer().is_ok_and(|status: [u8; 12]| !status.ends_with(b"503"))
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
