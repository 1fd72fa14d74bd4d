//! Lists that are read by an offset while their items change. Nothing may be lost, and nothing read twice.

use crate::pull::{bodies, folder, poll_of, source_when};
use crate::server::{Page, Server};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The number of items of a list.
const ITEMS: usize = 23;
/// The number of items on a page.
const PAGE: usize = 5;

/// A change of an item between two requests.
#[derive(Clone, Copy)]
enum Change {
    /// The item gets a new time.
    Touched(usize),
    Removed(usize),
}

/// The changes after the request with this number.
type Changes = &'static [(usize, &'static [Change])];

#[derive(Clone, Copy)]
enum Order {
    Ascending,
    Descending,
}

/// The form of the items of a list.
#[derive(Clone, Copy, PartialEq)]
enum Items {
    Whole,
    Ids,
    /// Items whose text differs at each request.
    Restless,
}

/// Starts a server with a list by time of change.
async fn changing_list(order: Order, items: Items, changes: Changes) -> Server {
    let mut list: Vec<(usize, usize)> = (0..ITEMS).map(|id| (id, 0)).collect();
    let mut requests = 0;
    Server::answering(move |asked| {
        if let Some(id) = asked.line.strip_prefix("GET /items/") {
            return Page::json(&json!({"id": id.parse::<usize>().unwrap()}));
        }
        let in_url = asked.line.split_once("offset=").map(|(_, offset)| offset.parse().unwrap());
        let offset: usize = in_url.unwrap_or_else(|| asked.body["from"].as_u64().unwrap() as usize);
        requests += 1;
        let page = list.iter().skip(offset).take(PAGE).map(|(id, version)| match items {
            Items::Whole => json!({"id": id, "version": version}),
            Items::Ids => json!(id),
            Items::Restless => json!({"id": id, "request": requests}),
        });
        let page = Page::json(&page.collect::<Value>());
        for change in changes.iter().filter(|(after, _)| *after == requests).flat_map(|(_, changes)| *changes) {
            let (Change::Touched(id) | Change::Removed(id)) = *change;
            let at = list.iter().position(|(known, _)| *known == id).unwrap();
            let (_, version) = list.remove(at);
            match (change, order) {
                (Change::Removed(_), _) => {}
                (Change::Touched(_), Order::Ascending) => list.push((id, version + 1)),
                (Change::Touched(_), Order::Descending) => list.insert(0, (id, version + 1)),
            }
        }
        page
    })
    .await
}

#[tokio::test]
async fn a_list_that_changes_between_two_pages_is_read_without_loss() {
    use Change::{Removed, Touched};
    use Order::{Ascending, Descending};
    let (in_url, in_body) = (("/list?offset=NEXT_OFFSET", ""), ("/list", ", body: '{\"from\": NEXT_OFFSET}'"));
    let ids = (in_url.0, ", detail: { url: /items/ITEM_ID }");
    let every = (in_url.0, ", ignore_duplicates: false");
    let cases: [(&str, _, Order, Items, Changes); 10] = [
        ("still", in_url, Ascending, Items::Whole, &[]),
        ("one", in_url, Ascending, Items::Whole, &[(1, &[Touched(1)])]),
        ("last", in_url, Ascending, Items::Whole, &[(1, &[Touched(4)]), (3, &[Touched(3)])]),
        ("body", in_body, Ascending, Items::Whole, &[(2, &[Touched(0), Touched(8), Touched(2)]), (5, &[Touched(5)])]),
        (
            "page",
            in_body,
            Ascending,
            Items::Whole,
            &[(1, &[Touched(0), Touched(1), Touched(2), Touched(3), Touched(4)])],
        ),
        ("end", in_url, Ascending, Items::Whole, &[(5, &[Removed(0), Removed(1), Removed(2), Removed(9)])]),
        (
            "newest",
            in_url,
            Descending,
            Items::Whole,
            &[(1, &[Touched(3)]), (2, &[Touched(20), Touched(7), Touched(8)])],
        ),
        ("newer", in_body, Descending, Items::Whole, &[(1, &[Touched(22)]), (3, &[Removed(1), Removed(2)])]),
        ("ids", ids, Ascending, Items::Ids, &[(1, &[Touched(1), Touched(0)])]),
        ("every", every, Ascending, Items::Whole, &[(1, &[Touched(2)]), (4, &[Touched(1)])]),
    ];
    let (mut servers, mut sources) = (Vec::new(), String::new());
    for (name, (path, keys), order, items, changes) in cases {
        let server = changing_list(order, items, changes).await;
        sources += &poll_of(name, &server, path, &format!(", start: 0, interval: 1h{keys}"));
        servers.push(server);
    }
    let folder = folder(&sources);
    let host = folder.start().await;
    for (name, _, _, _, changes) in cases {
        let source = source_when(&host, name, |source| source["position"].as_str().is_some_and(|at| at != "0")).await;
        assert_eq!(source["last_error"], Value::Null, "{name}");
        let stored = bodies(&host, name).await;
        let distinct: BTreeSet<&String> = stored.iter().collect();
        assert_eq!(distinct.len(), stored.len(), "{name}: {stored:?}");
        let ids: BTreeSet<u64> =
            stored.iter().map(|body| serde_json::from_str::<Value>(body).unwrap()["id"].as_u64().unwrap()).collect();
        let changed = |id: usize| {
            changes
                .iter()
                .flat_map(|(_, changes)| *changes)
                .any(|change| matches!(change, Touched(known) | Removed(known) if *known == id))
        };
        for id in (0..ITEMS).filter(|id| !changed(*id)) {
            assert!(ids.contains(&(id as u64)), "{name}: {id} is missing in {stored:?}");
        }
    }
    // A list that does not change costs one item more a page.
    let lines: Vec<String> = servers[0].asked(7).await.iter().map(|asked| asked.line.clone()).collect();
    assert_eq!(lines, [0, 4, 8, 12, 16, 20, 22].map(|offset| format!("GET /list?offset={offset}")));
    // The details of an item are requested once.
    let asked = servers[8].asked(ITEMS).await;
    let details: Vec<&String> = asked.iter().map(|asked| &asked.line).filter(|line| line.contains("/items/")).collect();
    assert_eq!((details.len(), details.iter().collect::<BTreeSet<_>>().len()), (ITEMS, ITEMS), "{details:?}");
}

/// Such a list cannot be checked. It is read as far as it can be.
#[tokio::test]
async fn a_list_whose_items_differ_at_each_request_is_read_to_its_end() {
    let server = changing_list(Order::Ascending, Items::Restless, &[]).await;
    let folder = folder(&poll_of("items", &server, "/list?offset=NEXT_OFFSET", ", start: 0, interval: 1h"));
    let host = folder.start().await;
    source_when(&host, "items", |source| source["position"].as_str().is_some_and(|at| at != "0")).await;
    let stored = bodies(&host, "items").await;
    for id in 0..ITEMS {
        assert!(stored.iter().any(|body| body.starts_with(&format!("{{\"id\":{id},"))), "{id}: {stored:?}");
    }
    assert!(server.asked(1).await.len() < 20);
}
