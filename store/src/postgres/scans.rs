//! The lists of many incidents, which must be read from indexes.

use super::readers::Readers;
use super::test_database::migrated;
use crate::reads::Reads;
use crate::rows::{EventFilter, IncidentFilter, Order, SortKey, Sorting};
use crate::search_words::SearchWords;
use hookmill_incident::{EventStatus, Severity, Status};
use jiff::Timestamp;
use std::fmt::Debug;
use std::time::Duration;
use tokio_postgres::Client;

/// Incidents with values of which some are common and some rare, and their events. Most incidents are closed.
const ROWS: &str = "
    CREATE FUNCTION row_key(number bigint) RETURNS bigint LANGUAGE sql IMMUTABLE
        AS 'SELECT (1750000000000 + number * 20000) << 15';
    CREATE FUNCTION row_id(number bigint) RETURNS bytea LANGUAGE sql IMMUTABLE
        AS $$ SELECT decode(lpad(to_hex(row_key(number) << 1), 16, '0') || repeat('0', 16), 'hex') $$;
    INSERT INTO incidents (key, id, number, source, source_ref, status, severity, created_at, updated_at, changed_at,
        pinned, occurrences, event_ids, newest_audit, deleted, record)
    SELECT row_key(n), row_id(n), n, 'source-' || n % 7, 'ref-' || n,
        CASE WHEN n > 39000 THEN 'new' WHEN n % 400 = 0 THEN 'escalated' ELSE 'closed' END,
        (ARRAY['informational', 'low', 'medium', 'high', 'critical'])[1 + n % 5],
        (1750000000000 + n * 20000) * 1000000, (1750000000000 + n * 20000 + n % 977 * 1000000) * 1000000, 0, '[]', 1,
        row_id(n), 0, false, '{\"title\": \"' || repeat('a text ', 100) || '\"}'
    FROM generate_series(1::bigint, 40000) AS n;
    INSERT INTO postings (kind, value, incident)
    SELECT kind, value, row_key(n) FROM generate_series(1::bigint, 40000) AS n CROSS JOIN LATERAL
        (VALUES (0, 'tag-' || n % 10), (1, '10.0.' || n % 250 || '.' || n % 17), (2, 'T' || n % 99), (3, 'user-' || n % 50))
            AS had (kind, value);
    INSERT INTO words (incident, words)
    SELECT row_key(n), array_to_tsvector(ARRAY['all', 'w' || n % 20, 'x' || n % 3000]) FROM generate_series(1::bigint, 40000) AS n;
    INSERT INTO events (key, id, source, status, received_at, attempts, code, tried, incidents, headers, context, digest, body)
    SELECT row_key(n), row_id(n), 'source-' || n % 7, CASE WHEN n % 500 = 0 THEN 'quarantined' ELSE 'mapped' END,
        1750000000000 + n * 20000, 1, CASE WHEN n % 500 = 0 THEN 'trap' END, '[]', '[]', '[]', '[]', row_id(n), row_id(n)
    FROM generate_series(1::bigint, 40000) AS n;
";

#[tokio::test]
async fn lists_of_many_incidents_are_read_from_indexes() {
    let address = migrated().await;
    let (client, _) = address.connect().await.unwrap();
    // As the database does from time to time.
    for sql in [ROWS, "VACUUM ANALYZE", "SELECT pg_stat_reset()"] {
        client.batch_execute(sql).await.unwrap();
    }
    for filter in filters() {
        let readers = Readers::new(&address).unwrap();
        for order in orders() {
            let page = readers.incidents(filter.clone(), order.clone(), None, 50).await.unwrap();
            assert!(!page.rows.is_empty(), "{filter:?}");
            readers.incidents(filter.clone(), order, page.next, 50).await.unwrap();
        }
        readers.count_incidents(filter.clone(), 1_000).await.unwrap();
        assert_no_scan(&client, readers, &filter).await;
    }
    for filter in filters_of_events() {
        let readers = Readers::new(&address).unwrap();
        let page = readers.events(filter.clone(), None, 50).await.unwrap();
        assert!(!page.rows.is_empty(), "{filter:?}");
        readers.events(filter.clone(), page.next, 50).await.unwrap();
        assert_no_scan(&client, readers, &filter).await;
    }
    let readers = Readers::new(&address).unwrap();
    readers.open_incidents(1_750_000_000_000).await.unwrap();
    assert_no_scan(&client, readers, &"open incidents").await;
}

/// Checks that the reads have read no large table from its beginning to its end.
async fn assert_no_scan(client: &Client, readers: Readers, filter: &dyn Debug) {
    // Connections tell of what they read when they end.
    drop(readers);
    let others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    while client.query_one(others, &[]).await.unwrap().get::<_, i64>(0) > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let scans = "SELECT relname::text, seq_scan FROM pg_stat_user_tables \
                 WHERE relname IN ('incidents', 'postings', 'words', 'events') AND seq_scan > 0";
    let scans = client.query(scans, &[]).await.unwrap();
    let scans: Vec<(String, i64)> = scans.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert!(scans.is_empty(), "tables that were read from their beginning to their end: {scans:?}, for {filter:?}");
}

fn filters() -> Vec<IncidentFilter> {
    let all = IncidentFilter::default;
    let some = |text: &str| vec![text.to_owned()];
    let time = |ms| Timestamp::from_millisecond(ms).ok();
    vec![
        all(),
        IncidentFilter { status: vec![Status::Closed], ..all() },
        IncidentFilter { status: vec![Status::Escalated, Status::New], ..all() },
        IncidentFilter { severity: vec![Severity::Critical], status: vec![Status::New], ..all() },
        IncidentFilter { source: some("source-3"), ..all() },
        IncidentFilter { source_ref: some("ref-7"), ..all() },
        IncidentFilter { tag: some("tag-3"), ..all() },
        IncidentFilter { tag: some("tag-3"), assignee: some("user-3"), ..all() },
        IncidentFilter { assignee: some("user-3"), severity: vec![Severity::High], ..all() },
        IncidentFilter { observable: some("10.0.3.4"), ..all() },
        IncidentFilter { observable_prefix: some("10.0.33."), ..all() },
        IncidentFilter { technique: some("T33"), ..all() },
        IncidentFilter { q: SearchWords::parse("x77").ok(), ..all() },
        IncidentFilter { q: SearchWords::parse("all w7").ok(), tag: some("tag-7"), ..all() },
        IncidentFilter { created_after: time(1_750_790_000_000), ..all() },
        IncidentFilter { created_after: time(1_750_400_000_000), created_before: time(1_750_401_000_000), ..all() },
        IncidentFilter { updated_after: time(1_750_801_000_000), ..all() },
    ]
}

fn orders() -> Vec<Order> {
    let by = |key, descending| Sorting { key, descending };
    vec![
        Order::default(),
        Order::new([by(SortKey::UpdatedAt, true)]),
        Order::new([by(SortKey::Severity, false), by(SortKey::UpdatedAt, true)]),
        Order::new([by(SortKey::Status, true), by(SortKey::Severity, true)]),
        Order::new([by(SortKey::Source, false), by(SortKey::CreatedAt, false)]),
    ]
}

fn filters_of_events() -> Vec<EventFilter> {
    let all = EventFilter::default;
    vec![
        all(),
        EventFilter { source: vec!["source-3".to_owned()], ..all() },
        EventFilter { status: vec![EventStatus::Quarantined], ..all() },
        EventFilter { status: vec![EventStatus::Mapped], source: vec!["source-3".to_owned()], ..all() },
        EventFilter { created_after: Timestamp::from_millisecond(1_750_790_000_000).ok(), ..all() },
    ]
}
