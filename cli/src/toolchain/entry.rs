//! The entry file of a project that is not written in Rust.

use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The name of the entry file, without its extension: only mappers can be written in these languages.
pub(super) const ENTRY: &str = "mapper";
/// The world that the entry file implements.
pub(super) const WORLD: &str = "mapper-plugin";
/// The folder of the SDK in a project. Its subfolder `wit` has the interface that the SDK was made for.
pub(super) const SDK: &str = "sdk";

/// A project in a language in which one file of code is the entry.
#[derive(Debug)]
pub(super) struct ProjectEntry {
    /// The plugin's name.
    pub name: String,
    pub folder: PathBuf,
    /// The path of the file of code inside the folder.
    pub file: String,
}

impl ProjectEntry {
    /// Finds the entry file, which has one of these file name extensions.
    ///
    /// # Errors
    /// Returns an error if the folder has no entry file or no SDK.
    pub fn find(folder: &Path, endings: &[&str]) -> Result<Self> {
        let folder = folder.canonicalize().with_context(|| format!("cannot open {}", folder.display()))?;
        let mut files = endings.iter().map(|ending| format!("{ENTRY}.{ending}"));
        let file = files
            .find(|file| folder.join(file).is_file())
            .with_context(|| format!("{} has no {ENTRY}.{}", folder.display(), endings.join(" or .")))?;
        ensure!(
            folder.join(SDK).join("wit").is_dir(),
            "{} has no {SDK}/wit with the interface of the plugin; `hookmill plugin new` creates projects that \
             have one",
            folder.display()
        );
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { name, file, folder })
    }

    /// Returns the folder of the WIT files.
    pub fn wit(&self) -> PathBuf {
        self.folder.join(SDK).join("wit")
    }

    /// Runs the command that `builder` returns for an output file. Returns the content of that file.
    ///
    /// # Errors
    /// Returns an error if the command fails or writes no file.
    pub fn run(&self, builder: impl FnOnce(&Path) -> Command) -> Result<Vec<u8>> {
        let folder = tempfile::tempdir().context("cannot create a folder for the build")?;
        let out = folder.path().join("plugin.wasm");
        let mut command = builder(&out);
        let program = command.get_program().to_string_lossy().into_owned();
        let status = command.status().with_context(|| format!("cannot run {program}"))?;
        ensure!(status.success(), "{} was not built; the messages of its tools are above", self.name);
        std::fs::read(&out).with_context(|| format!("{program} wrote no component of {}", self.name))
    }
}
