//! Builds Go projects to core modules with the installed Go.

use super::built::Built;
use super::entry::{ProjectEntry, WORLD};
use super::program::output_of;
use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::process::Command;
use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The first version of Go, without its `1.`, that makes modules whose functions a host can call.
const GO_MINOR_MIN: u32 = 24;

/// A project that can be built.
#[derive(Debug)]
pub(super) struct GoProject {
    pub entry: ProjectEntry,
    version: String,
}

impl GoProject {
    /// Finds the entry of a project and Go.
    ///
    /// # Errors
    /// Returns an error that names what is missing and where to get it.
    pub fn open(folder: &Path) -> Result<Self> {
        let entry = ProjectEntry::find(folder, &["go"])?;
        let version = output_of("go", &["env", "GOVERSION"]).context(
            "building Go needs Go 1.24 or newer; install it from https://go.dev/dl or with `apt-get install golang-go`",
        )?;
        let minor = version.strip_prefix("go1.").and_then(|rest| {
            let digits = rest.find(|sign: char| !sign.is_ascii_digit()).unwrap_or(rest.len());
            rest[..digits].parse().ok()
        });
        ensure!(
            minor >= Some(GO_MINOR_MIN),
            "building Go needs Go 1.{GO_MINOR_MIN} or newer, but {version} is installed; get a newer one from https://go.dev/dl"
        );
        Ok(Self { entry, version })
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
        let Self { entry, .. } = self;
        let mut wasm = entry.run(|out| {
            let mut go = Command::new("go");
            go.current_dir(&entry.folder).env("GOOS", "wasip1").env("GOARCH", "wasm").env_remove("GOFLAGS");
            // A module that others call, without paths of this machine, symbols and the state of a repository.
            go.args(["build", "-buildmode=c-shared", "-trimpath", "-ldflags=-s -w", "-buildvcs=false", "-o"])
                .arg(out)
                .arg(".");
            go
        })?;
        embed_component_type(&mut wasm, &entry.wit())
            .with_context(|| format!("cannot add the component type to {}", entry.name))?;
        Ok(Built { name: entry.name, wasm })
    }
}

/// Adds to a core module the type of the component that it becomes, which Go cannot write itself.
fn embed_component_type(module: &mut Vec<u8>, wit: &Path) -> Result<()> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(wit)?;
    let world = resolve.select_world(&[package], Some(WORLD))?;
    embed_component_metadata(module, &resolve, world, StringEncoding::UTF8)
}
