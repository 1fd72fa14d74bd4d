//! Reads the imports between the files of a crate.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use syn::visit::{self, Visit};
use syn::{Attribute, ItemMod, ItemUse, Meta, UseTree, Visibility};

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
/// its parent is not an import, and neither is a re-export: what is imported through one counts as imported from the file
/// that defines it.
pub fn imports(src: &Path) -> Imports {
    let files: BTreeMap<String, syn::File> = rust_files(src)
        .into_iter()
        .map(|file| {
            let text = std::fs::read_to_string(&file).unwrap();
            (module_of(src, &file), syn::parse_file(&text).unwrap())
        })
        .collect();
    let modules: BTreeSet<String> = files.keys().cloned().collect();
    let mut re_exports = BTreeMap::new();
    for (module, file) in &files {
        let mut found = Found::new(module, &modules);
        found.visit_file(file);
        re_exports.extend(found.re_exports.into_iter().map(|(name, target)| ((module.clone(), name), target)));
    }
    let defining = |mut module: String, name: Option<String>| {
        while let Some(target) = name.as_ref().and_then(|name| re_exports.get(&(module.clone(), name.clone()))) {
            module.clone_from(target);
        }
        module
    };
    files
        .iter()
        .map(|(module, file)| {
            let mut found = Found::new(module, &modules);
            found.visit_file(file);
            let imports = found.imports.into_iter().map(|(target, name)| defining(target, name));
            (module.clone(), imports.filter(|target| target != module).collect())
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
    /// Modules, each with the name that is taken from it.
    imports: BTreeSet<(String, Option<String>)>,
    /// Names that this module re-exports, each with the module that it takes them from.
    re_exports: BTreeMap<String, String>,
}

impl<'a> Found<'a> {
    fn new(module: &'a str, modules: &'a BTreeSet<String>) -> Self {
        Self { module, modules, imports: BTreeSet::new(), re_exports: BTreeMap::new() }
    }

    /// Returns the module that a path leads into, and the name after it.
    fn resolve(&self, path: &[String]) -> Option<(String, Option<String>)> {
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
        let found = (1..=absolute.len()).rev().find_map(|length| {
            let module = absolute[..length].join("::");
            self.modules.contains(&module).then(|| (module, absolute.get(length).cloned()))
        });
        // The root of a library is where its other names come from.
        let is_from_root = path.first().is_some_and(|first| first == "crate") && self.modules.contains("lib");
        found.or_else(|| is_from_root.then(|| ("lib".to_owned(), absolute.first().cloned())))
    }

    fn add(&mut self, path: &[String]) {
        let target = self.resolve(path).filter(|(target, _)| target != self.module);
        self.imports.extend(target);
    }

    fn add_re_export(&mut self, path: &[String], name: String) {
        if let Some((target, _)) = self.resolve(path).filter(|(target, _)| target != self.module) {
            self.re_exports.insert(name, target);
        }
    }

    fn add_tree(&mut self, tree: &UseTree, before: &[String], is_re_export: bool) {
        let with = |ident: &syn::Ident| [before, &[ident.to_string()]].concat();
        match tree {
            UseTree::Path(path) => self.add_tree(&path.tree, &with(&path.ident), is_re_export),
            UseTree::Name(name) if is_re_export => self.add_re_export(&with(&name.ident), name.ident.to_string()),
            UseTree::Name(name) => self.add(&with(&name.ident)),
            UseTree::Rename(name) if is_re_export => self.add_re_export(&with(&name.ident), name.rename.to_string()),
            UseTree::Rename(name) => self.add(&with(&name.ident)),
            UseTree::Glob(_) if !is_re_export => self.add(before),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.add_tree(tree, before, is_re_export)),
            _ => {}
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
            self.add_tree(&item.tree, &[], !matches!(item.vis, Visibility::Inherited));
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
