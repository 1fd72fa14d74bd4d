//! The order of the crates.

use crate::imports::{imports, parse, rust_files, workspace};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of each crate with those of the crates that it may depend on. Crates without an entry are plugins.
const CRATES: &[(&str, &[&str])] = &[
    ("incident", &[]),
    ("signatures", &[]),
    ("pem", &[]),
    ("notify", &["incident"]),
    ("sandbox", &["incident"]),
    ("connection", &["pem", "signatures"]),
    ("listen", &["pem"]),
    ("store", &["incident", "notify"]),
    ("host", &["connection", "incident", "listen", "notify", "sandbox", "signatures", "store"]),
    ("cli", &["host", "incident", "sandbox", "signatures", "store"]),
    ("sdk/rust", &[]),
    ("tests/postgres", &[]),
    ("tests/structure", &[]),
];
const PLUGINS: &str = "plugins/";
const SDK: &str = "sdk/rust";
const OF_A_PLUGIN: &[&str] = &[SDK];

/// Crates of others, by the beginning of their names, that only one crate may depend on.
const USED_ONCE: &[(&str, &str)] =
    &[("wasmtime", "sandbox"), ("rusqlite", "store"), ("tokio-postgres", "store"), ("deadpool", "store")];
/// Further dependencies of tests: the end-to-end tests build guests and look into the database, and start PostgreSQL.
const IN_TESTS: &[(&str, &str)] = &[
    ("cli", "wasmtime"),
    ("cli", "rusqlite"),
    ("cli", "sdk/rust"),
    ("cli", "tests/postgres"),
    ("store", "tests/postgres"),
];

/// The number of lines of a file that is not generated.
const LINES_MAX: usize = 450;
/// Folders with generated or installed files.
const NOT_OURS: [&str; 4] = ["bindings", "node_modules", ".venv", "target"];

/// A crate of the workspace, as cargo describes it.
#[derive(Debug, Deserialize)]
struct Package {
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    /// `dev` or `build`; absent for the others.
    kind: Option<String>,
    /// The folder, if the crate is in the workspace.
    path: Option<PathBuf>,
}

impl Package {
    fn folder(&self) -> &str {
        relative(self.manifest_path.parent().unwrap())
    }
}

impl Dependency {
    /// Returns the folder of a crate of the workspace, the name of any other.
    fn folder_or_name(&self) -> &str {
        self.path.as_deref().map_or(&self.name, relative)
    }
}

fn relative(folder: &Path) -> &str {
    folder.strip_prefix(workspace().canonicalize().unwrap()).unwrap().to_str().unwrap()
}

/// Returns the crates of the workspace.
fn packages() -> Vec<Package> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
    }
    let arguments = ["metadata", "--no-deps", "--offline", "--format-version", "1"];
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(workspace()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice::<Metadata>(&output.stdout).unwrap().packages
}

/// Returns the folders of the crates whose modules have an order: those of the program, and the SDK.
pub fn crates_with_an_order() -> Vec<String> {
    let packages = packages();
    let folders = packages.iter().map(Package::folder).filter(|folder| !folder.contains('/') || *folder == SDK);
    folders.map(str::to_owned).collect()
}

/// Returns what is wrong with a dependency of the crate in `folder`.
fn refusal(folder: &str, dependency: &Dependency) -> Option<String> {
    let known = CRATES.iter().find(|(known, _)| *known == folder).map(|(_, allowed)| *allowed);
    let Some(allowed) = known.or_else(|| folder.starts_with(PLUGINS).then_some(OF_A_PLUGIN)) else {
        return Some(format!("give `{folder}` a place in the order of the crates"));
    };
    let to = dependency.folder_or_name();
    let used_once = USED_ONCE.iter().find(|(name, _)| to.starts_with(name));
    let is_allowed = match used_once {
        Some((_, user)) => *user == folder,
        None => dependency.path.is_none() || allowed.contains(&to),
    };
    let in_tests = dependency.kind.as_deref() == Some("dev") && IN_TESTS.contains(&(folder, to));
    (!is_allowed && !in_tests).then(|| format!("`{folder}` must not depend on `{to}`"))
}

