//! Reads of the tables `plugin_versions` and `compiled`.

use crate::columns::Columns;
use crate::columns::versions::VersionColumns;
use crate::postgres::query::{column, rows};
use crate::rows::VersionRow;
use anyhow::Result;
use tokio_postgres::GenericClient;

/// Returns the versions of a plugin, the live one first.
pub(super) async fn list(client: &impl GenericClient, plugin: &str) -> Result<Vec<VersionRow>> {
    let list = VersionColumns::LIST;
    let sql = format!(
        "SELECT {list} FROM plugin_versions WHERE plugin = $1 ORDER BY live_since DESC NULLS LAST, seen_at DESC"
    );
    let found: Vec<VersionColumns> = rows(client, &sql, &[plugin.into()]).await?;
    Ok(found.into_iter().map(VersionRow::from).collect())
}

/// Returns the digest of a compiled file.
pub(super) async fn compiled_digest(client: &impl GenericClient, name: &str) -> Result<Option<[u8; 32]>> {
    Ok(column(client, "SELECT digest FROM compiled WHERE name = $1", &[name.into()]).await?.pop())
}
