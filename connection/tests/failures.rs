//! The failures of requests to servers and proxies that misbehave.

#![allow(clippy::unwrap_used, reason = "a failing test panics")]

use hookmill_connection::{Authentication, Code, ConnectionOptions, Failure, Request};
use reqwest::Method;
use reqwest::header::HeaderMap;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Starts a server that ends every connection after these bytes, and returns its address.
async fn server(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(answer).await;
        }
    });
    address
}

/// Sends a request and returns its failure. Loopback addresses are allowed.
async fn failure(url: &str, proxy: Option<&str>) -> Failure {
    let options = ConnectionOptions {
        allow_networks: vec!["127.0.0.0/8".parse().unwrap()],
        proxy: proxy.map(|address| format!("http://soc:hunter2@{address}").parse().unwrap()),
        timeout: Some(Duration::from_secs(1)),
        ..ConnectionOptions::default()
    };
    let connection = options.build().unwrap();
    let (url, headers) = (url.parse().unwrap(), HeaderMap::new());
    let request = Request { method: Method::POST, url, headers, body: Vec::new() };
    Authentication::default().send(&connection, request, 0).await.unwrap_err()
}

#[tokio::test]
async fn every_failure_has_a_code_and_a_text() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    // The system accepts connections into the backlog of this socket, and nothing answers them.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_at = silent.local_addr().unwrap();
    let cut = server(b"").await;
    let no_http = server(b"220 mail.example ESMTP\r\n\r\n").await;
    let refuses = server(b"HTTP/1.1 403 No\r\n\r\n").await;
    let asks = server(b"HTTP/1.1 407 Who\r\ncontent-length: 0\r\n\r\n").await;
    // The name is too long, so no name server is queried.
    let no_name = format!("http://{}.invalid/", "x".repeat(64));
    let (http, https) = (format!("http://{silent_at}/"), format!("https://{silent_at}/"));
    for (url, proxy, code, text) in [
        (&no_name, None, Code::Dns, "the name xxx"),
        (&format!("http://{closed}/"), None, Code::Connect, "cannot connect to 127.0.0.1:"),
        (&format!("https://{closed}/"), None, Code::Connect, "cannot connect to 127.0.0.1:"),
        (&http, None, Code::Timeout, "the server did not answer in time (1 s)"),
        (&https, None, Code::Timeout, "no connection was established in time (0.5 s)"),
        (&format!("http://{cut}/"), None, Code::Interrupted, "the connection was cut before the answer"),
        (&format!("https://{cut}/"), None, Code::Tls, "the connection was cut in the TLS handshake"),
        (&format!("http://{no_http}/"), None, Code::Interrupted, "the answer is not HTTP"),
        (&format!("https://{no_http}/"), None, Code::Tls, "the server does not support TLS at this port"),
        (&"http://10.1.2.3./".into(), None, Code::RefusedAddress, "10.1.2.3 is not globally routable"),
        (&"https://10.1.2.3/".into(), Some(&asks), Code::RefusedAddress, "10.1.2.3 is not globally routable"),
        (&http, Some(&asks), Code::Proxy, "the proxy refuses the user name and password"),
        (&https, Some(&asks), Code::Proxy, "the proxy refuses the user name and password"),
        (&https, Some(&refuses), Code::Proxy, "the proxy refuses to connect to the server"),
        (&https, Some(&cut), Code::Proxy, "the proxy closed the connection"),
        (&http, Some(&closed), Code::Connect, "at the proxy: cannot connect to 127.0.0.1:"),
        (&https, Some(&closed), Code::Connect, "at the proxy: cannot connect to 127.0.0.1:"),
    ] {
        let failure = failure(url, proxy.map(String::as_str)).await;
        assert_eq!(failure.code, code, "{url} {proxy:?}: {failure}");
        assert!(failure.text.starts_with(text), "{url} {proxy:?}: {failure}");
        assert!(!failure.text.contains("hunter2"), "{failure}");
    }
}
