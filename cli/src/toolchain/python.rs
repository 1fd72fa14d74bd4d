//! Builds Python projects to modules with componentize-py and the packages of the project's virtual environment.

use super::built::Built;
use super::entry::{ProjectEntry, SDK, WORLD};
use super::libraries::linked;
use super::program::output_of;
use anyhow::{Context, Result, ensure};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The script that checks the files of a project.
const CHECK: &str = include_str!("python_check.py");
const BUILDER: &str = "componentize-py";
const BUILDER_VERSION: &str = "0.25.1";

/// A project that can be built.
#[derive(Debug)]
pub(super) struct PythonProject {
    pub entry: ProjectEntry,
    builder: PathBuf,
    version: String,
    /// The virtual environment: that of the project, or the active one.
    environment: Option<PathBuf>,
}

impl PythonProject {
    /// Finds the entry of a project and componentize-py: in the virtual environment of the project, in the active one,
    /// or in `PATH`.
    ///
    /// # Errors
    /// Returns an error that names what is missing and the command that installs it.
    pub fn open(folder: &Path) -> Result<Self> {
        let entry = ProjectEntry::find(folder, &["py"])?;
        let active = std::env::var_os("VIRTUAL_ENV").map(PathBuf::from);
        let environments: Vec<PathBuf> =
            [Some(entry.folder.join(".venv")), active].into_iter().flatten().filter(|folder| folder.is_dir()).collect();
        let builders = environments.iter().map(|folder| folder.join("bin").join(BUILDER));
        let mut builders = builders.chain([PathBuf::from(BUILDER)]);
        let found = builders.find_map(|builder| output_of(&builder, &["--version"]).map(|version| (builder, version)));
        let folder = folder.display();
        let (builder, version) = found.with_context(|| {
            format!(
                "building Python needs {BUILDER}; install it with `python3 -m venv {folder}/.venv && \
                 {folder}/.venv/bin/pip install {BUILDER}=={BUILDER_VERSION}` (on Debian, run `apt-get install \
                 python3-venv` first)"
            )
        })?;
        Ok(Self { entry, builder, version, environment: environments.into_iter().next() })
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
        let Self { entry, builder, version, environment } = self;
        // componentize-py builds in the packages of the first `python3` in `PATH`.
        let path = path_with(environment.as_deref())?;
        // The builder takes seconds to find an error that Python finds at once.
        let mut check = Command::new("python3");
        check.current_dir(&entry.folder).env("PATH", &path).args(["-c", CHECK]);
        if let Ok(status) = check.status() {
            ensure!(status.success(), "{} was not built; the messages of Python are above", entry.name);
        }
        let module = entry.file.trim_end_matches(".py");
        let component = entry.run(|out| {
            let mut command = Command::new(builder);
            command.env("PATH", &path);
            if let Some(environment) = &environment {
                command.env("VIRTUAL_ENV", environment);
            }
            command.arg("--quiet").arg("--wit-path").arg(entry.wit()).args(["--world", WORLD]);
            command.args(["componentize", module, "--python-path"]).arg(&entry.folder);
            command.arg("--python-path").arg(entry.folder.join(SDK)).arg("--output").arg(out);
            command
        })?;
        let wasm = linked(&component).with_context(|| {
            format!("the result of {version} is not as expected; install {BUILDER}=={BUILDER_VERSION}")
        })?;
        Ok(Built { name: entry.name, wasm })
    }
}

/// Returns `PATH` with the programs of a virtual environment first.
fn path_with(environment: Option<&Path>) -> Result<OsString> {
    let former = std::env::var_os("PATH").unwrap_or_default();
    let programs = environment.map(|environment| environment.join("bin"));
    let folders = programs.into_iter().chain(std::env::split_paths(&former));
    std::env::join_paths(folders).context("the path of the project cannot be in PATH, because it contains `:`")
}
