//! Builds plugin projects to WebAssembly with what the machine has.
//!
//! A folder's content tells its language. Nothing is installed here: an error says what is missing and how to get it,
//! before anything is built.

mod javascript;
mod python;
mod rust;

use anyhow::{Context, Result, bail, ensure};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The kinds of plugin that are not written in Rust: the entry file has the kind's name, the world is `KIND-plugin`.
const KINDS: [&str; 1] = ["mapper"];
/// Where a project has the SDK of its language, with the WIT that it was made for in `wit`.
pub(crate) const SDK: &str = "sdk";

/// A plugin that was built.
#[derive(Debug)]
pub struct Built {
    /// The name of its package.
    pub name: String,
    /// A component, or a core module that carries its component type.
    pub wasm: Vec<u8>,
}

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

/// What is known of a project in a language that has one file of code at its entry.
#[derive(Debug)]
struct Entry {
    /// The plugin's name.
    name: String,
    folder: PathBuf,
    /// The file of code, inside the folder.
    file: String,
    /// The world that it implements.
    world: String,
}

impl Entry {
    /// Finds the entry file, which has one of these endings and the name of a kind.
    fn find(folder: &Path, endings: &[&str]) -> Result<Self> {
        let folder = folder.canonicalize().with_context(|| format!("cannot look at {}", folder.display()))?;
        let mut files =
            KINDS.iter().flat_map(|kind| endings.iter().map(move |ending| (kind, format!("{kind}.{ending}"))));
        let (kind, file) = files
            .find(|(_, file)| folder.join(file).is_file())
            .with_context(|| format!("{} has no {}.{}", folder.display(), KINDS.join(" or "), endings.join(" or .")))?;
        ensure!(
            folder.join(SDK).join("wit").is_dir(),
            "{} has no {SDK}/wit with the interface that it is written for; `hookmill plugin new` makes projects with it",
            folder.display()
        );
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { name, world: format!("{kind}-plugin"), file, folder })
    }

    fn wit(&self) -> PathBuf {
        self.folder.join(SDK).join("wit")
    }

    /// Runs a builder that writes the file it is given, and takes that file.
    fn run(&self, builder: impl FnOnce(&Path) -> Command) -> Result<Vec<u8>> {
        let folder = tempfile::tempdir().context("cannot make a folder for the build")?;
        let out = folder.path().join("plugin.wasm");
        let mut command = builder(&out);
        let program = command.get_program().to_string_lossy().into_owned();
        let status = command.status().with_context(|| format!("cannot run {program}"))?;
        ensure!(status.success(), "{} was not built; the messages of its tools are above", self.name);
        std::fs::read(&out).with_context(|| format!("{program} wrote no component of {}", self.name))
    }
}

/// What a program prints, without the line's end; `None` when it fails or is not there.
fn print(program: impl AsRef<OsStr>, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
