//! Embeds the bundled mappers, with their code and payloads, as the beginning of new projects.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// The kinds of files that belong to a project.
const ENDINGS: [&str; 8] = ["go", "json", "mod", "py", "rs", "toml", "ts", "txt"];
/// Files that belong to the repository only, or that a tool writes anew.
const LEFT_OUT: [&str; 2] = ["package-lock.json", "vendor.yaml"];

fn main() -> io::Result<()> {
    let plugins = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins").canonicalize()?;
    // A new plugin is a new line of this file.
    println!("cargo::rerun-if-changed={}", plugins.join("../Cargo.lock").display());
    println!("cargo::rerun-if-changed=build.rs");
    let mut table = String::from("&[");
    for folder in entries(&plugins)?.into_iter().filter(|folder| folder.join("vendor.yaml").is_file()) {
        let payloads = folder.join("payloads");
        println!("cargo::rerun-if-changed={}", payloads.display());
        let _ = write!(table, "({:?}, &[", name(&folder));
        for file in entries(&folder)?.into_iter().filter(|file| belongs(file)) {
            let _ = write!(table, "({:?}, include_bytes!({file:?}).as_slice()), ", name(&file));
        }
        for file in entries(&payloads)?.into_iter().filter(|file| belongs(file)) {
            let _ = write!(table, "({:?}, include_bytes!({file:?}).as_slice()), ", format!("payloads/{}", name(&file)));
        }
        table.push_str("]), ");
    }
    table.push(']');
    let out = std::env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("cargo sets OUT_DIR"))?;
    fs::write(PathBuf::from(out).join("vendor_projects.rs"), table)
}

/// Returns the entries of a folder, sorted.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    entries.sort();
    Ok(entries)
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn belongs(file: &Path) -> bool {
    let ending = file.extension().unwrap_or_default();
    file.is_file() && ENDINGS.iter().any(|known| ending == *known) && !LEFT_OUT.contains(&name(file).as_str())
}
