//! The serving of the console: where it is, and the headers that keep its pages to themselves. The pages run in
//! a browser in the tests of the console itself.

use crate::host::{Folder, Host, client, eventually};
use reqwest::{Client, Method, Response, redirect};
use std::fs;
use std::os::unix::fs::PermissionsExt;

const HEADERS: [(&str, &str); 5] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; font-src 'self'; img-src 'self' data:; \
         frame-ancestors 'none'; base-uri 'none'; form-action 'self'; require-trusted-types-for 'script'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
];
const BROWSER: &str = "text/html,application/xhtml+xml,*/*;q=0.8";

fn without_redirects() -> Client {
    Client::builder().no_proxy().redirect(redirect::Policy::none()).build().unwrap()
}

async fn get(url: &str, accept: &str) -> Response {
    without_redirects().get(url).header("accept", accept).send().await.unwrap()
}

fn header<'r>(response: &'r Response, name: &str) -> &'r str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

/// Whether it was built or not, `/console/` is a page, and only this page and its files may run.
#[tokio::test]
async fn browsers_get_a_page_that_runs_nothing_else() {
    let folder = Folder::new("");
    let host = folder.start().await;
    for (path, status) in
        [("/", 307), ("/console", 308), ("/console/", 200), ("/console/events/1", 200), ("/console/assets/0.js", 404)]
    {
        let response = get(&format!("{}{path}", host.url), BROWSER).await;
        assert_eq!(response.status().as_u16(), status, "{path}");
        for (name, value) in HEADERS {
            assert_eq!(header(&response, name), value, "{path}");
        }
        match status {
            200 => assert!(header(&response, "content-type").starts_with("text/html"), "{path}"),
            404 => assert_eq!(header(&response, "content-type"), "application/json"),
            _ => assert_eq!(header(&response, "location"), "/console/", "{path}"),
        }
    }
    for accept in ["*/*", "application/json"] {
        assert_eq!(get(&host.url, accept).await.status().as_u16(), 404, "programs have nothing to do there");
    }
    let posted = host.client.request(Method::POST, &host.url).header("accept", BROWSER).send().await.unwrap();
    assert_eq!(posted.status().as_u16(), 404);
    host.logs(&format!("the console is at {}/console/", host.url)).await;
}

/// Strangers who may post webhooks do not see the console of a host that keeps its API apart.
#[tokio::test]
async fn the_console_is_only_where_the_api_is() {
    let folder = Folder::new("admin_listen: 127.0.0.1:0");
    let host = folder.start_listening().await;
    for path in ["/", "/console", "/console/", "/console/events"] {
        assert_eq!(get(&format!("{}{path}", host.url), BROWSER).await.status().as_u16(), 404, "{path}");
    }
    let console = console_address(&host).await;
    assert!(!console.starts_with(&host.url), "{console}");
    assert_eq!(get(&console, BROWSER).await.status().as_u16(), 200);
    assert_eq!(client().get(&console).send().await.unwrap().status().as_u16(), 200, "also without Accept-Encoding");
}

/// `serve --open` opens the console in the browser of the person who starts the host; without a browser it goes on.
#[tokio::test]
async fn the_console_is_opened_on_request() {
    let folder = Folder::new("");
    fs::create_dir(folder.path("bin")).unwrap();
    let opener = folder.path("bin/xdg-open");
    fs::write(&opener, "#!/bin/sh\nprintf %s \"$1\" >opened.part && /bin/mv opened.part opened\n").unwrap();
    fs::set_permissions(&opener, fs::Permissions::from_mode(0o755)).unwrap();
    let mut serve = folder.hookmill(&["serve", "--open"]);
    let host = folder.start_listening_by(serve.env("PATH", folder.path("bin"))).await;
    let opened = eventually("the address", async || fs::read_to_string(folder.path("opened")).ok()).await;
    assert_eq!(opened, format!("{}/console/", host.url));
    drop(host);
    let mut serve = folder.hookmill(&["serve", "--open"]);
    let host = folder.start_listening_by(serve.env("PATH", folder.path("data"))).await;
    host.logs("cannot open the console in a browser").await;
    assert_eq!(host.get_open("/healthz").await.0, 200);
}

/// Returns the address that the host logs.
async fn console_address(host: &Host<'_>) -> String {
    const LOGGED: &str = "the console is at ";
    host.logs(LOGGED).await;
    let log = host.log();
    log.split_once(LOGGED).unwrap().1.split_whitespace().next().unwrap().to_owned()
}
