//! New incidents are added to the index of searches later, many at once, which no search shows.

use crate::host::Host;
use crate::outcome::incident;
use crate::search::{DATABASE, folder, ip, refs};
use reqwest::Method;
use rusqlite::Connection;
use serde_json::json;

#[tokio::test]
async fn new_incidents_are_found_at_once_also_after_a_kill() {
    let folder = folder();
    let host = folder.start().await;
    let post = async |host: &Host<'_>, reference: &str| {
        let said =
            json!({"source-ref": reference, "title": "Malware", "tags": ["x"], "observables": [ip("192.0.2.7")]});
        assert_eq!(host.post("edr", incident(said)).await.status_word(), "accepted");
    };
    let id = async |host: &Host<'_>, reference: &str| {
        let found = host.get(&format!("/api/incidents?source_ref={reference}")).await;
        format!("/api/incidents/{}", found["data"][0]["id"].as_str().unwrap())
    };
    let all = async |host: &Host<'_>, expected: &str| {
        for query in ["q=malware", "tag=x", "observable=192.0.2.7", "observable_prefix=192."] {
            assert_eq!(refs(&host.list(&format!("/api/incidents?{query}")).await), expected, "{query}");
        }
        let count = host.get("/api/incidents/count?q=mal*").await["count"].clone();
        assert_eq!(count, expected.split(' ').count(), "{expected}");
    };
    for (reference, expected) in [("a", 1), ("b", 2), ("c", 3)] {
        post(&host, reference).await;
        let shared = host.get(&format!("{}/observables", id(&host, reference).await)).await;
        assert_eq!(shared["data"][0]["incidents"], expected, "{shared}");
    }
    all(&host, "c b a").await;
    for reference in ["d", "e", "f"] {
        post(&host, reference).await;
    }
    let change = json!({"title": "quiet", "tags": ["z"]}).to_string();
    assert_eq!(host.call(Method::PATCH, &id(&host, "d").await, change).await.status, 200);
    assert_eq!(host.call(Method::DELETE, &id(&host, "e").await, "").await.status, 204);
    assert_eq!(host.call(Method::DELETE, &id(&host, "b").await, "").await.status, 204);
    host.kill();
    let database = Connection::open(folder.path(DATABASE)).unwrap();
    let missing = "SELECT count(*) FROM incidents, indexed WHERE key > up_to";
    assert_eq!(database.query_row(missing, [], |row| row.get::<_, i64>(0)).unwrap(), 3);
    let host = folder.start().await;
    for query in ["q=quiet", "tag=z"] {
        assert_eq!(refs(&host.list(&format!("/api/incidents?{query}")).await), "d", "{query}");
    }
    assert_eq!(refs(&host.list("/api/incidents?q=malware").await), "f c a");
    assert_eq!(refs(&host.list("/api/incidents?observable=192.0.2.7").await), "f d c a");
}
