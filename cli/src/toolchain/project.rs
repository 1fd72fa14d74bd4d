//! What the projects of all languages have in common.

use anyhow::{Context, Result, ensure};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The kinds of plugin that are not written in Rust: the entry file has the kind's name, the world is `KIND-plugin`.
pub(super) const KINDS: [&str; 1] = ["mapper"];
/// The folder of a project that holds the SDK of its language, with the WIT that the project was made for in `wit`.
pub(crate) const SDK: &str = "sdk";

/// A plugin that was built.
#[derive(Debug)]
pub struct Built {
    /// The name of its package.
    pub name: String,
    /// A component, or a core module that carries its component type.
    pub wasm: Vec<u8>,
}

/// A project in a language that has one file of code at its entry.
#[derive(Debug)]
pub(super) struct Entry {
    /// The plugin's name.
    pub name: String,
    pub folder: PathBuf,
    /// The file of code, inside the folder.
    pub file: String,
    /// The world that it implements.
    pub world: String,
}

impl Entry {
    /// Finds the entry file, which has one of these endings and the name of a kind.
    pub fn find(folder: &Path, endings: &[&str]) -> Result<Self> {
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

    pub fn wit(&self) -> PathBuf {
        self.folder.join(SDK).join("wit")
    }

    /// Runs a builder that writes the file it is given, and takes that file.
    pub fn run(&self, builder: impl FnOnce(&Path) -> Command) -> Result<Vec<u8>> {
        let folder = tempfile::tempdir().context("cannot make a folder for the build")?;
        let out = folder.path().join("plugin.wasm");
        let mut command = builder(&out);
        let program = command.get_program().to_string_lossy().into_owned();
        let status = command.status().with_context(|| format!("cannot run {program}"))?;
        ensure!(status.success(), "{} was not built; the messages of its tools are above", self.name);
        std::fs::read(&out).with_context(|| format!("{program} wrote no component of {}", self.name))
    }
}

/// Returns what a program prints, without the end of the line; `None` if the program fails or is missing.
pub(super) fn print(program: impl AsRef<OsStr>, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
