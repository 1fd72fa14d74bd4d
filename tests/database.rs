//! The database of the hosts under test: the embedded one, or with `HOOKMILL_TEST_DATABASE=postgres` a database of
//! PostgreSQL for each test.

use std::thread;

const VARIABLE: &str = "HOOKMILL_TEST_DATABASE";
/// The key of all hosts under test: hosts that share a database need the same.
pub const SECRET_KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

const FILES: &str = "it changes the files of the embedded database";
const COMMANDS: &str = "its command opens the embedded database";
const REMOVED: &str = "hosts that share a database keep plugins whose files are gone";
const CLOCK: &str = "it sets the clock of its host, and hosts that share a database follow that one's";
const SETTINGS: &str = "it compares a whole configuration";

/// The tests that use the embedded database in any case, by the beginnings of their names, with the reasons.
const EMBEDDED: &[(&str, &str)] = &[
    ("backup", COMMANDS),
    ("clocks::", "it restarts with the pace of a clock, which is kept beside the embedded database"),
    ("config::", SETTINGS),
    ("config_errors::", SETTINGS),
    ("inbound::internal_errors_appear_in_the_log_only", FILES),
    ("inbound::overload_is_answered_503_and_stores_nothing", FILES),
    ("incident_commands::the_command_line_changes_all_incidents_that_match", FILES),
    ("issuers::keys_are_fetched_once_and_again_for_an_unknown_one", FILES),
    ("issuers::known_keys_stay_in_use_for_a_day_while_the_issuer_is_down", CLOCK),
    ("logs::every_request_has_an_id", FILES),
    ("logs::no_line_contains_a_secret", FILES),
    ("overview::open_incidents_waiting_events_and_silent_sources_are_counted", CLOCK),
    ("quarantine::large_groups_and_many_groups_are_listed_whole", FILES),
    (
        "quarantine::versions_that_are_not_live_are_run_and_compared",
        "a shared database keeps the files of refused versions",
    ),
    ("reload::a_removed_plugin_unloads_after_a_while_and_comes_back", REMOVED),
    ("reload::auto_finds_the_mapper_that_fits", REMOVED),
    ("reload::compiled_plugins_are_cached_and_checked", REMOVED),
    ("retention::", COMMANDS),
    ("search_index::", FILES),
    ("search::incidents_of_an_older_database_are_found_and_unchanged", FILES),
    ("senders::no_header_or_parameter_with_a_secret_is_stored", FILES),
    ("service::", FILES),
    ("sessions::changes_by_a_session_come_from_the_hosts_own_pages", FILES),
    ("sessions::a_code_begins_one_session", CLOCK),
    ("sessions::sessions_end", CLOCK),
    ("sources::a_registered_source_works_at_once_and_after_a_restart", FILES),
    ("sources::an_unusable_source_does_not_affect_others", "all hosts of a database need a key that is not made anew"),
    ("storage::", FILES),
    ("tokens::tokens_allow_what_their_scope_says", FILES),
    ("traces::without_traces_nothing_is_stored_or_passed_on", FILES),
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
