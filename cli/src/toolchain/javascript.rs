//! Builds JavaScript and TypeScript projects to components, with the Node.js of the machine and the packages that are
//! installed for the project.

use super::project::{Built, Entry, print};
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::path::Path;
use std::process::Command;

/// What node runs in the project's folder.
const BUILDER: &str = include_str!("javascript.mjs");
/// componentize-js finds the last one only where it is asked for by name.
const PACKAGES: [&str; 3] = ["@bytecodealliance/componentize-js", "rolldown", "@bytecodealliance/preview2-shim"];
/// For projects with a `tsconfig.json`.
const TYPE_CHECKER: &str = "typescript";
const NODE_MAJOR_MIN: u32 = 20;

/// A project that can be built.
#[derive(Debug)]
pub(super) struct Project {
    pub entry: Entry,
    node: String,
}

/// `package.json`, as far as it matters here.
#[derive(Deserialize)]
struct Package {
    name: Option<String>,
}

impl Project {
    /// Finds the project's entry and what it takes to build it.
    ///
    /// # Errors
    /// What is missing and how to get it.
    pub fn open(folder: &Path) -> Result<Self> {
        let mut entry = Entry::find(folder, &["ts", "js", "mjs"])?;
        let manifest = folder.join("package.json");
        let text = std::fs::read(&manifest).with_context(|| format!("cannot read {}", manifest.display()))?;
        let package: Package = serde_json::from_slice(&text).with_context(|| format!("{}", manifest.display()))?;
        if let Some(name) = package.name {
            // `@scope/name`.
            entry.name = name.rsplit('/').next().unwrap_or_default().to_owned();
        }
        let node = print("node", &["--version"]).context(
            "building JavaScript takes Node.js 20 or newer with npm; get it from https://nodejs.org or with \
             `apt-get install nodejs npm`",
        )?;
        let major = node.trim_start_matches('v').split('.').next().and_then(|major| major.parse().ok());
        ensure!(
            major >= Some(NODE_MAJOR_MIN),
            "building JavaScript takes Node.js {NODE_MAJOR_MIN} or newer and this is {node}; get it from \
             https://nodejs.org"
        );
        let checks_types = entry.folder.join("tsconfig.json").is_file();
        let mut packages = PACKAGES.into_iter().chain(checks_types.then_some(TYPE_CHECKER));
        if let Some(missing) = packages.find(|package| !is_installed(&entry.folder, package)) {
            let folder = folder.display();
            anyhow::bail!("{folder} has no package {missing} installed; run `npm install --prefix {folder}`");
        }
        Ok(Self { entry, node })
    }

    pub fn tools(&self) -> String {
        format!("Node.js {} and the project's componentize-js", self.node)
    }

    pub fn build(self) -> Result<Built> {
        let Self { entry, .. } = self;
        let wasm = entry.run(|out| {
            let mut node = Command::new("node");
            // Packages are looked for from where the code stands, and code on the command line stands here.
            node.current_dir(&entry.folder).args(["--input-type=module", "--eval", BUILDER, "--"]);
            node.arg(entry.folder.join(&entry.file)).arg(entry.wit()).arg(&entry.world).arg(out);
            node
        })?;
        Ok(Built { name: entry.name, wasm })
    }
}

/// Whether Node would find a package from a folder: in its `node_modules` or in one further up.
fn is_installed(folder: &Path, package: &str) -> bool {
    folder.ancestors().any(|folder| folder.join("node_modules").join(package).is_dir())
}
