//! The move of everything from an embedded database to a shared one, or back.

use crate::move_mark::{MoveMark, MoveState};
use crate::moved_rows::{MOVED_TABLES, MovedRows, RowsDigest};
use crate::postgres::{Address as DatabaseAddress, MovingShared};
use crate::rows::{PluginFile, SourceRow};
use crate::sqlite::MovingFolder;
use anyhow::{Context, Result, bail, ensure};
use hookmill_incident::{Clock, PluginVersion};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// The place of a database.
#[derive(Clone, Debug)]
pub enum StorePlace {
    /// A data folder with an embedded database.
    Folder(PathBuf),
    /// A database that hosts share.
    Shared(Box<DatabaseAddress>),
}

impl fmt::Display for StorePlace {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Folder(data_dir) => write!(formatter, "the data folder {}", data_dir.display()),
            Self::Shared(address) => address.fmt(formatter),
        }
    }
}

/// The progress of a move.
#[derive(Clone, Copy, Debug)]
pub struct MoveStep {
    /// The present work.
    pub stage: &'static str,
    /// The table.
    pub table: &'static str,
    /// The rows of the table that are done.
    pub rows: u64,
    /// All rows of the table.
    pub total: u64,
}

/// The files of plugin versions, which a data folder has beside its database. A shared database has them in a table.
pub trait VersionFiles {
    /// Returns the file of a version, if it is kept.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read.
    fn read(&mut self, plugin: &PluginVersion) -> Result<Option<PluginFile>>;

    /// Keeps the file of a version.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    fn keep(&mut self, plugin: &PluginVersion, file: PluginFile) -> Result<()>;
}

/// Moves everything to an empty database. `check` gets the registered sources before anything is written, and `files` are
/// those of the data folder. Returns the rows by their table. Blocks.
///
/// Until the end, the source is as it was, and no host uses the target. Then no host uses the source any more.
///
/// # Errors
/// Returns an error if a host runs on one of the two, the target is not empty, a row cannot be read or written, or the rows
/// of a table are not the same in the end.
pub async fn move_store(
    from: &StorePlace,
    to: &StorePlace,
    check: impl FnOnce(&[SourceRow]) -> Result<()>,
    files: &mut dyn VersionFiles,
    on_step: &mut dyn FnMut(MoveStep),
) -> Result<BTreeMap<&'static str, u64>> {
    ensure!(
        matches!(
            (from, to),
            (StorePlace::Folder(_), StorePlace::Shared(_)) | (StorePlace::Shared(_), StorePlace::Folder(_))
        ),
        "a move goes from a data folder to a database that hosts share, or back; name one of each"
    );
    let source = Side::source(from).await.with_context(|| format!("cannot move {from}"))?;
    check(&source.sources().await?)?;
    let mark = source.begin(from, to).await?;
    let mut target = Side::target(to, &mark).await.with_context(|| format!("cannot move into {to}"))?;
    let mut copied = BTreeMap::new();
    for table in MOVED_TABLES {
        let part = source.copy(&target, table, on_step).await;
        copied.insert(table, part.with_context(|| format!("cannot copy the table `{table}`"))?);
    }
    source.copy_files(&target, files).await.context("cannot copy the files of plugin versions")?;
    on_step(MoveStep { stage: "adding words", table: "incidents", rows: 0, total: 0 });
    target.add_search().await.context("cannot add what incidents are found by")?;
    for (table, Copied { columns, digest: expected }) in &copied {
        let found = target.digest(table, columns, expected.rows, on_step).await?;
        ensure!(
            found == *expected,
            "the table `{table}` is not the same in {to}: {} rows are there, and {} were copied, or their values differ; {from} \
             is unchanged",
            found.rows,
            expected.rows
        );
    }
    target.flush().await?;
    source.end_source(&MoveMark { state: MoveState::Moved, other: to.to_string(), ..mark }).await?;
    let finished = target.end_target().await;
    finished.with_context(|| format!("{to} is complete, but not open yet; run the same command again"))?;
    Ok(copied.into_iter().map(|(table, part)| (table, part.digest.rows)).collect())
}

