//! Builds JavaScript and TypeScript projects to components with the installed Node.js and the packages of the project.

use super::built::Built;
use super::entry::{ProjectEntry, WORLD};
use super::program::output_of;
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::path::Path;
use std::process::Command;

/// The script that Node.js runs in the folder of the project.
const BUILDER: &str = include_str!("javascript.mjs");
/// The packages that a build needs. componentize-js finds the last one only if the project itself depends on it.
const PACKAGES: [&str; 3] = ["@bytecodealliance/componentize-js", "rolldown", "@bytecodealliance/preview2-shim"];
/// The package that projects with a `tsconfig.json` need as well.
const TYPE_CHECKER: &str = "typescript";
const NODE_MAJOR_MIN: u32 = 20;

/// A project that can be built.
#[derive(Debug)]
pub(super) struct JavaScriptProject {
    pub entry: ProjectEntry,
    node: String,
}

/// The used members of `package.json`.
#[derive(Deserialize)]
struct NpmPackage {
    name: Option<String>,
}

impl JavaScriptProject {
    /// Finds the entry of a project and the tools to build it with.
    ///
    /// # Errors
    /// Returns an error that names what is missing and the command that installs it.
    pub fn open(folder: &Path) -> Result<Self> {
        let mut entry = ProjectEntry::find(folder, &["ts", "js", "mjs"])?;
        let manifest = folder.join("package.json");
        let text = std::fs::read(&manifest).with_context(|| format!("cannot read {}", manifest.display()))?;
        let package: NpmPackage = serde_json::from_slice(&text).with_context(|| format!("{}", manifest.display()))?;
        if let Some(name) = package.name {
            // The name may have a scope: `@scope/name`.
            entry.name = name.rsplit('/').next().unwrap_or_default().to_owned();
        }
        let node = output_of("node", &["--version"]).context(
            "building JavaScript needs Node.js 20 or newer with npm; install it from https://nodejs.org or with \
             `apt-get install nodejs npm`",
        )?;
        let major = node.trim_start_matches('v').split('.').next().and_then(|major| major.parse().ok());
        ensure!(
            major >= Some(NODE_MAJOR_MIN),
            "building JavaScript needs Node.js {NODE_MAJOR_MIN} or newer, but {node} is installed; get a newer one \
             from https://nodejs.org"
        );
        let checks_types = entry.folder.join("tsconfig.json").is_file();
        let mut packages = PACKAGES.into_iter().chain(checks_types.then_some(TYPE_CHECKER));
        if let Some(missing) = packages.find(|package| !is_installed(&entry.folder, package)) {
            let folder = folder.display();
            anyhow::bail!("{folder} has no package {missing} installed; run `npm install --prefix {folder}`");
        }
        Ok(Self { entry, node })
    }

    /// Returns the names of the tools.
    pub fn tools(&self) -> String {
        format!("Node.js {} and the project's componentize-js", self.node)
    }

    /// Builds the project.
    ///
    /// # Errors
    /// Returns an error if the build fails.
    pub fn build(self) -> Result<Built> {
        let Self { entry, .. } = self;
        let wasm = entry.run(|out| {
            let mut node = Command::new("node");
            // Node.js looks for the packages of code from the command line in the current folder.
            node.current_dir(&entry.folder).args(["--input-type=module", "--eval", BUILDER, "--"]);
            node.arg(entry.folder.join(&entry.file)).arg(entry.wit()).arg(WORLD).arg(out);
            node
        })?;
        Ok(Built { name: entry.name, wasm })
    }
}

/// Returns whether Node.js finds a package from a folder: in its `node_modules` or in that of a parent folder.
fn is_installed(folder: &Path, package: &str) -> bool {
    folder.ancestors().any(|folder| folder.join("node_modules").join(package).is_dir())
}
