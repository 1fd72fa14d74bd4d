//! The table `plugin_files`: the files of plugins, which all hosts load.

use super::columns::{stored_option, stored_text};
use super::query::{column, raw_row, rows};
use super::session::Session;
use crate::columns::versions::SharedVersionColumns;
use crate::columns::{Columns, value};
use crate::rows::{PluginFile, SharedVersion};
use anyhow::Result;
use hookmill_incident::PluginVersion;
use tokio_postgres::GenericClient;

/// The files of one plugin that are known without their bytes.
const KNOWN_MAX: i64 = 1000;

/// Keeps the file of a version, as the newest one of its plugin.
pub(super) async fn put(client: &impl GenericClient, plugin: &PluginVersion, file: &PluginFile) -> Result<()> {
    let sql = "INSERT INTO plugin_files (plugin, sha256, number, signature, bytes) \
               SELECT $1, $2, coalesce(max(number) + 1, 0), $3, $4 FROM plugin_files WHERE plugin = $1 \
               ON CONFLICT (plugin, sha256) DO UPDATE SET number = excluded.number, signature = excluded.signature, \
               bytes = excluded.bytes";
    let (name, sha256) = (stored_text(&plugin.name), stored_text(&plugin.sha256));
    client.execute(sql, &[&name, &sha256, &stored_option(file.signature.as_deref()), &file.bytes]).await?;
    Ok(())
}

/// Removes the bytes of a plugin's versions that are not kept any more.
pub(super) fn remove_unused(session: &Session, plugin: &str) -> Result<()> {
    let name = stored_text(plugin);
    let sql = "UPDATE plugin_files SET bytes = NULL, signature = NULL WHERE plugin = $1 AND bytes IS NOT NULL \
               AND sha256 NOT IN (SELECT sha256 FROM plugin_versions WHERE plugin = $1)";
    session.execute(sql, &[&name])?;
    let sql = "DELETE FROM plugin_files WHERE plugin = $1 AND bytes IS NULL \
               AND number < (SELECT max(number) - $2 FROM plugin_files WHERE plugin = $1)";
    session.execute(sql, &[&name, &KNOWN_MAX])?;
    Ok(())
}

/// Returns the versions of all plugins whose files are there.
pub(super) async fn versions(client: &impl GenericClient) -> Result<Vec<SharedVersion>> {
    let list = SharedVersionColumns::LIST;
    let sql = format!(
        "SELECT {list} FROM plugin_files JOIN plugin_versions USING (plugin, sha256) WHERE bytes IS NOT NULL \
         WINDOW of_plugin AS (PARTITION BY plugin) ORDER BY plugin, number"
    );
    let found: Vec<SharedVersionColumns> = rows(client, &sql, &[]).await?;
    Ok(found.into_iter().map(SharedVersion::from).collect())
}

/// Returns the file of a version, if it is there.
pub(super) async fn file(client: &impl GenericClient, plugin: &str, sha256: &str) -> Result<Option<PluginFile>> {
    let sql = "SELECT bytes, signature FROM plugin_files WHERE plugin = $1 AND sha256 = $2 AND bytes IS NOT NULL";
    let row = raw_row(client, sql, &[plugin.into(), sha256.into()]).await?;
    let file = |row| Ok(PluginFile { bytes: value(&row, 0, "bytes")?, signature: value(&row, 1, "signature")? });
    row.map(file).transpose()
}

/// Returns whether a host has found a file before.
pub(super) async fn is_known(client: &impl GenericClient, plugin: &str, sha256: &str) -> Result<bool> {
    let sql = "SELECT 1::bigint FROM plugin_files WHERE plugin = $1 AND sha256 = $2";
    Ok(!column::<i64>(client, sql, &[plugin.into(), sha256.into()]).await?.is_empty())
}

#[cfg(test)]
mod tests {
    use crate::postgres::test_database::{address, store};
    use crate::{LeaseName, Leases, PluginFile, StoreError, VersionDecision};
    use hookmill_incident::PluginVersion;

    fn live(number: u8) -> VersionDecision {
        let plugin = PluginVersion { name: "edr".into(), version: "1".into(), sha256: number.to_string() };
        let file = Some(PluginFile { bytes: vec![0, number], signature: Some("a signature".into()) });
        VersionDecision { file, ..VersionDecision::live(plugin) }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn files_are_kept_as_long_as_their_versions_and_known_after_that() {
        let (address, folders) = (address(), [(); 2].map(|()| tempfile::tempdir().unwrap()));
        let (a, b) =
            (store(address.clone(), "a", folders[0].path()).await, store(address, "b", folders[1].path()).await);
        let lease = a.acquire(LeaseName::Proof).await;
        for number in 0..7 {
            a.decide_version(lease.grant(), live(number)).await.unwrap();
        }
        let versions = b.shared_versions().await.unwrap();
        let shown: Vec<_> = versions.iter().map(|row| (&*row.plugin.sha256, row.is_live, row.is_newest)).collect();
        let former = |sha256| (sha256, false, false);
        assert_eq!(shown, [former("2"), former("3"), former("4"), former("5"), ("6", true, true)]);
        assert_eq!(b.plugin_file(&live(6).plugin).await.unwrap(), live(6).file);
        assert_eq!(b.plugin_file(&live(1).plugin).await.unwrap(), None);
        assert!(b.is_known_file("edr", "1").await.unwrap() && !b.is_known_file("edr", "7").await.unwrap());

        // A former version that is put into a folder again is the newest one.
        a.decide_version(lease.grant(), live(2)).await.unwrap();
        let versions = b.shared_versions().await.unwrap();
        let newest = versions.iter().find(|row| row.is_newest).unwrap();
        assert!(newest.plugin.sha256 == "2" && newest.is_live);

        let former = lease.grant().clone();
        drop(lease);
        let lease = b.acquire(LeaseName::Proof).await;
        let refused = a.decide_version(&former, live(8)).await;
        assert!(matches!(refused, Err(StoreError::LeaseLost)), "{refused:?}");
        let refused = a.remove_versions(&former, "edr".into()).await;
        assert!(matches!(refused, Err(StoreError::LeaseLost)), "{refused:?}");
        b.remove_versions(lease.grant(), "edr".into()).await.unwrap();
        assert_eq!(a.shared_versions().await.unwrap(), []);
        assert!(a.is_known_file("edr", "2").await.unwrap() && !a.is_known_file("edr", "8").await.unwrap());
        a.close();
        b.close();
    }
}
