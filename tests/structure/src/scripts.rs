//! The imports between the files of the SDKs for TypeScript and Python.

use crate::imports::{Module, Modules, circle, workspace};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The folder of each SDK, and the extension of its files.
const SDKS: [(&str, &str); 2] = [("sdk/js", "ts"), ("sdk/python/hookmill", "py")];

/// Returns the files of one folder that a line imports: `from "./name"` in TypeScript, `from .name import` and
/// `from . import name, name` in Python.
fn imported(line: &str) -> Vec<&str> {
    let ends = |c: char| !c.is_alphanumeric() && c != '_';
    if let Some((_, path)) = line.split_once(" from \"./") {
        return path.split('"').take(1).collect();
    }
    match line.trim_start().strip_prefix("from .") {
        Some(rest) => match rest.strip_prefix(" import ") {
            Some(names) => names.split(", ").map(|name| name.split(ends).next().unwrap()).collect(),
            None => rest.split(ends).take(1).collect(),
        },
        None => Vec::new(),
    }
}

/// Returns the imports between files, given by their names and texts.
fn imports(files: &BTreeMap<String, String>) -> Modules {
    let imports = |text: &str| {
        let known = text.lines().flat_map(imported).filter(|name| files.contains_key(*name));
        Module { imports: known.map(str::to_owned).collect(), ..Module::default() }
    };
    files.iter().map(|(name, text)| (name.clone(), imports(text))).collect()
}

#[test]
fn no_file_of_an_sdk_imports_itself_in_a_circle() {
    for (folder, extension) in SDKS {
        let paths = std::fs::read_dir(workspace().join(folder)).unwrap().map(|entry| entry.unwrap().path());
        let paths = paths.filter(|path| path.extension().is_some_and(|found| found == extension));
        let read = |path: PathBuf| {
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), std::fs::read_to_string(path).unwrap())
        };
        let modules = imports(&paths.map(read).collect());
        let count: usize = modules.values().map(|module| module.imports.len()).sum();
        assert!(count > modules.len(), "{folder}: only {count} imports were recognised");
        assert_eq!(circle(&modules), None, "files of {folder} import each other in a circle");
    }
}

#[test]
fn every_form_of_an_import_is_recognised() {
    for (line, expected) in [
        ("import { a, b } from \"./one\";", &["one"][..]),
        ("export { a, type B } from \"./one\";", &["one"]),
        ("} from \"./one\";", &["one"]),
        ("import lines from \"./techniques.txt\";", &["techniques.txt"]),
        ("import { log } from \"hookmill:plugin/log@0.1.0\";", &[]),
        ("from .one import a, b", &["one"]),
        ("    from .one_two import (", &["one_two"]),
        ("from . import one, two as second", &["one", "two"]),
        ("from typing import List", &[]),
    ] {
        assert_eq!(imported(line), expected, "{line}");
    }
    let circle_with = |two: &str| {
        let files = [("one", "import { a } from \"./two\";"), ("two", two)];
        circle(&imports(&files.map(|(name, text)| (name.to_owned(), text.to_owned())).into()))
    };
    assert_eq!(circle_with("import lines from \"./three.txt\";"), None);
    assert_eq!(circle_with("import { a } from \"./one\";"), Some(vec!["one".into(), "two".into()]));
}
