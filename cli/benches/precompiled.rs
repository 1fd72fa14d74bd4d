//! Folders of plugins with their compiled code, which stay for the next run.

use super::server::plugin_file;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Writes these plugins into a folder and compiles those that are new.
pub fn folder(name: &str, plugins: impl IntoIterator<Item = (String, Vec<u8>)>) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let mut files = BTreeSet::new();
    for (plugin, bytes) in plugins {
        let file = folder.join(plugin).with_extension("wasm");
        if std::fs::read(&file).ok().as_ref() != Some(&bytes) {
            std::fs::write(&file, bytes).unwrap();
        }
        files.insert(file);
    }
    for file in std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
        if file.is_file() && !files.contains(&file) {
            std::fs::remove_file(file).unwrap();
        }
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_hookmill"));
    command.args(["plugin", "precompile"]).arg(&folder).stdout(Stdio::null());
    assert!(command.status().unwrap().success());
    folder
}

/// Returns the keys of a configuration for such a folder.
pub fn config(folder: &Path) -> String {
    format!("plugins_dir: {0}\nprecompiled_dir: {0}/compiled\n", folder.display())
}

/// Returns every bundled plugin, in the order of the names.
pub fn bundled() -> Vec<(String, Vec<u8>)> {
    let files = std::fs::read_dir(plugin_file("").parent().unwrap())
        .unwrap_or_else(|error| panic!("{error}; run `make mappers` first"));
    let mut files: Vec<PathBuf> = files.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "wasm"));
    files.sort();
    let plugin =
        |file: PathBuf| (file.file_stem().unwrap().to_str().unwrap().to_owned(), std::fs::read(&file).unwrap());
    files.into_iter().map(plugin).collect()
}
