//! A load of signed, distinct webhooks over kept-alive connections, and its results.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

/// The number of connections that the load uses at the same time.
pub const CONNECTIONS: usize = 64;
/// Threads that keep them busy.
const THREADS: usize = 2;
/// The requests that have the same time in their signature, in seconds as vendors sign.
const SIGNED_IN_A_SECOND: usize = 20_000;
/// The time between two looks at which requests are to be sent.
const RELEASE_EVERY: Duration = Duration::from_micros(150);
/// The secret of the source that is posted to.
pub const SECRET: &str = "a-benchmark-secret-of-32-bytes!!";

/// The results of a load.
#[derive(Default)]
pub struct LoadReport {
    /// Requests that were answered with 202.
    pub accepted: usize,
    /// Requests that were answered otherwise, or not.
    pub failed: usize,
    /// From the first request to the last answer.
    pub elapsed: Duration,
    /// The duration of each request, in ascending order.
    pub latencies: Vec<Duration>,
}

impl LoadReport {
    /// Adds the results of a load before or after this one.
    pub fn add(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.failed += other.failed;
        self.elapsed += other.elapsed;
        self.latencies.extend(other.latencies);
        self.latencies.sort_unstable();
    }

    /// Accepted requests per second.
    pub fn rate(&self) -> f64 {
        self.accepted as f64 / self.elapsed.as_secs_f64()
    }

    /// The latency that this share of the requests stayed under.
    pub fn percentile(&self, share: f64) -> Duration {
        let index = (self.latencies.len() as f64 * share) as usize;
        self.latencies.get(index.min(self.latencies.len().saturating_sub(1))).copied().unwrap_or_default()
    }
}

/// Whole requests to `/api/webhooks/crowdstrike`, signed from now on; each with its own detection id from `first` on.
pub fn requests(payload: &str, placeholder: &str, first: usize, count: usize) -> Arc<Vec<Vec<u8>>> {
    requests_to(&["crowdstrike"], payload, placeholder, (first..first + count).map(|index| 1_000_000 + index))
}

/// Whole requests to some sources in turn, signed from now on, each with its own number behind the placeholder.
pub fn requests_to(
    sources: &[impl AsRef<str>],
    payload: &str,
    placeholder: &str,
    numbers: impl Iterator<Item = usize>,
) -> Arc<Vec<Vec<u8>>> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let keyed = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    let request = |(index, (number, source)): (usize, (usize, &str))| {
        let timestamp = now + (index / SIGNED_IN_A_SECOND) as u64;
        let body = payload.replace(placeholder, &format!("{placeholder}{number}"));
        let mut mac = keyed.clone();
        mac.update(format!("{timestamp}.{body}").as_bytes());
        let signature = hex::encode(mac.finalize().into_bytes());
        format!(
            "POST /api/webhooks/{source} HTTP/1.1\r\nhost: localhost\r\nuser-agent: bench\r\ncontent-type: \
             application/json\r\nx-webhook-timestamp: {timestamp}\r\nx-webhook-signature: sha256={signature}\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    };
    Arc::new(numbers.zip(sources.iter().map(AsRef::as_ref).cycle()).enumerate().map(request).collect())
}

/// Sends every request once and waits for every answer.
pub fn run(address: SocketAddr, requests: &Arc<Vec<Vec<u8>>>) -> LoadReport {
    send(address, requests, None)
}

/// Sends so many requests in a second, however long the answers take. The duration of a request begins when it is to be sent,
/// also if all connections wait for answers then.
pub fn run_at(address: SocketAddr, requests: &Arc<Vec<Vec<u8>>>, rate: f64) -> LoadReport {
    send(address, requests, Some(Duration::from_secs_f64(1.0 / rate)))
}

fn send(address: SocketAddr, requests: &Arc<Vec<Vec<u8>>>, interval: Option<Duration>) -> LoadReport {
    let started = Instant::now();
    let load = Load { address, requests: requests.clone(), next: AtomicUsize::new(0), released: Semaphore::new(0) };
    let load = Arc::new(load);
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let load = load.clone();
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let mut connections = tokio::task::JoinSet::new();
                    for _ in 0..CONNECTIONS / THREADS {
                        connections.spawn(connection(load.clone(), started, interval));
                    }
                    connections.join_all().await
                })
            })
        })
        .collect();
    if let Some(interval) = interval {
        load.release(started, interval);
    }
    let mut report = LoadReport::default();
    threads.into_iter().flat_map(|thread| thread.join().unwrap()).for_each(|part| report.add(part));
    report.elapsed = started.elapsed();
    report
}

/// A load, as its connections share it.
struct Load {
    address: SocketAddr,
    requests: Arc<Vec<Vec<u8>>>,
    next: AtomicUsize,
    /// The requests that may be sent, if they are sent at a rate.
    released: Semaphore,
}

impl Load {
    /// Releases each request at its time. The timers of the runtime have milliseconds, which would count as the host's.
    fn release(&self, started: Instant, interval: Duration) {
        let mut released = 0;
        while released <= self.requests.len() {
            let due = 1 + started.elapsed().div_duration_f64(interval) as usize;
            self.released.add_permits(due - released);
            released = due;
            std::thread::sleep(RELEASE_EVERY);
        }
        self.released.close();
    }
}

async fn connection(load: Arc<Load>, started: Instant, interval: Option<Duration>) -> LoadReport {
    let mut report = LoadReport::default();
    let mut stream = TcpStream::connect(load.address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut buffer = vec![0; 16 * 1024];
    loop {
        if interval.is_some()
            && let Ok(released) = load.released.acquire().await
        {
            released.forget();
        }
        let index = load.next.fetch_add(1, Ordering::Relaxed);
        let Some(request) = load.requests.get(index) else { return report };
        let sent = interval.map_or_else(Instant::now, |interval| started + interval.mul_f64(index as f64));
        if stream.write_all(request).await.is_ok() && accepted(&mut stream, &mut buffer).await {
            report.accepted += 1;
        } else {
            report.failed += 1;
            stream = TcpStream::connect(load.address).await.unwrap();
        }
        report.latencies.push(sent.elapsed());
    }
}

/// Reads one answer; whether it was a 202.
async fn accepted(stream: &mut TcpStream, buffer: &mut [u8]) -> bool {
    let mut filled = 0;
    loop {
        let Ok(read) = stream.read(&mut buffer[filled..]).await else { return false };
        if read == 0 {
            return false;
        }
        filled += read;
        let Some(head) = buffer[..filled].windows(4).position(|bytes| bytes == b"\r\n\r\n") else { continue };
        let text = std::str::from_utf8(&buffer[..head]).unwrap_or_default();
        let mut headers = text.lines().filter_map(|line| line.split_once(": "));
        let length = headers.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        let length = length.and_then(|(_, value)| value.parse::<usize>().ok());
        if filled >= head + 4 + length.unwrap_or(0) {
            return text.starts_with("HTTP/1.1 202");
        }
    }
}
