//! Unverified senders that hold memory: slow, stalled and endless bodies.

use crate::guest::guest;
use crate::host::{ADMIN_TOKEN, Folder, Host, eventually};
use crate::wire::Wire;
use reqwest::Method;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

/// The most time in which a well-behaved sender has to be answered, of the 3 s that the strictest vendors wait.
const DEADLINE: Duration = Duration::from_secs(3);
const LARGE: usize = 1_000_000;

/// Sends all but the last byte of large bodies, one from each address.
async fn hold(host: &Host<'_>, source: &str, addresses: impl Iterator<Item = Ipv4Addr>) -> Vec<Wire> {
    let mut wires = Vec::new();
    for address in addresses {
        let mut wire = Wire::from(address, host).await;
        wire.send_head(source, &format!("content-length: {LARGE}\r\n")).await;
        // The host may refuse the body while it is sent.
        let _ = tokio::time::timeout(Duration::from_secs(1), wire.try_send(&vec![b'x'; LARGE - 1])).await;
        wires.push(wire);
    }
    wires
}

/// Posts until the payload is accepted, as senders do.
async fn accepted(host: &Host<'_>, source: &str, address: Ipv4Addr) -> Duration {
    let started = Instant::now();
    eventually("an accepted payload", async || {
        let mut wire = Wire::from(address, host).await;
        (wire.post(source, &vec![b'y'; 100_000]).await.status == 202).then_some(())
    })
    .await;
    started.elapsed()
}

/// Unsigned bodies of one address use their share of the memory; other senders and the API have theirs.
#[tokio::test]
async fn one_address_leaves_memory_to_others() {
    let folder = Folder::new(
        "limits: { body_memory_mib: 8 }
sources: { lab: { scheme: none, plugin: none }, other: { scheme: none, plugin: none } }",
    )
    .with("echo", &guest("echo"));
    let host = folder.start().await;
    let attacker = Ipv4Addr::new(127, 0, 0, 9);
    let held = hold(&host, "lab", std::iter::repeat_n(attacker, 20)).await;
    for source in ["lab", "other"] {
        let started = Instant::now();
        let answer = Wire::from(Ipv4Addr::new(127, 0, 0, 2), &host).await.post(source, &vec![b'y'; 100_000]).await;
        assert_eq!(answer.status, 202, "{source}: {}", answer.body);
        assert!(started.elapsed() < DEADLINE, "{source}: {:?}", started.elapsed());
    }
    drop(held);
}

/// Many addresses together use all memory. Bodies that do not progress give way, also if they send a byte at times.
#[tokio::test]
async fn bodies_without_progress_give_way() {
    let folder = Folder::new(
        "limits: { body_memory_mib: 8 }
sources: { lab: { scheme: none, plugin: none }, other: { scheme: none, plugin: none } }",
    )
    .with("echo", &guest("echo"));
    let host = folder.start().await;
    let addresses = |third: u8| (1..=10).map(move |last| Ipv4Addr::new(127, 0, third, last));
    let mut held = hold(&host, "lab", addresses(1)).await;
    held.extend(hold(&host, "other", addresses(2)).await);
    let sender = Ipv4Addr::new(127, 0, 0, 2);
    for source in ["lab", "other"] {
        let took = accepted(&host, source, sender).await;
        assert!(took < DEADLINE, "{source}: {took:?}");
    }
    // The API has memory of its own.
    let started = Instant::now();
    let answer = host.call(Method::POST, "/api/plugins/echo/run", r#"{"payload": {"a": 1}}"#).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(started.elapsed() < DEADLINE, "{:?}", started.elapsed());
}

/// A body has a least rate, so that single bytes do not keep it alive.
#[tokio::test]
async fn single_bytes_do_not_keep_a_body_alive() {
    let folder = Folder::new("sources: { lab: { scheme: none, plugin: none } }");
    let host = folder.start().await;
    let mut wire = Wire::to(&host).await;
    wire.send_head("lab", "content-length: 100000\r\n").await;
    let refused = eventually("an end of the body", async || {
        let _ = wire.try_send(b"x").await;
        wire.has_answer().then_some(())
    });
    refused.await;
    let answer = wire.answer().await;
    assert_eq!((answer.status, answer.code()), (408, "request_timeout"));
    assert!(answer.body.to_string().contains("too slowly"), "{}", answer.body);
}

/// A shutdown waits a moment for the rest of a body, not for all of `drain_timeout`.
#[tokio::test]
async fn unfinished_bodies_do_not_delay_a_shutdown() {
    let folder = Folder::new("drain_timeout: 5m\nsources: { lab: { scheme: none, plugin: none } }");
    let mut host = folder.start().await;
    let mut wire = Wire::to(&host).await;
    wire.send_head("lab", "content-length: 10\r\n").await;
    wire.send("half").await;
    eventually("the request", async || {
        (host.metric("webhook_received_total{source=\"lab\"}").await == 1.0).then_some(())
    })
    .await;
    host.terminate();
    assert_eq!(host.end().await.code(), Some(0), "{}", host.log());
}

/// Most of a few file descriptors are for connections.
#[tokio::test]
async fn few_descriptors_leave_connections() {
    let folder = Folder::new("admin_listen: 127.0.0.1:0\nsources: { lab: { scheme: none, plugin: none } }");
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "ulimit -n 300; exec \"$0\" serve", env!("CARGO_BIN_EXE_hookmill")]);
    command.current_dir(folder.path("")).env_clear().env("NO_COLOR", "1");
    let host = folder.start_listening_by(&mut command).await;
    host.logs("it takes 169 connections").await;
    let mut wires = Wire::to_each(&host, 100).await;
    for wire in &mut wires {
        assert_eq!(wire.post("lab", b"{}").await.status, 202);
    }
    assert!(wires.iter().all(|wire| !wire.is_closed()));
    assert!(!host.log().contains(ADMIN_TOKEN));
}
