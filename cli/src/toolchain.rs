//! Builds plugin projects to WebAssembly with the tools that are installed.
//!
//! The files in a folder determine its language. Nothing is installed here: if a tool is missing, an error before the
//! build names the tool and the command that installs it.

mod built;
mod entry;
mod go;
mod javascript;
mod libraries;
mod memory;
mod parts;
mod program;
mod python;
mod rust;
mod snapshot;

use anyhow::{Result, bail};
pub(crate) use built::Built;
use entry::ENTRY;
use std::path::{Path, PathBuf};

/// The language of a project.
enum ProjectLanguage {
    Rust,
    /// JavaScript or TypeScript.
    JavaScript,
    Python,
    Go,
}

impl ProjectLanguage {
    fn of(folder: &Path) -> Result<Self> {
        let has = |name: &str| folder.join(name).is_file();
        if has("Cargo.toml") {
            Ok(Self::Rust)
        } else if has("package.json") {
            Ok(Self::JavaScript)
        } else if has(&format!("{ENTRY}.py")) {
            Ok(Self::Python)
        } else if has("go.mod") {
            Ok(Self::Go)
        } else {
            bail!(
                "{} is not a plugin project: it has neither Cargo.toml nor package.json nor mapper.py nor go.mod; \
                 `hookmill plugin new` creates one",
                folder.display()
            )
        }
    }
}

/// Builds projects in any of the languages. The names of the tools go to standard error.
///
/// # Errors
/// Returns an error if a folder is not a project, a tool is missing, or a build fails.
pub(crate) fn build(folders: &[PathBuf]) -> Result<Vec<Built>> {
    let (mut crates, mut javascript, mut python, mut go) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for folder in folders {
        match ProjectLanguage::of(folder)? {
            ProjectLanguage::Rust => crates.push(folder.clone()),
            ProjectLanguage::JavaScript => javascript.push(javascript::JavaScriptProject::open(folder)?),
            ProjectLanguage::Python => python.push(python::PythonProject::open(folder)?),
            ProjectLanguage::Go => go.push(go::GoProject::open(folder)?),
        }
    }
    let rust = (!crates.is_empty()).then(rust::Toolchain::find).transpose()?;
    let mut built = Vec::new();
    if let Some(rust) = rust {
        eprintln!("building with {rust}");
        built.extend(rust.build(&crates)?);
    }
    for project in javascript {
        eprintln!("building {} with {}", project.entry.name, project.tools());
        built.push(project.build()?);
    }
    for project in python {
        eprintln!("building {} with {}", project.entry.name, project.tools());
        built.push(project.build()?);
    }
    for project in go {
        eprintln!("building {} with {}", project.entry.name, project.tools());
        built.push(project.build()?);
    }
    Ok(built)
}
