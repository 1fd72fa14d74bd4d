//! The database of the hosts under test: the embedded one, or with `HOOKMILL_TEST_DATABASE=postgres` a database of
//! PostgreSQL for each test.

use std::thread;

const VARIABLE: &str = "HOOKMILL_TEST_DATABASE";
/// The key of all hosts under test: hosts that share a database need the same.
pub const SECRET_KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

const FILES: &str = "it changes the files of the embedded database";
const COMMANDS: &str = "its command opens the embedded database";
const SETTINGS: &str = "it compares a whole configuration";

/// The tests that use the embedded database in any case, by the beginnings of their names, with the reasons.
const EMBEDDED: &[(&str, &str)] = &[
    ("backup", COMMANDS),
    ("config::", SETTINGS),
    ("config_errors::", SETTINGS),
    ("clocks::", "it restarts with the pace of a clock, which is kept beside the embedded database"),
    ("dead_letters::results_", COMMANDS),
    ("inbound::secrets_are_never_stored", FILES),
    ("inbound::repeats_", FILES),
    ("issuers::", FILES),
    ("logs::", FILES),
    ("quarantine::", FILES),
    ("releases::results_of_samples_need_scope_admin", COMMANDS),
    ("retention::", COMMANDS),
    ("search::", FILES),
    ("senders::", FILES),
    ("service::", FILES),
    ("sessions::", COMMANDS),
    ("signals::", COMMANDS),
    ("storage::", FILES),
    ("tokens::", COMMANDS),
];

/// Returns whether the tests run on PostgreSQL.
pub fn is_shared() -> bool {
    match std::env::var(VARIABLE) {
        Ok(name) => {
            assert_eq!(name, "postgres", "{VARIABLE} is `postgres` or not set");
            true
        }
        Err(_) => false,
    }
}

/// Returns the URL of a new database for the test of this thread; `None` if its hosts use the embedded one.
pub fn for_this_test() -> Option<String> {
    if !is_shared() {
        return None;
    }
    let name = thread::current().name().unwrap_or_default().to_owned();
    match EMBEDDED.iter().find(|(test, _)| name.starts_with(test)) {
        Some((_, reason)) => {
            eprintln!("{name} runs on the embedded database: {reason}");
            None
        }
        None => Some(hookmill_test_postgres::new_database()),
    }
}