/// A table that was copied.
struct Copied {
    columns: Vec<String>,
    digest: RowsDigest,
}

/// One of the two databases.
enum Side {
    Folder(MovingFolder),
    Shared(MovingShared),
}

impl Side {
    async fn source(place: &StorePlace) -> Result<Self> {
        Ok(match place {
            StorePlace::Folder(data_dir) => Self::Folder(MovingFolder::source(data_dir)?),
            StorePlace::Shared(address) => Self::Shared(MovingShared::source(address).await?),
        })
    }

    async fn target(place: &StorePlace, mark: &MoveMark) -> Result<Self> {
        Ok(match place {
            StorePlace::Folder(data_dir) => Self::Folder(MovingFolder::target(data_dir, mark)?),
            StorePlace::Shared(address) => Self::Shared(MovingShared::target(address, mark).await?),
        })
    }

    /// Returns the mark for the target. A source that was moved already is moved again only if that move did not end there.
    async fn begin(&self, from: &StorePlace, to: &StorePlace) -> Result<MoveMark> {
        let earlier = match self {
            Self::Folder(folder) => folder.mark()?,
            Self::Shared(shared) => shared.mark().await?,
        };
        let id = match earlier {
            Some(earlier) => {
                let there = match to {
                    StorePlace::Folder(data_dir) => MoveMark::read(data_dir)?,
                    StorePlace::Shared(address) => MovingShared::mark_of(address).await?,
                };
                let is_same = there.is_some_and(|there| there.id == earlier.id);
                if earlier.state == MoveState::Unfinished || !is_same {
                    match from {
                        StorePlace::Folder(data_dir) => MoveMark::refuse_in(data_dir)?,
                        StorePlace::Shared(address) => MovingShared::refuse(address, &earlier)?,
                    }
                }
                earlier.id
            }
            None => {
                let mut id = [0; 16];
                getrandom::fill(&mut id)?;
                hex::encode(id)
            }
        };
        Ok(MoveMark { state: MoveState::Unfinished, id, at: Clock::default().now_ms(), other: from.to_string() })
    }

    async fn sources(&self) -> Result<Vec<SourceRow>> {
        match self {
            Self::Folder(folder) => folder.sources(),
            Self::Shared(shared) => shared.sources().await,
        }
    }

    /// Returns the one of two sides that is a data folder.
    fn folder<'a>(&'a self, other: &'a Self) -> Result<&'a MovingFolder> {
        let ((Self::Folder(folder), _) | (_, Self::Folder(folder))) = (self, other) else {
            bail!("one of the two has no data folder")
        };
        Ok(folder)
    }

    /// Copies the files of plugin versions, after the rows of the versions.
    async fn copy_files(&self, target: &Self, files: &mut dyn VersionFiles) -> Result<()> {
        for plugin in self.folder(target)?.kept_versions()? {
            let file = match self {
                Self::Folder(_) => files.read(&plugin)?,
                Self::Shared(shared) => shared.plugin_file(&plugin).await?,
            };
            let Some(file) = file else { continue };
            match target {
                Self::Folder(_) => files.keep(&plugin, file)?,
                Self::Shared(shared) => shared.put_plugin_file(&plugin, &file).await?,
            }
        }
        Ok(())
    }

    /// Copies a table.
    async fn copy(&self, target: &Self, table: &'static str, on_step: &mut dyn FnMut(MoveStep)) -> Result<Copied> {
        // A shared database numbers some rows beside the columns that both have.
        let columns = self.folder(target)?.columns(table)?;
        let total = match self {
            Self::Folder(folder) => folder.count(table)?,
            Self::Shared(shared) => shared.count(table).await?,
        };
        let mut digest = RowsDigest::default();
        let write = async |rows: MovedRows| {
            digest.add(&rows);
            match target {
                Self::Folder(folder) => folder.write(table, &columns, &rows)?,
                Self::Shared(shared) => shared.write(table, &columns, &rows).await?,
            }
            on_step(MoveStep { stage: "copying", table, rows: digest.rows, total });
            Ok(())
        };
        self.read(table, &columns, write).await?;
        Ok(Copied { columns, digest })
    }

