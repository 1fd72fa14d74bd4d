//! A first start with all bundled plugins, and the processor time of the host while nothing happens.

use super::load::SECRET;
use super::precompiled;
use super::server::{self, Server};
use std::time::{Duration, Instant};

/// The time after which the threads of the start have ended.
const SETTLE: Duration = Duration::from_secs(15);
const REST: Duration = Duration::from_secs(30);

pub fn run() {
    let bundled = precompiled::bundled();
    println!("\n{} bundled plugins with their compiled code", bundled.len());
    let plugins = precompiled::folder("scale-bundled", bundled);
    let source = format!("sources: {{ crowdstrike: {{ secret: \"{SECRET}\" }} }}\n");
    let folder = server::folder(&[], &format!("{}{source}", precompiled::config(&plugins)));
    let started = Instant::now();
    let host = Server::hookmill(folder);
    println!("  {:<44} {:>8.2} s   goal 2", "ready after the first start", started.elapsed().as_secs_f64());
    std::thread::sleep(SETTLE);
    let before = host.thread_times();
    std::thread::sleep(REST);
    let after = host.thread_times();
    let ran = |(thread, time): (&u32, &Duration)| *time - before.get(thread).copied().unwrap_or_default();
    let share = after.iter().map(ran).sum::<Duration>().as_secs_f64() / REST.as_secs_f64();
    println!("  {:<44} {:>8.3} %   goal 0.1", "of one core at rest", share * 100.0);
    println!("  {:<44} {:>8.0} MiB", "memory at rest", host.memory_mib("VmRSS"));
}
