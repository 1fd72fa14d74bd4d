//! `hookmill plugin build`.

use super::loader::Loader;
use crate::text::{bytes, table};
use crate::toolchain::{Built, build};
use anyhow::{Context, Result};
use clap::Args;
use hookmill_sandbox::to_component;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;
use tempfile::TempDir;

/// The arguments of `hookmill plugin build`.
#[derive(Debug, Args)]
pub(crate) struct Build {
    /// Folders of projects in Rust, TypeScript, JavaScript, Python or Go, as created by `plugin new`
    #[arg(required = true, value_name = "DIR")]
    folders: Vec<PathBuf>,
    /// The folder for NAME.wasm. NAME is the name of the package or, in Python and Go, of the folder
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
            let checked = Checked::write(folder, &plugin).with_context(|| format!("plugin `{}`", plugin.name))?;
            let loaded = runtime.block_on(loader.load(&checked.path())).with_context(|| {
                format!(
                    "plugin `{}` was built, but a host would refuse it; {} is unchanged",
                    plugin.name,
                    folder.display()
                )
            })?;
            let file = checked.release(folder)?;
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

/// A component in a hidden folder, where a running host does not look. A host would accept it, or it is removed.
struct Checked {
    folder: TempDir,
    name: String,
}

impl Checked {
    /// Writes the component of a module beside its final place, so that a rename suffices to move it there.
    fn write(folder: &Path, built: &Built) -> Result<Self> {
        let component = to_component(&built.wasm)?;
        let name = format!("{}.wasm", built.name);
        let write = || -> std::io::Result<TempDir> {
            let unfinished = tempfile::Builder::new().prefix(".building-").tempdir_in(folder)?;
            let file = unfinished.path().join(&name);
            std::fs::write(&file, &component)?;
            std::fs::set_permissions(&file, Permissions::from_mode(0o644))?;
            Ok(unfinished)
        };
        let unfinished = write().with_context(|| format!("cannot write to {}", folder.display()))?;
        Ok(Self { folder: unfinished, name })
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(&self.name)
    }

    /// Moves the file to its place, where it appears at once, because a running host may watch the folder.
    fn release(self, folder: &Path) -> Result<PathBuf> {
        let file = folder.join(&self.name);
        std::fs::rename(self.path(), &file).with_context(|| format!("cannot write {}", file.display()))?;
        Ok(file)
    }
}