    /// Returns the digest of the rows of a table.
    async fn digest(
        &self,
        table: &'static str,
        columns: &[String],
        total: u64,
        on_step: &mut dyn FnMut(MoveStep),
    ) -> Result<RowsDigest> {
        let mut digest = RowsDigest::default();
        let add = async |rows: MovedRows| {
            digest.add(&rows);
            on_step(MoveStep { stage: "comparing", table, rows: digest.rows, total });
            Ok(())
        };
        self.read(table, columns, add).await?;
        Ok(digest)
    }

    async fn read(
        &self,
        table: &str,
        columns: &[String],
        each: impl AsyncFnMut(MovedRows) -> Result<()>,
    ) -> Result<()> {
        match self {
            Self::Folder(folder) => folder.read(table, columns, each).await,
            Self::Shared(shared) => shared.read(table, columns, each).await,
        }
    }

    async fn add_search(&self) -> Result<()> {
        match self {
            Self::Folder(folder) => folder.add_search(),
            Self::Shared(shared) => shared.add_search().await,
        }
    }

    async fn flush(&mut self) -> Result<()> {
        match self {
            Self::Folder(folder) => folder.flush(),
            Self::Shared(shared) => shared.flush().await,
        }
    }

    async fn end_source(self, mark: &MoveMark) -> Result<()> {
        match self {
            Self::Folder(folder) => folder.end_source(mark),
            Self::Shared(shared) => shared.end_source(mark).await,
        }
    }

    async fn end_target(self) -> Result<()> {
        match self {
            Self::Folder(folder) => folder.end_target(),
            Self::Shared(shared) => shared.end_target().await,
        }
    }
}

/// The files by their digests.
#[cfg(test)]
impl VersionFiles for BTreeMap<String, PluginFile> {
    fn read(&mut self, plugin: &PluginVersion) -> Result<Option<PluginFile>> {
        Ok(self.get(&plugin.sha256).cloned())
    }

