//! Builds Python projects to components with componentize-py.

use super::built::Built;
use super::entry::{Entry, SDK, WORLD};
use super::program::output_of;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

const BUILDER: &str = "componentize-py";
const BUILDER_VERSION: &str = "0.25.1";

/// A project that can be built.
#[derive(Debug)]
pub(super) struct Project {
    pub entry: Entry,
    builder: PathBuf,
    version: String,
}

impl Project {
    /// Finds the entry of a project and componentize-py: in the virtual environment of the project, in the active one,
    /// or in `PATH`.
    ///
    /// # Errors
    /// Returns an error that names what is missing and the command that installs it.
    pub fn open(folder: &Path) -> Result<Self> {
        let entry = Entry::find(folder, &["py"])?;
        let active = std::env::var_os("VIRTUAL_ENV").map(PathBuf::from);
        let environments = [Some(entry.folder.join(".venv")), active].into_iter().flatten();
        let mut builders = environments.map(|folder| folder.join("bin").join(BUILDER)).chain([PathBuf::from(BUILDER)]);
        let found = builders.find_map(|builder| output_of(&builder, &["--version"]).map(|version| (builder, version)));
        let folder = folder.display();
        let (builder, version) = found.with_context(|| {
            format!(
                "building Python needs {BUILDER}; install it with `python3 -m venv {folder}/.venv && \
                 {folder}/.venv/bin/pip install {BUILDER}=={BUILDER_VERSION}` (on Debian, run `apt-get install \
                 python3-venv` first)"
            )
        })?;
        Ok(Self { entry, builder, version })
    }

    /// Returns the name and version of the tool.
    pub fn tools(&self) -> &str {
        &self.version
    }

    /// Builds the project.
    ///
    /// # Errors
    /// Returns an error if the build fails.
    pub fn build(self) -> Result<Built> {
        let Self { entry, builder, .. } = self;
        let module = entry.file.trim_end_matches(".py");
        let wasm = entry.run(|out| {
            let mut command = Command::new(builder);
            command.arg("--quiet").arg("--wit-path").arg(entry.wit()).args(["--world", WORLD]);
            command.args(["componentize", module, "--python-path"]).arg(&entry.folder);
            command.arg("--python-path").arg(entry.folder.join(SDK)).arg("--output").arg(out);
            command
        })?;
        Ok(Built { name: entry.name, wasm })
    }
}
