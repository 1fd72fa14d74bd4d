//! `hookmill manual`: writes the manual pages and the completions of shells, for packages.

use anyhow::{Context, Result};
use clap::{Args, Command};
use clap_complete::{Shell, generate_to};
use std::path::{Path, PathBuf};

const PROGRAM: &str = "hookmill";

#[derive(Debug, Args)]
pub(super) struct Manual {
    /// A folder, which gets the subfolders `man`, `bash`, `fish` and `zsh`
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

impl Manual {
    /// Writes the pages and completions of a command.
    pub fn run(self, program: &Command) -> Result<()> {
        clap_mangen::generate_to(program.clone(), subfolder(&self.folder, "man")?)?;
        for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
            let folder = subfolder(&self.folder, &shell.to_string())?;
            generate_to(shell, &mut program.clone(), PROGRAM, folder)?;
        }
        Ok(())
    }
}

fn subfolder(folder: &Path, name: &str) -> Result<PathBuf> {
    let folder = folder.join(name);
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    Ok(folder)
}