    fn keep(&mut self, plugin: &PluginVersion, file: PluginFile) -> Result<()> {
        self.insert(plugin.sha256.clone(), file);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::{self, test_database};
    use crate::sqlite;
    use crate::{Dedup, HostIdentity, LeaseName, Leases, Policy, Scope, Store, Tokens, VersionDecision};
    use std::path::Path;
    use std::time::Duration;
    use tempfile::TempDir;

    /// The tables that are made anew, and those that only one of the two databases has.
    const LEFT: [&str; 18] = [
        "postings",
        "words",
        "words_config",
        "words_data",
        "words_docsize",
        "words_idx",
        "words_content",
        "word_parts",
        "indexed",
        "recent_repeats",
        "compiled",
        "plugin_files",
        "group_events",
        "groups",
        "head",
        "hosts",
        "leases",
        "migrations",
    ];

    fn store(data_dir: &Path) -> Result<Store> {
        Store::open(data_dir, 16, policy(), Box::new(|_, _| {}), Clock::default())
    }

    fn policy() -> Policy {
        let dedup = Dedup { retention: Duration::from_secs(60), window: Duration::from_secs(60) };
        Policy { dedup, reopen_within: Duration::ZERO }
    }

    #[tokio::test]
    async fn every_table_is_moved_or_known_to_be_left() {
        let folder = tempfile::tempdir().unwrap();
        store(folder.path()).unwrap().close();
        let mut tables = sqlite::tables(folder.path()).unwrap();
        tables.extend(postgres::tables(&test_database::migrated().await).await.unwrap());
        let unknown = |table: &&String| !MOVED_TABLES.contains(&table.as_str()) && !LEFT.contains(&table.as_str());
        assert_eq!(tables.iter().filter(unknown).collect::<Vec<_>>(), Vec::<&String>::new());
    }

    /// Until a move has ended, no host uses the target, and the source is as it was. Then no host uses the source.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_move_needs_two_databases_that_no_host_uses() {
        let [one, two, own] = [(); 3].map(|()| tempfile::tempdir().unwrap());
        let address = test_database::address();
        let folder = |folder: &TempDir| StorePlace::Folder(folder.path().to_owned());
        let (from, shared, back) = (folder(&one), StorePlace::Shared(address.clone().into()), folder(&two));
        let connect = async || {
            let host = HostIdentity { id: "one".into(), name: "one".into(), version: "1".into() };
            let (address, on_commit) = (address.clone(), Box::new(|_, _| {}));
            Store::connect(address, host, own.path(), 16, policy(), on_commit, Clock::default()).await
        };
        let refused = async |from: &StorePlace, to: &StorePlace, text: &str| {
            let error = move_store(from, to, |_| Ok(()), &mut BTreeMap::new(), &mut |_| ()).await.unwrap_err();
            assert!(format!("{error:#}").contains(text), "{error:#}");
        };
        refused(&from, &from, "name one of each").await;
        Tokens::open(one.path()).unwrap().create("one", Scope::Read, None).unwrap();
        let running = store(one.path()).unwrap();
        let plugin = PluginVersion { name: "edr".into(), version: "1".into(), sha256: "a digest".into() };
        let decision = VersionDecision::live(plugin.clone());
        let lease = running.acquire(LeaseName::Proof).await;
        running.decide_version(lease.grant(), decision).await.unwrap();
        refused(&from, &shared, "is in use by another hookmill").await;
        running.close();
        drop(running);
        let running = connect().await.unwrap();
        refused(&from, &shared, "hosts run on the database `test_").await;
        running.close();
        drop(running);
        // What the check refuses is refused before anything is written.
        let checked =
            move_store(&from, &shared, |_| anyhow::bail!("another key"), &mut BTreeMap::new(), &mut |_| ()).await;
        assert!(format!("{:#}", checked.unwrap_err()).contains("another key"));
        connect().await.unwrap().close();

        give_up(&from, &shared);
        assert!(connect().await.unwrap_err().to_string().contains("did not end, and rows are missing"));
        store(one.path()).unwrap().close();
        // As if the command was killed after the source got its mark, and before the target lost its own.
        let unfinished = MovingShared::mark_of(&address).await.unwrap().unwrap();
        MoveMark { state: MoveState::Moved, ..unfinished }.write(one.path()).unwrap();
        let file = PluginFile { bytes: vec![0, 1], signature: Some("a signature".into()) };
        let files = BTreeMap::from([(plugin.sha256.clone(), file)]);
        move_store(&from, &shared, |_| Ok(()), &mut files.clone(), &mut |_| ()).await.unwrap();
        let error = store(one.path()).unwrap_err().to_string();
        assert!(error.contains("was moved to the database `test_") && error.contains("remove the file"), "{error}");
        refused(&from, &shared, "was moved to").await;
        let host = connect().await.unwrap();
        assert_eq!(host.plugin_file(&plugin).await.unwrap().as_ref(), files.get(&plugin.sha256));
        host.close();
        drop(host);

        give_up(&shared, &back);
        assert!(store(two.path()).unwrap_err().to_string().contains("did not end, and rows are missing"));
        connect().await.unwrap().close();
        let mut files_back = BTreeMap::new();
        move_store(&shared, &back, |_| Ok(()), &mut files_back, &mut |_| ()).await.unwrap();
        assert_eq!(files_back, files);
        assert!(connect().await.unwrap_err().to_string().contains("UPDATE head SET move = NULL"));
        store(two.path()).unwrap().close();
        refused(&back, &shared, "has rows in the table").await;
        postgres::undo_move(&address).await.unwrap();
        refused(&shared, &from, "a move replaces no data").await;
        connect().await.unwrap().close();
    }

    /// Ends a move in the middle, as a kill does.
    fn give_up(from: &StorePlace, to: &StorePlace) {
        let (from, to) = (from.clone(), to.clone());
        let mut end = |step: MoveStep| {
            if step.table == "incidents" {
                std::panic::resume_unwind(Box::new("killed"));
            }
        };
        let moved = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(move_store(&from, &to, |_| Ok(()), &mut BTreeMap::new(), &mut end)).map(drop)
        });
        moved.join().unwrap_err();
    }
}
