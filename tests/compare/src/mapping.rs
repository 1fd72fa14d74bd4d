//! One payload of CrowdStrike, mapped to an incident by each engine.

use crate::{PAYLOADS, engines, expected, payload};
use hookmill_incident::Observable;
use rustix::time::{ClockId, clock_gettime};
use serde::Deserialize;
use std::time::Duration;

/// The rounds of which the median counts.
const ROUNDS: usize = 15;
const ROUND: Duration = Duration::from_millis(100);

/// The fields of an incident that all engines make. Those that run the bundled mapper make more.
#[derive(Debug, Deserialize, PartialEq)]
pub struct Incident {
    pub source_ref: String,
    title: Option<String>,
    description: Option<String>,
    severity: Option<String>,
    occurred_at: Option<String>,
    changed_at: Option<String>,
    external_link: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    observables: Vec<Observable>,
}

/// One engine with one payload.
pub struct Case {
    pub name: &'static str,
    /// The limits of memory and time, and the state that an event finds.
    pub isolation: &'static str,
    pub run: Box<dyn FnMut()>,
}

impl Case {
    /// The processor time of one run in a round, in microseconds.
    fn round(&mut self) -> f64 {
        let (started, mut runs) = (processor_time(), 0);
        while processor_time() - started < ROUND {
            (0..20).for_each(|_| (self.run)());
            runs += 20;
        }
        (processor_time() - started).as_secs_f64() * 1e6 / f64::from(runs)
    }
}

/// The processor time of all threads of this process, which other programs hardly change.
fn processor_time() -> Duration {
    clock_gettime(ClockId::ProcessCPUTime).try_into().unwrap()
}

/// Prints the median processor time of each engine. Rounds of all take turns, so that all see the same machine.
pub fn compare() {
    for (name, _, title) in PAYLOADS {
        let payload = payload(name);
        let mut cases = engines::cases(&payload, &expected(name));
        let mut times = vec![Vec::new(); cases.len()];
        for _ in 0..ROUNDS {
            cases.iter_mut().zip(&mut times).for_each(|(case, times)| times.push(case.round()));
        }
        println!("\n{title} ({} bytes), mapped, processor time, median of {ROUNDS} rounds", payload.len());
        println!("  {:<26} {:>10}   memory, time, state", "", "µs");
        for (Case { name, isolation, .. }, mut times) in cases.iter().zip(times) {
            times.sort_unstable_by(f64::total_cmp);
            println!("  {name:<26} {:>10.2}   {isolation}", times[ROUNDS / 2]);
        }
    }
}
