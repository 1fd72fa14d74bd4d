//! Reads the imports between the files of a crate.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use syn::visit::{self, Visit};
use syn::{Attribute, ItemMod, ItemUse, Meta, UseTree};

/// The modules of a crate, `config::file` for `config/file.rs`, each with the modules that it imports.
pub type Imports = BTreeMap<String, BTreeSet<String>>;

/// The root of the workspace.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Returns every Rust file below a folder.
pub fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// Returns the imports between the files of a crate's `src` folder, without those of tests. The declaration of a module in
/// its parent is not an import.
pub fn imports(src: &Path) -> Imports {
    let files: BTreeMap<String, PathBuf> =
        rust_files(src).into_iter().map(|file| (module_of(src, &file), file)).collect();
    let names: BTreeSet<String> = files.keys().cloned().collect();
    files
        .iter()
        .map(|(module, file)| {
            let text = std::fs::read_to_string(file).unwrap();
            let mut found = Found { module, modules: &names, imports: BTreeSet::new() };
            found.visit_file(&syn::parse_file(&text).unwrap());
            (module.clone(), found.imports)
        })
        .collect()
}

/// Returns modules that import each other in a circle, if there are any.
pub fn circle(imports: &Imports) -> Option<Vec<String>> {
    let mut done = BTreeSet::new();
    imports.keys().find_map(|module| circle_from(module, imports, &mut Vec::new(), &mut done))
}

fn circle_from(
    module: &str,
    imports: &Imports,
    path: &mut Vec<String>,
    done: &mut BTreeSet<String>,
) -> Option<Vec<String>> {
    if let Some(start) = path.iter().position(|known| known == module) {
        return Some(path[start..].to_vec());
    }
    if !done.insert(module.to_owned()) {
        return None;
    }
    path.push(module.to_owned());
    let found = imports[module].iter().find_map(|next| circle_from(next, imports, path, done));
    path.pop();
    found
}

fn module_of(src: &Path, file: &Path) -> String {
    let path = file.strip_prefix(src).unwrap().with_extension("");
    path.iter().map(|part| part.to_str().unwrap()).collect::<Vec<_>>().join("::")
}

struct Found<'a> {
    module: &'a str,
    modules: &'a BTreeSet<String>,
    imports: BTreeSet<String>,
}

impl Found<'_> {
    /// Records the longest part of a path that is a module of this crate.
    fn add(&mut self, path: &[String]) {
        let own: Vec<String> = match self.module {
            "lib" | "main" => Vec::new(),
            module => module.split("::").map(str::to_owned).collect(),
        };
        let ups = path.iter().take_while(|part| *part == "super").count();
        let absolute = match path.first().map(String::as_str) {
            Some("crate") => path[1..].to_vec(),
            Some("self") => [&own[..], &path[1..]].concat(),
            Some("super") if ups <= own.len() => [&own[..own.len() - ups], &path[ups..]].concat(),
            _ => [&own[..], path].concat(),
        };
        let longest = (1..=absolute.len()).rev().map(|length| absolute[..length].join("::"));
        let target = longest.into_iter().find(|module| self.modules.contains(module));
        self.imports.extend(target.filter(|target| target != self.module));
    }

    fn add_tree(&mut self, tree: &UseTree, before: &[String]) {
        match tree {
            UseTree::Path(path) => self.add_tree(&path.tree, &[before, &[path.ident.to_string()]].concat()),
            UseTree::Name(name) => self.add(&[before, &[name.ident.to_string()]].concat()),
            UseTree::Rename(name) => self.add(&[before, &[name.ident.to_string()]].concat()),
            UseTree::Glob(_) => self.add(before),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.add_tree(tree, before)),
        }
    }
}

impl<'ast> Visit<'ast> for Found<'_> {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if !is_test(&item.attrs) {
            self.add_tree(&item.tree, &[]);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let parts: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if parts.len() > 1 {
            self.add(&parts);
        }
        visit::visit_path(self, path);
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        _ => false,
    })
}

#[test]
fn a_circle_is_found() {
    let imports = |pairs: &[(&str, &str)]| -> Imports {
        let mut imports = Imports::new();
        for (from, to) in pairs {
            imports.entry((*from).to_owned()).or_default().insert((*to).to_owned());
            imports.entry((*to).to_owned()).or_default();
        }
        imports
    };
    assert_eq!(circle(&imports(&[("a", "b"), ("b", "c"), ("a", "c")])), None);
    assert_eq!(circle(&imports(&[("a", "b"), ("b", "c"), ("c", "b")])), Some(vec!["b".into(), "c".into()]));
}