#[test]
fn crates_depend_only_on_lower_crates() {
    let packages = packages();
    let each = packages.iter().flat_map(|package| package.dependencies.iter().map(|to| (package.folder(), to)));
    let refused: Vec<String> = each.filter_map(|(folder, dependency)| refusal(folder, dependency)).collect();
    assert!(refused.is_empty(), "{refused:#?}");
    let folders: BTreeSet<&str> = packages.iter().map(Package::folder).collect();
    let gone: Vec<_> = CRATES.iter().filter(|(folder, _)| !folders.contains(folder)).collect();
    assert!(gone.is_empty(), "these crates have a place in the order and do not exist: {gone:?}");
}

#[test]
fn every_kind_of_dependency_is_checked() {
    for (from, to, kind, is_refused) in [
        ("store", "incident", None, false),
        ("incident", "store", None, true),
        ("incident", "store", Some("dev"), true),
        ("incident", "store", Some("build"), true),
        ("host", "cli", None, true),
        ("host", "serde", None, false),
        ("host", "rusqlite", None, true),
        ("host", "wasmtime-wasi", None, true),
        ("sandbox", "wasmtime-wasi", None, false),
        ("cli", "wasmtime", Some("dev"), false),
        ("cli", "wasmtime", None, true),
        ("plugins/splunk", "sdk/rust", None, false),
        ("plugins/splunk", "incident", None, true),
        ("tests/other", "serde", None, true),
    ] {
        let is_ours = CRATES.iter().any(|(folder, _)| *folder == to);
        let path = is_ours.then(|| workspace().canonicalize().unwrap().join(to));
        let dependency = Dependency { name: to.to_owned(), kind: kind.map(str::to_owned), path };
        assert_eq!(refusal(from, &dependency).is_some(), is_refused, "{from} {to} {kind:?}");
    }
}

#[test]
fn only_one_folder_names_each_database() {
    for (module, found) in imports(&parse(&workspace().join("store/src"))) {
        for (folder, name) in
            [("sqlite", "rusqlite"), ("postgres", "tokio_postgres"), ("postgres", "deadpool_postgres")]
        {
            let is_there = module.split("::").next() == Some(folder);
            assert!(is_there || !found.others.contains(name), "store/src: `{module}` names {name}");
        }
    }
}

#[test]
fn no_file_is_too_long() {
    let files = CRATES.iter().map(|(folder, _)| *folder).chain([PLUGINS, "tests"]);
    let files = files.flat_map(|folder| rust_files(&workspace().join(folder)));
    let is_ours = |file: &PathBuf| !file.iter().any(|part| NOT_OURS.iter().any(|name| part == *name));
    let lines = files.filter(is_ours).map(|file| (std::fs::read_to_string(&file).unwrap().lines().count(), file));
    let long: Vec<_> = lines.filter(|(lines, _)| *lines > LINES_MAX).collect();
    assert!(long.is_empty(), "split these files by their ideas, at most {LINES_MAX} lines each: {long:#?}");
}

/// Otherwise a test could not shift a host's clock, and parts of a host could disagree about the time.
#[test]
fn only_one_file_reads_the_clock_of_the_system() {
    const CLOCK: &str = "incident/src/clock.rs";
    const READS: [&str; 4] = ["SystemTime::now", "UNIX_EPOCH.elapsed", "Timestamp::now", "Zoned::now"];
    let sources = CRATES
        .iter()
        .filter(|(folder, _)| !folder.contains('/'))
        .map(|(folder, _)| workspace().join(folder).join("src"));
    let files = sources.flat_map(|folder| rust_files(&folder));
    let readers: Vec<PathBuf> = files
        .filter(|file| {
            let text = std::fs::read_to_string(file).unwrap();
            READS.iter().any(|read| text.contains(read))
        })
        .collect();
    assert_eq!(readers, [workspace().join(CLOCK)], "use `Clock`, which the host shares with its parts");
}
