//! The order of the modules in each crate.

use crate::imports::{circle, imports, workspace};
use std::collections::BTreeMap;

/// The modules of the host from the lowest to the highest. Modules in the same line do not import each other, except
/// the files of one folder.
const HOST: &[&[&str]] = &[
    &["bodies", "folder_watcher", "metrics", "payload_file", "peer", "rate_limit", "recent_log", "tasks"],
    &["failed_tokens", "loaded", "source", "vault"],
    &["aws", "sources"],
    &["verify"],
    &["handshake", "housekeeping"],
    &["map"],
    &["pipeline"],
    &["release"],
    &["dry_run"],
    &["deliver", "notices", "pull", "remap", "stream", "triage"],
    &["plugin_dry_run"],
    &["config"],
    &["registry"],
    &["host"],
    &["http_error"],
    &["extract", "request_id"],
    &["receive"],
    &["api"],
    &["maintenance"],
    &["reload"],
    &["serve"],
];

#[test]
fn no_file_imports_itself_in_a_circle() {
    let crates = ["cli", "connection", "host", "incident", "listen", "notify", "pem", "sandbox", "signatures", "store"];
    let found = crates.map(|name| (name, circle(&imports(&workspace().join(name).join("src")))));
    let circles: Vec<_> = found.into_iter().filter(|(_, circle)| circle.is_some()).collect();
    assert!(circles.is_empty(), "files import each other in a circle: {circles:?}");
}

#[test]
fn no_module_of_the_host_imports_a_later_one() {
    let place: BTreeMap<&str, usize> =
        HOST.iter().enumerate().flat_map(|(level, names)| names.iter().map(move |name| (*name, level))).collect();
    let top = |module: &str| module.split("::").next().unwrap().to_owned();
    for (module, imported) in imports(&workspace().join("host/src")) {
        let from = top(&module);
        if from == "lib" {
            continue;
        }
        let level = *place.get(from.as_str()).unwrap_or_else(|| panic!("give `{from}` a place in the order"));
        for to in imported.iter().map(|imported| top(imported)).filter(|to| *to != from && to != "lib") {
            assert!(
                place[to.as_str()] < level,
                "`{module}` imports `{to}`, which has the same or a later place in the order"
            );
        }
    }
}
