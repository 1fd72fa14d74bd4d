//! Destinations of type `file`.

use crate::guest::guest;
use crate::host::{Folder, eventually};
use crate::outcome::incident;
use serde_json::json;

/// Lines for a pipe or a device are written once; only a file can be synced.
#[tokio::test]
async fn a_file_may_be_a_pipe_or_a_device() {
    let folder = Folder::new("").with("returns", &guest("returns"));
    assert!(std::process::Command::new("mkfifo").arg(folder.path("pipe")).status().unwrap().success());
    folder.configure(
        "sources: { lab: { scheme: none, plugin: returns } }
destinations:
  pipe: { type: file, path: pipe, retry_schedule: [100ms, 100ms, 100ms, 100ms] }
  nothing: { type: file, path: /dev/null, retry_schedule: [] }
  out: { type: file, path: /dev/stdout, retry_schedule: [] }
notifications:
  - { name: n, trigger: any, notify: [{ to: pipe }, { to: nothing }, { to: out }] }
",
    );
    let mut command = folder.hookmill(&["serve"]);
    let output = std::fs::File::create(folder.path("out")).unwrap();
    let host = folder.start_listening_by(command.stdout(output)).await;
    host.ready().await;
    host.post("lab", incident(json!({"source-ref": "a"}))).await;
    // The first attempts find no reader.
    eventually("an attempt without a reader", async || {
        let list = host.list("/api/deliveries?destination=pipe").await;
        list[0].to_string().contains("this pipe has no reader").then_some(())
    })
    .await;
    let path = folder.path("pipe");
    let read = tokio::task::spawn_blocking(move || std::fs::read_to_string(path).unwrap());
    let lines = read.await.unwrap();
    for name in ["pipe", "nothing", "out"] {
        let [done] = &host.settled(&format!("/api/deliveries?destination={name}")).await[..] else { panic!("{name}") };
        assert_eq!(done["status"], "delivered", "{done}");
    }
    for text in [lines, std::fs::read_to_string(folder.path("out")).unwrap()] {
        assert_eq!(text.matches("\"operation\":\"Creation\"").count(), 1, "{text}");
    }
}
