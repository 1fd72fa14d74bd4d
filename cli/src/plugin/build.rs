//! `hookmill plugin build`.

use super::loader::Loader;
use crate::text::{bytes, table};
use crate::toolchain::{Built, build};
use anyhow::{Context, Result};
use clap::Args;
use hookmill_sandbox::to_component;
use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The arguments of `hookmill plugin build`.
#[derive(Debug, Args)]
pub(crate) struct Build {
    /// Folders of projects in Rust, TypeScript, JavaScript or Python, as created by `plugin new`
    #[arg(required = true, value_name = "DIR")]
    folders: Vec<PathBuf>,
    /// The folder for NAME.wasm. NAME is the name of the package or, in Python, of the folder
    #[arg(long, value_name = "FOLDER", default_value = "target/plugins")]
    out_dir: PathBuf,
}

impl Build {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let started = Instant::now();
        let built = build(&self.folders)?;
        let folder = &self.out_dir;
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create the folder {}", folder.display()))?;
        let loader = Loader::new()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut rows = Vec::new();
        for plugin in built {
            let file = write(folder, &plugin).with_context(|| format!("plugin `{}`", plugin.name))?;
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
        eprintln!("built and checked {count} plugins in {:.1} s", started.elapsed().as_secs_f64());
        Ok(())
    }
}

/// Writes the component of a module to a folder, atomically because a running host may watch the folder.
fn write(folder: &Path, built: &Built) -> Result<PathBuf> {
    let component = to_component(&built.wasm)?;
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
