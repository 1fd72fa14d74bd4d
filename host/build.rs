//! Embeds the files of the console, if it was built: `make build` writes them to `console/dist`, each compressed with gzip.

use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};

fn main() -> io::Result<()> {
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../console/dist");
    println!("cargo::rerun-if-changed={}", dist.display());
    let mut files = Vec::new();
    if dist.is_dir() {
        add_files(&dist.canonicalize()?, "", &mut files)?;
    }
    files.sort();
    let mut table = String::from("&[");
    for (name, path) in files {
        let _ = write!(table, "({name:?}, include_bytes!({path:?}).as_slice()), ");
    }
    table.push(']');
    let out = std::env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("cargo sets OUT_DIR"))?;
    std::fs::write(PathBuf::from(out).join("console_files.rs"), table)
}

/// Adds the compressed files below a folder with their names, without `.gz`, relative to the root.
fn add_files(folder: &Path, prefix: &str, files: &mut Vec<(String, PathBuf)>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if path.is_dir() {
            add_files(&path, &format!("{prefix}{name}/"), files)?;
        } else if let Some(name) = name.strip_suffix(".gz") {
            files.push((format!("{prefix}{name}"), path));
        }
    }
    Ok(())
}
