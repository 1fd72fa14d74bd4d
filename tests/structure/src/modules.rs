//! The order of the modules in each crate.

use crate::crates::crates_with_an_order;
use crate::documents::{in_backticks, read, table};
use crate::imports::{Modules, circle, has_only_modules, imports, parse, workspace};
use std::collections::BTreeMap;

/// The crate whose modules have a table of their own, and roles in it.
const WITH_ROLES: &str = "host";

/// Returns the modules of a crate from the lowest to the highest, as ARCHITECTURE.md lists them.
fn order(of: &str) -> Vec<String> {
    let architecture = read("ARCHITECTURE.md");
    let rows = match of {
        WITH_ROLES => table(&architecture, "## Modules of the host"),
        _ => table(&architecture, "## Modules of the other crates"),
    };
    let modules = rows.iter().filter_map(|row| match of {
        WITH_ROLES => Some(&row[0]),
        _ => (row[0] == format!("`{of}`")).then(|| &row[1]),
    });
    modules.flat_map(|cell| in_backticks(cell)).map(|module| module.trim_end_matches('/').to_owned()).collect()
}

/// Returns what is wrong with the imports of a crate, whose modules at the top have this order.
fn refusals(modules: &Modules, order: &[String]) -> Vec<String> {
    let place: BTreeMap<&str, usize> = order.iter().enumerate().map(|(place, name)| (name.as_str(), place)).collect();
    let top = |module: &str| module.split("::").next().unwrap().to_owned();
    let is_root = |module: &str| module == "lib" || module == "main";
    let mut refusals = Vec::new();
    for (module, found) in modules.iter().filter(|(module, _)| !is_root(module)) {
        let from = top(module);
        if !place.contains_key(from.as_str()) {
            refusals.push(format!("`{from}` has no place in the order"));
        }
        for to in found.imports.iter().filter(|imported| top(imported) != from) {
            if is_root(to) || place.get(top(to).as_str()) >= place.get(from.as_str()) {
                refusals.push(format!("`{module}` imports `{to}`, which is not before it"));
            }
        }
    }
    let gone = order.iter().filter(|name| !modules.contains_key(*name));
    refusals.extend(gone.map(|name| format!("`{name}` has a place in the order and does not exist")));
    refusals
}

#[test]
fn no_file_imports_itself_in_a_circle_and_no_module_a_later_one() {
    for name in crates_with_an_order() {
        let files = parse(&workspace().join(&name).join("src"));
        let modules = imports(&files);
        assert_eq!(circle(&modules), None, "files of `{name}` import each other in a circle");
        let refusals = refusals(&modules, &order(&name));
        assert!(refusals.is_empty(), "the order of ARCHITECTURE.md for `{name}`: {refusals:#?}");
    }
}

/// Otherwise names of the root would be imports that no order covers.
#[test]
fn the_root_of_a_library_only_declares_modules_and_their_names() {
    for name in crates_with_an_order() {
        let files = parse(&workspace().join(&name).join("src"));
        let root = files.get("lib").filter(|_| files.len() > 1);
        assert!(
            root.is_none_or(has_only_modules),
            "{name}/src/lib.rs has something else than `mod` and `pub use NAME`"
        );
    }
}

#[test]
fn an_upward_import_is_refused() {
    for (low, order, expected) in [
        ("use super::lowest::Thing;", ["lowest", "low", "high"], ""),
        ("use super::high::Thing;", ["lowest", "low", "high"], "`low` imports `high`, which is not before it"),
        ("use crate as c;", ["lowest", "low", "high"], "`low` imports `lib`, which is not before it"),
        ("", ["lowest", "low", "low"], "`high` has no place in the order"),
        (
            "",
            ["lowest", "low", "higher"],
            "`high` has no place in the order, `higher` has a place in the order and does not exist",
        ),
    ] {
        let files = [("lib", ""), ("lowest", ""), ("low", low), ("high", "use crate::low::Thing;")];
        let files = files.map(|(name, text)| (name.to_owned(), syn::parse_file(text).unwrap())).into();
        let refusals: Vec<_> = refusals(&imports(&files), &order.map(str::to_owned));
        let refusals = refusals.into_iter().filter(|refusal| !refusal.contains("`high` imports"));
        assert_eq!(refusals.collect::<Vec<_>>().join(", "), expected, "{low}");
    }
}
