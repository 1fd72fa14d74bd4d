//! `hookmill plugin precompile`.

use crate::compile::on_all_cores;
use anyhow::{Context, Result, ensure};
use clap::Args;
use hookmill_host::release::precompiled::precompile;
use hookmill_sandbox::Machines;
use std::path::PathBuf;

/// The folder of compiled code in a folder of plugins. A host takes no plugins from folders in its plugins folder.
pub(crate) const PRECOMPILED_FOLDER: &str = "compiled";

/// The arguments of `hookmill plugin precompile`.
#[derive(Debug, Args)]
pub(crate) struct Precompile {
    /// A folder with plugin files
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

impl Precompile {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let entries =
            std::fs::read_dir(&self.folder).with_context(|| format!("cannot read {}", self.folder.display()))?;
        let paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<PathBuf>>>()?;
        let mut files: Vec<PathBuf> =
            paths.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "wasm")).collect();
        ensure!(!files.is_empty(), "{} has no plugin files", self.folder.display());
        files.sort();
        let compiler = on_all_cores(Machines::Others)?;
        precompile(&files, &self.folder.join(PRECOMPILED_FOLDER), &compiler, |file| {
            println!("compiling {}", file.display());
        })
    }
}
