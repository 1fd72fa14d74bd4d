//! `hookmill plugin build`.

use super::Loader;
use crate::cli::text::{bytes, table};
use crate::plugin::to_component;
use crate::toolchain::{Built, Toolchain};
use anyhow::{Context, Result};
use clap::Args;
use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

#[derive(Debug, Args)]
pub(in crate::cli) struct Build {
    /// Folders of Rust crates whose type is cdylib
    #[arg(required = true, value_name = "DIR")]
    folders: Vec<PathBuf>,
    /// Where NAME.wasm goes, NAME being the package's name
    #[arg(long, value_name = "FOLDER", default_value = "target/plugins")]
    out_dir: PathBuf,
}

impl Build {
    pub fn run(self) -> Result<()> {
        let started = Instant::now();
        let toolchain = Toolchain::find()?;
        eprintln!("building with {toolchain}");
        let built = toolchain.build(&self.folders)?;
        let folder = &self.out_dir;
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
        let loader = Loader::new()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut rows = Vec::new();
        for crate_built in built {
            let file = write(folder, &crate_built).with_context(|| format!("plugin `{}`", crate_built.name))?;
            let loaded = runtime.block_on(loader.load(&file)).with_context(|| file.display().to_string())?;
            let version = &loaded.plugin.version;
            rows.push([
                file.display().to_string(),
                version.version.clone(),
                bytes(loaded.bytes),
                version.sha256.clone(),
            ]);
        }
        let count = rows.len();
        println!("{}", table(["FILE", "VERSION", "SIZE", "SHA256"], rows));
        eprintln!("built and checked {count} in {:.1} s", started.elapsed().as_secs_f64());
        Ok(())
    }
}

/// Wraps a module and puts the component into the folder, where a running host may be looking.
fn write(folder: &Path, built: &Built) -> Result<PathBuf> {
    let module = std::fs::read(&built.module).with_context(|| format!("cannot read {}", built.module.display()))?;
    let component = to_component(&module)?;
    let file = folder.join(format!("{}.wasm", built.name));
    let write = || -> std::io::Result<()> {
        let mut unfinished = tempfile::Builder::new().prefix(".building-").tempfile_in(folder)?;
        unfinished.write_all(&component)?;
        unfinished.as_file().set_permissions(Permissions::from_mode(0o644))?;
        unfinished.persist(&file)?;
        Ok(())
    };
    write().with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}
