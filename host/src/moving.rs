//! The move of a store to another database, with what belongs to it in data folders: the key of the secrets, and the kept
//! versions of plugins.

use crate::backup::check_key;
use crate::release::version_folder::VersionFolder;
use crate::vault::{KEY_FILE, KEY_VARIABLE, Vault};
use anyhow::{Context, Result, ensure};
use hookmill_incident::PluginVersion;
use hookmill_store::private_files::{private_folder, replace_file};
use hookmill_store::{MoveStep, PluginFile, SourceRow, StorePlace, VersionFiles, move_store};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// One of the two sides of a move.
#[derive(Clone, Debug)]
pub struct MoveSide {
    /// The database.
    pub place: StorePlace,
    /// The data folder of the host that uses the database.
    pub data_dir: PathBuf,
}

/// The result of a move.
#[derive(Debug)]
pub struct Moved {
    /// The rows by their table.
    pub rows: BTreeMap<&'static str, u64>,
    /// Remarks on remaining work.
    pub warnings: Vec<String>,
}

/// Moves a store.
///
/// # Errors
/// Returns an error if the key does not open the secrets of the sources, the two sides have different keys, or the move of
/// the database fails.
pub async fn move_everything(from: &MoveSide, to: &MoveSide, on_step: &mut dyn FnMut(MoveStep)) -> Result<Moved> {
    let mut warnings = Vec::new();
    let check = |sources: &[SourceRow]| put_key(from, to, sources, &mut warnings);
    let embedded = if matches!(from.place, StorePlace::Folder(_)) { from } else { to };
    let mut files = MovedFiles { folder: VersionFolder::of(&embedded.data_dir), warnings: Vec::new() };
    let rows = move_store(&from.place, &to.place, check, &mut files, on_step).await?;
    warnings.append(&mut files.warnings);
    Ok(Moved { rows, warnings })
}

/// Checks that both sides have the key of the secrets. A new data folder gets it.
fn put_key(from: &MoveSide, to: &MoveSide, sources: &[SourceRow], warnings: &mut Vec<String>) -> Result<()> {
    let secrets: usize = sources.iter().map(|source| source.secrets.len()).sum();
    let (key, there) = (Vault::key(&from.data_dir)?, Vault::key(&to.data_dir)?);
    let Some((key, place)) = key else {
        ensure!(
            secrets == 0,
            "there is no key for {secrets} secrets of registered sources; set {KEY_VARIABLE} as for `hookmill serve`, or put \
             {KEY_FILE} into {}",
            from.data_dir.display()
        );
        return Ok(());
    };
    check_key(&key, sources).with_context(|| format!("{place} is not the one of {}", from.place))?;
    match (there, &to.place) {
        (Some((there, there_place)), _) => {
            ensure!(
                there == key || secrets == 0,
                "{there_place} has another key than {place}, which opens {secrets} secrets of registered sources; use one key \
                 on both sides"
            );
        }
        (None, StorePlace::Folder(data_dir)) => {
            private_folder(data_dir)?;
            replace_file(data_dir, &data_dir.join(KEY_FILE), format!("{key}\n").as_bytes())?;
        }
        (None, StorePlace::Shared(_)) => warnings.push(format!(
            "{} has no key: give every host the key in {place}, in {KEY_VARIABLE} or as {KEY_FILE} in its data folder",
            to.data_dir.display()
        )),
    }
    Ok(())
}

/// The files of plugin versions in the data folder that has, or gets, the embedded database.
struct MovedFiles {
    folder: VersionFolder,
    warnings: Vec<String>,
}

impl VersionFiles for MovedFiles {
    fn read(&mut self, plugin: &PluginVersion) -> Result<Option<PluginFile>> {
        if self.folder.path(plugin).exists() {
            return self.folder.read(plugin).map(Some);
        }
        let (name, version) = (&plugin.name, &plugin.version);
        self.warnings.push(format!(
            "the file of version {version} of `{name}` is not kept, so that the hosts cannot return to this version; if it is \
             live, put the file into the plugins folder of a host"
        ));
        Ok(None)
    }

    fn keep(&mut self, plugin: &PluginVersion, file: PluginFile) -> Result<()> {
        self.folder.make()?;
        self.folder.keep(plugin, &file)
    }
}
