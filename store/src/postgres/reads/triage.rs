//! Reads of the table `triage`.

use super::{events, incidents};
use crate::columns::Columns;
use crate::columns::triage::RequestColumns;
use crate::postgres::query::{cell, column, rows};
use crate::rows::TriageJob;
use anyhow::Result;
use tokio_postgres::GenericClient;
use uuid::Uuid;

/// Returns the playbooks for which requests wait.
pub(super) async fn waiting_playbooks(client: &impl GenericClient) -> Result<Vec<String>> {
    // From one name to the next, so that the requests of one playbook are not all read.
    let sql = "WITH RECURSIVE names (name) AS ( \
                   SELECT (SELECT min(playbook) FROM triage WHERE failed_on IS NULL) \
                   UNION ALL SELECT (SELECT min(playbook) FROM triage WHERE failed_on IS NULL AND playbook > name) \
                   FROM names WHERE name IS NOT NULL \
               ) SELECT name FROM names WHERE name IS NOT NULL ORDER BY name";
    column(client, sql, &[]).await
}

/// Returns the waiting requests of a playbook after an incident.
pub(super) async fn jobs(
    client: &impl GenericClient,
    playbook: &str,
    after: i64,
    limit: usize,
) -> Result<Vec<TriageJob>> {
    let list = RequestColumns::LIST;
    let sql = format!(
        "SELECT {list} FROM triage WHERE failed_on IS NULL AND playbook = $1 AND incident > $2 ORDER BY incident LIMIT $3"
    );
    let requests: Vec<RequestColumns> = rows(client, &sql, &[playbook.into(), after.into(), limit.into()]).await?;
    let keys: Vec<i64> = requests.iter().map(|request| request.incident).collect();
    let mut incidents = incidents::readable_of_keys(client, &keys).await?;
    let ids: Vec<Uuid> = requests.iter().filter_map(|request| request.request_id.parse().ok()).collect();
    let traces = events::traceparents(client, &ids).await?;
    let job = |request: RequestColumns| {
        let trace = request.request_id.parse().ok().and_then(|id: Uuid| traces.get(&id).cloned());
        let incident = incidents.remove(&request.incident);
        request.into_job(incident, trace, playbook)
    };
    Ok(requests.into_iter().map(job).collect())
}

/// Returns the number of waiting requests.
pub(super) async fn count(client: &impl GenericClient) -> Result<i64> {
    cell(client, "SELECT count(*) FROM triage WHERE failed_on IS NULL", &[]).await
}
