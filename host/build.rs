//! Embeds the files of the console, if it was built: `make build` writes them to `console/dist`, each compressed with gzip;
//! and what is known of vendors, `plugins/NAME/vendor.yaml` and `kinds.json`.

use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};

fn main() -> io::Result<()> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dist = package.join("../console/dist");
    println!("cargo::rerun-if-changed={}", dist.display());
    let mut files = Vec::new();
    if dist.is_dir() {
        add_files(&dist.canonicalize()?, "", &mut files)?;
    }
    write_table("console_files.rs", files, "include_bytes!", ".as_slice()")?;
    // The compiler watches the embedded files. A new plugin is a new line of this file; to watch the folder of the plugins
    // would compile this crate again after each change of any of them.
    println!("cargo::rerun-if-changed={}", package.join("../Cargo.lock").display());
    let plugins = package.join("../plugins");
    write_table("vendor_files.rs", files_of_vendors(&plugins, "vendor.yaml")?, "include_str!", "")?;
    write_table("kinds_files.rs", files_of_vendors(&plugins, "kinds.json")?, "include_str!", "")
}

/// Writes a table of names and the contents of their files, for the crate to include.
fn write_table(name: &str, mut files: Vec<(String, PathBuf)>, include: &str, suffix: &str) -> io::Result<()> {
    files.sort();
    let mut table = String::from("&[");
    for (name, path) in files {
        let _ = write!(table, "({name:?}, {include}({path:?}){suffix}), ");
    }
    table.push(']');
    let out = std::env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("cargo sets OUT_DIR"))?;
    std::fs::write(PathBuf::from(out).join(name), table)
}

/// Returns the plugins whose vendor is described, with their files of this name.
fn files_of_vendors(plugins: &Path, file: &str) -> io::Result<Vec<(String, PathBuf)>> {
    let mut vendors = Vec::new();
    for folder in std::fs::read_dir(plugins)? {
        let folder = folder?;
        let file = folder.path().join(file);
        if let (true, Ok(name)) = (file.is_file(), folder.file_name().into_string()) {
            vendors.push((name, file.canonicalize()?));
        }
    }
    Ok(vendors)
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
