//! Signals to a host that starts or stops, and commands whose output has no reader.

use crate::guest::guest;
use crate::host::Folder;
use crate::outcome::incident;
use crate::receiver::{Receiver, Reply};
use serde_json::json;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

/// SIGHUP while the host starts does not end it: the configuration is read again when the host is up.
#[test]
fn a_hangup_during_the_start_reloads_when_the_host_is_up() {
    let folder = Folder::new("");
    let (pipe, regular) = (folder.path("slow.yaml"), folder.path("hookmill.yaml"));
    let config = std::fs::read(&regular).unwrap();
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut command = folder.hookmill(&["serve", "--config", "slow.yaml"]);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    // Opening the pipe ends when the host reads its configuration, which it does not open before it catches signals.
    let mut writer = std::fs::OpenOptions::new().write(true).open(&pipe).unwrap();
    assert!(Command::new("kill").args(["-HUP", &child.id().to_string()]).status().unwrap().success());
    // The second time, the host reads the file.
    std::fs::rename(&regular, &pipe).unwrap();
    writer.write_all(&config).unwrap();
    drop(writer);
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let is_reloaded = lines.any(|line| line.contains("slow.yaml applied"));
    child.kill().unwrap();
    let status = child.wait().unwrap();
    assert!(is_reloaded, "the host ended: {status}");
}

/// The second signal ends a host that still waits for a slow receiver.
#[tokio::test]
async fn a_second_signal_ends_a_draining_host() {
    for second in ["TERM", "INT"] {
        let slow = Receiver::start([Reply::Never]).await;
        let folder = Folder::new(&format!(
            "drain_timeout: 10m\nsources: {{ lab: {{ scheme: none, plugin: returns }} }}
webhooks: {{ slow: {{ url: \"{}\", allow_networks: [127.0.0.0/8], timeout: 10m }} }}",
            slow.url
        ))
        .with("returns", &guest("returns"));
        let mut host = folder.start().await;
        host.post("lab", incident(json!({"source-ref": second}))).await;
        slow.wait_for(1).await;
        host.terminate();
        host.logs("stopping").await;
        host.signal(second);
        let status = host.end().await;
        assert_eq!(status.code(), Some(if second == "TERM" { 143 } else { 130 }), "{status:?} {:?}", status.signal());
    }
}

/// A command whose output is lost fails and says so.
#[test]
fn output_that_cannot_be_written_is_an_error() {
    let folder = Folder::new("");
    let token = &["token", "create", "--scope", "read"][..];
    for arguments in [&["config"][..], &["--help"], &["--version"], &["demo", "--help"], token, &["token", "list"]] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = folder.hookmill(arguments).stdout(full).output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {errors}");
        assert_eq!(errors, "error: cannot write to stdout: No space left on device (os error 28)\n", "{arguments:?}");
        // There may be no place for the error either.
        let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let status = folder.hookmill(arguments).stdout(full()).stderr(full()).status().unwrap();
        assert_eq!(status.code(), Some(1), "{arguments:?}");
    }
}

/// A command ends quietly if the reader of its output has gone.
#[test]
fn output_without_a_reader_ends_a_command_quietly() {
    let folder = Folder::new("");
    for arguments in [&["config"][..], &["--help"], &["demo", "--help"]] {
        let mut child = folder.hookmill(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let stderr = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok).collect::<String>();
        let status = child.wait().unwrap();
        assert!(status.success() && stderr.is_empty(), "{arguments:?}: {status} {stderr}");
    }
}
