//! Builds plugin projects to WebAssembly with the compilers of this machine.
//!
//! The content of a folder tells its language. Nothing is installed here: an error says what is missing and how to get it,
//! before anything is built.

mod javascript;
mod project;
mod python;
mod rust;

pub(crate) use project::Built;

use anyhow::{Result, bail};
use project::KINDS;
use std::path::{Path, PathBuf};

enum Language {
    Rust,
    /// Or TypeScript.
    JavaScript,
    Python,
}

impl Language {
    fn of(folder: &Path) -> Result<Self> {
        let has = |name: &str| folder.join(name).is_file();
        if has("Cargo.toml") {
            Ok(Self::Rust)
        } else if has("package.json") {
            Ok(Self::JavaScript)
        } else if KINDS.iter().any(|kind| has(&format!("{kind}.py"))) {
            Ok(Self::Python)
        } else {
            bail!(
                "{} is no plugin project: it has neither Cargo.toml nor package.json nor mapper.py; `hookmill plugin \
                 new` makes one",
                folder.display()
            )
        }
    }
}

/// Builds projects, of whatever languages. What is at work goes to standard error.
///
/// # Errors
/// When a folder is no project, when something is missing, or when a project does not build.
pub fn build(folders: &[PathBuf]) -> Result<Vec<Built>> {
    let (mut crates, mut javascript, mut python) = (Vec::new(), Vec::new(), Vec::new());
    for folder in folders {
        match Language::of(folder)? {
            Language::Rust => crates.push(folder.clone()),
            Language::JavaScript => javascript.push(javascript::Project::open(folder)?),
            Language::Python => python.push(python::Project::open(folder)?),
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
    Ok(built)
}
