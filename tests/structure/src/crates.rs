//! The order of the crates.

use crate::imports::{rust_files, workspace};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Each crate with the crates of this workspace that it may depend on. The folder of a crate is its name without `hookmill-`.
const CRATES: &[(&str, &[&str])] = &[
    ("incident", &[]),
    ("signatures", &[]),
    ("pem", &[]),
    ("notify", &["incident"]),
    ("sandbox", &["incident"]),
    ("connection", &["pem"]),
    ("listen", &["pem"]),
    ("store", &["incident", "notify"]),
    ("host", &["connection", "incident", "listen", "notify", "sandbox", "signatures", "store"]),
    ("cli", &["host", "incident", "sandbox", "signatures", "store"]),
];

/// A library that only one place may name: the crate or folder, and the reason.
const NAMED_ONCE: &[(&str, &str)] = &[("wasmtime", "sandbox/src"), ("rusqlite", "store/src/sqlite")];

/// The number of lines of a file that is not generated.
const LINES_MAX: usize = 450;
/// Folders with generated or installed files.
const NOT_OURS: [&str; 4] = ["bindings", "node_modules", ".venv", "target"];

#[test]
fn crates_depend_only_on_lower_crates() {
    for (folder, allowed) in CRATES {
        let manifest = std::fs::read_to_string(workspace().join(folder).join("Cargo.toml")).unwrap();
        let dependencies = manifest.split("[dev-dependencies]").next().unwrap();
        let used: BTreeSet<&str> = dependencies
            .lines()
            .filter_map(|line| line.strip_prefix("hookmill-")?.strip_suffix(".workspace = true"))
            .collect();
        let allowed: BTreeSet<&str> = allowed.iter().copied().collect();
        assert!(used.is_subset(&allowed), "{folder} may depend on {allowed:?} and depends on {used:?}");
    }
}

#[test]
fn every_crate_of_the_program_has_a_place_in_the_order() {
    let manifest = std::fs::read_to_string(workspace().join("Cargo.toml")).unwrap();
    let members = manifest.lines().find_map(|line| line.strip_prefix("members = ")).unwrap();
    let members = members.split('"').skip(1).step_by(2).filter(|member| !member.contains('/'));
    let known: BTreeSet<&str> = CRATES.iter().map(|(folder, _)| *folder).collect();
    assert_eq!(members.collect::<BTreeSet<_>>(), known);
}

#[test]
fn only_one_place_names_the_engine_and_the_database() {
    for (folder, _) in CRATES {
        for file in rust_files(&workspace().join(folder).join("src")) {
            let text = std::fs::read_to_string(&file).unwrap();
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            let code: String = code.flat_map(|line| [line, "\n"]).collect();
            for (library, place) in NAMED_ONCE {
                let is_there = file.to_str().unwrap().contains(place);
                assert!(is_there || !code.contains(&format!("{library}::")), "{} names {library}", file.display());
            }
        }
    }
}

#[test]
fn no_file_is_too_long() {
    let folders = CRATES.iter().map(|(folder, _)| *folder).chain(["sdk/rust", "plugins", "tests"]);
    let files = folders.flat_map(|folder| rust_files(&workspace().join(folder)));
    let is_ours = |file: &PathBuf| !file.iter().any(|part| NOT_OURS.iter().any(|name| part == *name));
    let lines = files.filter(is_ours).map(|file| (std::fs::read_to_string(&file).unwrap().lines().count(), file));
    let long: Vec<_> = lines.filter(|(lines, _)| *lines > LINES_MAX).collect();
    assert!(long.is_empty(), "split these files by their ideas, at most {LINES_MAX} lines each: {long:#?}");
}
