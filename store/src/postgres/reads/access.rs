//! Reads of the tables `tokens`, `sessions` and `operator_actions`.

use crate::columns::Columns;
use crate::columns::access::{ActionColumns, SessionColumns, TokenColumns};
use crate::pages::cut_to_page;
use crate::postgres::query::{Conditions, row, rows};
use crate::rows::{OperatorAction, OwnedSession, Page, SessionRow, TokenRow};
use anyhow::Result;
use hookmill_incident::id::row_key;
use tokio_postgres::GenericClient;
use uuid::Uuid;

/// Returns the token with this hash, if it is valid.
pub(super) async fn token(client: &impl GenericClient, hash: &[u8; 32], now: i64) -> Result<Option<TokenRow>> {
    let list = TokenColumns::LIST;
    let sql = format!("SELECT {list} FROM tokens WHERE hash = $1 AND (expires_at IS NULL OR expires_at > $2)");
    let found: Option<TokenColumns> = row(client, &sql, &[hash.into(), now.into()]).await?;
    Ok(found.map(TokenRow::from))
}

/// Returns every token, by name.
pub(in crate::postgres) async fn tokens(client: &impl GenericClient) -> Result<Vec<TokenRow>> {
    let sql = format!("SELECT {} FROM tokens ORDER BY name", TokenColumns::LIST);
    let found: Vec<TokenColumns> = rows(client, &sql, &[]).await?;
    Ok(found.into_iter().map(TokenRow::from).collect())
}

/// Returns the session with this digest, valid or not.
pub(super) async fn session(client: &impl GenericClient, digest: &[u8; 32]) -> Result<Option<SessionRow>> {
    let sql = format!("SELECT {} FROM sessions WHERE digest = $1", SessionColumns::LIST);
    let found: Option<SessionColumns> = row(client, &sql, &[digest.into()]).await?;
    Ok(found.map(|row| OwnedSession::from(row).session))
}

/// Returns the newest sessions, valid or not, with the names of their tokens.
pub(super) async fn sessions(client: &impl GenericClient, limit: usize) -> Result<Vec<OwnedSession>> {
    let sql = format!("SELECT {} FROM sessions ORDER BY created_at DESC, number DESC LIMIT $1", SessionColumns::LIST);
    let found: Vec<SessionColumns> = rows(client, &sql, &[limit.into()]).await?;
    Ok(found.into_iter().map(OwnedSession::from).collect())
}

/// Returns the actions before a key, the newest first; with `ids`, those with these ids.
pub(super) async fn actions(
    client: &impl GenericClient,
    ids: &[Uuid],
    before: Option<i64>,
    limit: usize,
) -> Result<Page<OperatorAction>> {
    let mut conditions = Conditions::default();
    conditions.one_of_ids("key", "id", ids);
    conditions.before("key", before);
    let (limit_parameter, where_sql) = (conditions.parameter(limit + 1), conditions.sql());
    let list = ActionColumns::LIST;
    let sql = format!("SELECT {list} FROM operator_actions {where_sql} ORDER BY key DESC LIMIT {limit_parameter}");
    let found: Vec<ActionColumns> = rows(client, &sql, &conditions.values).await?;
    let mut rows: Vec<_> = found.into_iter().map(OperatorAction::from).collect();
    let next = cut_to_page(&mut rows, limit, |last| row_key(last.id));
    Ok(Page { rows, next })
}
