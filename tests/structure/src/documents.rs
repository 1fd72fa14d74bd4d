//! The statements of ARCHITECTURE.md, CONTRIBUTING.md and the decisions about files and tests.

use crate::imports::workspace;

const DOCUMENTS: [&str; 2] = ["ARCHITECTURE.md", "CONTRIBUTING.md"];
const DECISIONS: &str = "docs/decisions";
const EXTENSIONS: [&str; 9] = ["rs", "md", "json", "yaml", "toml", "py", "sql", "wat", "wit"];

/// Returns the text of a document.
pub fn read(name: &str) -> String {
    std::fs::read_to_string(workspace().join(name)).unwrap()
}

/// Returns the cells of the first table below a heading, without its head.
pub fn table(document: &str, heading: &str) -> Vec<Vec<String>> {
    let lines = document.lines().skip_while(|line| *line != heading).skip_while(|line| !line.starts_with('|'));
    let rows = lines.take_while(|line| line.starts_with('|')).skip(2);
    let cells = |row: &str| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    let rows: Vec<Vec<String>> = rows.map(cells).collect();
    assert!(!rows.is_empty(), "no table below `{heading}`");
    rows
}

/// Returns every text between backticks.
pub fn in_backticks(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// Returns the part of a path that must exist, if the text looks like a path of this repository: all before a placeholder
/// such as `NAME` or `*`, or before the name of a test.
fn path(text: &str) -> Option<String> {
    let is_placeholder =
        |part: &str| part.contains('*') || part.chars().any(|c| c.is_ascii_uppercase()) && !part.contains('.');
    let text = text.strip_prefix("./").unwrap_or(text);
    let text = text.split_once("::").map_or(text, |(file, _)| file);
    let is_named =
        text.rsplit_once('.').is_some_and(|(stem, extension)| !stem.is_empty() && EXTENSIONS.contains(&extension));
    let is_path = text.trim_end_matches('/').contains('/') && !text.starts_with('/') && !text.contains(' ');
    let before: Vec<&str> = text.split('/').take_while(|part| !is_placeholder(part)).collect();
    (is_path || is_named).then(|| before.join("/"))
}

/// Returns each list item below a heading.
fn items<'a>(document: &'a str, heading: &str) -> Vec<&'a str> {
    let (_, section) = document.split_once(heading).unwrap();
    let section = section.split("\n## ").next().unwrap();
    section.split("\n- ").skip(1).map(|item| item.split("\n\n").next().unwrap()).collect()
}

/// Returns the tests that an invariant names between brackets, each as the path of its file and its name. `FILE::TEST` is
/// in `tests/`, `FOLDER/FILE.rs::TEST` in another folder.
fn tests(invariant: &str) -> Vec<(String, &str)> {
    let brackets = invariant.split('[').skip(1).filter_map(|text| text.split_once(']')).map(|(inside, _)| inside);
    let named = brackets.flat_map(in_backticks).filter_map(|name| name.split_once("::"));
    let path = |file: &str| if file.ends_with(".rs") { file.to_owned() } else { format!("tests/{file}.rs") };
    named.map(|(file, test)| (path(file), test)).collect()
}

#[test]
fn every_path_exists() {
    let decisions = std::fs::read_dir(workspace().join(DECISIONS)).unwrap();
    let decisions = decisions.map(|file| format!("{DECISIONS}/{}", file.unwrap().file_name().to_str().unwrap()));
    for document in DOCUMENTS.map(str::to_owned).into_iter().chain(decisions) {
        let text = read(&document);
        let paths = in_backticks(&text).into_iter().filter_map(path);
        let gone: Vec<_> = paths.filter(|path| !workspace().join(path).exists()).collect();
        assert!(gone.is_empty(), "{document} names files that do not exist: {gone:#?}");
    }
}

#[test]
fn every_invariant_has_a_test() {
    for invariant in items(&read("ARCHITECTURE.md"), "## Invariants") {
        let tests = tests(invariant);
        assert!(!tests.is_empty(), "no test holds: {invariant}");
        for (file, test) in tests {
            let has_test = read(&file).contains(&format!("fn {test}("));
            assert!(has_test, "{file} has no test `{test}`, which holds: {invariant}");
        }
    }
}

#[test]
fn paths_and_tests_are_recognised() {
    for (text, expected) in [
        ("host/src/api.rs", Some("host/src/api.rs")),
        ("host/src/api/", Some("host/src/api/")),
        ("README.md", Some("README.md")),
        ("./setup/x", Some("setup/x")),
        ("plugins/NAME/payloads", Some("plugins")),
        ("tests/guests/*.wat", Some("tests/guests")),
        ("/api/webhooks/edr", None),
        ("store/src/model.rs::equal", Some("store/src/model.rs")),
        ("inbound::concurrent", None),
        ("release/", None),
        ("signatures", None),
        (".wat", None),
        ("https://example.com/a b", None),
    ] {
        assert_eq!(path(text).as_deref(), expected, "{text}");
    }
    assert_eq!(
        tests("**A.** [a link](to), and B. [`one::two`, `store/src/x.rs::four`; the test `x`]"),
        [("tests/one.rs".to_owned(), "two"), ("store/src/x.rs".to_owned(), "four")]
    );
    assert_eq!(items("## A\n- x\n## B\n\n- one\n  more\n- two\n\nAfter.\n## C\n- y", "## B"), ["one\n  more", "two"]);
}
