//! Hookmill beside others, in one run: one mapping in engines that are libraries, and the whole path through programs that take
//! webhooks. `make compare` builds what it needs and runs it.

mod engines;
mod intakes;
#[path = "../../../cli/benches/load.rs"]
#[allow(dead_code, reason = "other benchmarks use the rest")]
mod load;
mod mapping;
mod programs;

use mapping::Incident;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Payloads, the end of the detection's id in each, which a count makes another one, and titles.
const PAYLOADS: [(&str, &str, &str); 2] =
    [("small", ":42", "200-byte payload"), ("large", ":1288490194301", "6 KB payload")];

fn main() {
    let only = std::env::args().nth(1);
    let runs = |half: &str| only.as_deref().is_none_or(|only| only == half);
    if runs("mapping") {
        mapping::compare();
    }
    if runs("intakes") {
        intakes::compare();
    }
}

/// A file of this repository.
fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// A file that `make compare` has built.
fn built(path: &str) -> PathBuf {
    Path::new(&std::env::var_os("COMPARE").expect("`make compare` sets it")).join(path)
}

fn read(path: &str) -> String {
    let file = project(path);
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn payload(name: &str) -> String {
    read(&format!("plugins/crowdstrike/payloads/{name}.json"))
}

/// The incident that a payload makes.
fn expected(name: &str) -> Incident {
    let text = read(&format!("plugins/crowdstrike/payloads/{name}.expected.json"));
    let outcome: serde_json::Value = serde_json::from_str(&text).unwrap();
    Incident::deserialize(&outcome["incidents"][0]).unwrap()
}
