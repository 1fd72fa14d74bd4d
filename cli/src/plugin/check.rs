//! `hookmill plugin check`.

use super::loader::{LoadedPlugin, Loader};
use crate::text::{bytes, clean, fields, given};
use anyhow::{Result, bail};
use clap::Args;
use std::path::PathBuf;

/// The arguments of `hookmill plugin check`.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Plugin files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl Check {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let loader = Loader::new()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut refused = 0;
        for file in &self.files {
            println!("{}", file.display());
            match runtime.block_on(loader.load(file)) {
                Ok(loaded) => print!("{}", describe(&loaded)),
                Err(error) => {
                    refused += 1;
                    print!("{}", fields([("refused", clean(&format!("{error:#}")))]));
                }
            }
        }
        match (refused, self.files.len()) {
            (0, _) => Ok(()),
            (_, 1) => bail!("a host would refuse this file"),
            (refused, count) => bail!("a host would refuse {refused} of these {count} files"),
        }
    }
}

fn describe(loaded: &LoadedPlugin) -> String {
    let LoadedPlugin { plugin, bytes: size } = loaded;
    let description = &plugin.description;
    let imports = plugin.imports().join(", ");
    fields([
        ("kind", format!("{}, API {}", plugin.kind(), plugin.api_version)),
        ("description", clean(&format!("{} {}: {}", description.name, description.version, description.summary))),
        ("scheme", given(description.scheme.as_ref())),
        ("imports", if imports.is_empty() { "nothing".to_owned() } else { imports }),
        ("size", bytes(*size)),
        ("sha256", plugin.version.sha256.clone()),
    ])
}
