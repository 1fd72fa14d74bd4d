//! Reads the imports between the files of a crate.

use proc_macro2::{TokenStream, TokenTree};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMacro, ItemMod, ItemUse, Macro, Meta, UseTree, Visibility};

/// The modules of a crate, `config::file` for `config/file.rs`. The root is `lib` or `main`.
pub type Modules = BTreeMap<String, Module>;

/// The names in one file of things outside of it.
#[derive(Debug, Default)]
pub struct Module {
    /// The modules of its own crate.
    pub imports: BTreeSet<String>,
    /// The first names of all other paths, among them other crates.
    pub others: BTreeSet<String>,
}

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

/// Returns the parsed files of a crate's `src` folder by module.
pub fn parse(src: &Path) -> BTreeMap<String, syn::File> {
    let parsed = |file: PathBuf| {
        let path = file.strip_prefix(src).unwrap().with_extension("");
        let module = path.iter().map(|part| part.to_str().unwrap()).collect::<Vec<_>>().join("::");
        (module, syn::parse_file(&std::fs::read_to_string(&file).unwrap()).unwrap())
    };
    rust_files(src).into_iter().map(parsed).collect()
}

/// Returns the imports between the files of a crate, without those of tests. Paths count wherever they are, also in the
/// arguments of macros. A name that a `use` brings into a file counts as imported from the file that defines the name. The
/// declaration of a module in its parent is not an import, and neither is the re-export of a module below.
pub fn imports(files: &BTreeMap<String, syn::File>) -> Modules {
    let mut names = Names { modules: files.keys().cloned().collect(), uses: BTreeMap::new() };
    let found: Vec<Found> = files.iter().map(|(module, file)| Found::read(module, file)).collect();
    for used in found.iter().flat_map(|found| &found.uses) {
        names.uses.insert((used.module(&names), used.name.clone()), used.path.clone());
    }
    for test in found.iter().flat_map(|found| &found.test_modules).map(|path| path.join("::")) {
        names.modules.retain(|module| *module != test && !module.starts_with(&format!("{test}::")));
    }
    found
        .iter()
        .filter(|found| names.modules.contains(found.module))
        .map(|found| (found.module.to_owned(), names.of(found)))
        .collect()
}

/// Returns modules that import each other in a circle, if there are any.
pub fn circle(modules: &Modules) -> Option<Vec<String>> {
    let mut done = BTreeSet::new();
    modules.keys().find_map(|module| circle_from(module, modules, &mut Vec::new(), &mut done))
}

fn circle_from(
    module: &str,
    modules: &Modules,
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
    let found = modules[module].imports.iter().find_map(|next| circle_from(next, modules, path, done));
    path.pop();
    found
}

/// The names of a crate that paths resolve through.
struct Names {
    modules: BTreeSet<String>,
    /// The path behind each name that a `use` brings into a module.
    uses: BTreeMap<(String, String), Vec<String>>,
}

impl Names {
    fn root(&self) -> &'static str {
        if self.modules.contains("main") { "main" } else { "lib" }
    }

    /// Returns the module that the beginning of a path from the root names, and the length of this beginning.
    fn module(&self, path: &[String]) -> (String, usize) {
        let longest = (1..=path.len()).rev().map(|length| (path[..length].join("::"), length));
        longest.into_iter().find(|(module, _)| self.modules.contains(module)).unwrap_or((self.root().to_owned(), 0))
    }

    /// Returns the module that defines what a path from the root names.
    fn defining(&self, mut path: Vec<String>) -> String {
        let mut seen = BTreeSet::new();
        loop {
            let (module, length) = self.module(&path);
            let Some(name) = path.get(length) else { return module };
            let key = (module, name.clone());
            match self.uses.get(&key) {
                // A name such as `anyhow::anyhow` leads back to itself: it is of another crate.
                Some(target) if seen.insert(key.clone()) => path = [target, &path[length + 1..]].concat(),
                _ => return key.0,
            }
        }
    }

    fn of(&self, found: &Found) -> Module {
        let is_below = |module: &str| found.module == self.root() || module.starts_with(&format!("{}::", found.module));
        let re_exported =
            found.uses.iter().filter(|used| used.is_re_export).map(|used| self.defining(used.path.clone()));
        let re_exported = re_exported.filter(|module| !is_below(module));
        let used = found.uses.iter().filter(|used| !used.is_re_export).map(|used| &used.path);
        let named = used.chain(&found.paths).map(|path| self.defining(path.clone()));
        let imports = re_exported.chain(named).filter(|module| module != found.module).collect();
        Module { imports, others: found.others.clone() }
    }
}

/// A name that a `use` brings into a module.
struct Used {
    scope: Vec<String>,
    name: String,
    /// The path behind the name, from the root.
    path: Vec<String>,
    is_re_export: bool,
}

impl Used {
    fn module(&self, names: &Names) -> String {
        names.module(&self.scope).0
    }
}

/// Everything that one file names.
struct Found<'a> {
    module: &'a str,
    /// The module at the present place in the file, from the root.
    scope: Vec<String>,
    uses: Vec<Used>,
    /// Paths outside of a `use`, from the root.
    paths: Vec<Vec<String>>,
    others: BTreeSet<String>,
    /// Modules in files of their own that exist only in tests.
    test_modules: Vec<Vec<String>>,
}

impl<'a> Found<'a> {
    fn read(module: &'a str, file: &syn::File) -> Self {
        let scope = match module {
            "lib" | "main" => Vec::new(),
            module => module.split("::").map(str::to_owned).collect(),
        };
        let mut found = Self {
            module,
            scope,
            uses: Vec::new(),
            paths: Vec::new(),
            others: BTreeSet::new(),
            test_modules: Vec::new(),
        };
        found.visit_file(file);
        found
    }

    /// Returns a path from the root.
    fn absolute(&mut self, path: &[String]) -> Vec<String> {
        let ups = path.iter().take_while(|part| *part == "super").count();
        match path[0].as_str() {
            "crate" => path[1..].to_vec(),
            "self" => [&self.scope[..], &path[1..]].concat(),
            "super" => [&self.scope[..self.scope.len() - ups], &path[ups..]].concat(),
            first => {
                self.others.insert(first.to_owned());
                [&self.scope[..], path].concat()
            }
        }
    }

    fn add_path(&mut self, path: &[String]) {
        if path.len() > 1 {
            let path = self.absolute(path);
            self.paths.push(path);
        }
    }

    fn add_use(&mut self, path: &[String], name: String, is_re_export: bool) {
        let path = self.absolute(path);
        self.uses.push(Used { scope: self.scope.clone(), name, path, is_re_export });
    }

    fn add_tree(&mut self, tree: &UseTree, before: &[String], is_re_export: bool) {
        let with = |ident: &syn::Ident| [before, &[ident.to_string()]].concat();
        match tree {
            UseTree::Path(path) => self.add_tree(&path.tree, &with(&path.ident), is_re_export),
            UseTree::Name(name) if name.ident == "self" => {
                self.add_use(before, before[before.len() - 1].clone(), is_re_export);
            }
            UseTree::Name(name) => self.add_use(&with(&name.ident), name.ident.to_string(), is_re_export),
            UseTree::Rename(name) if name.ident == "self" => {
                self.add_use(before, name.rename.to_string(), is_re_export);
            }
            UseTree::Rename(name) => self.add_use(&with(&name.ident), name.rename.to_string(), is_re_export),
            UseTree::Glob(_) => self.add_use(before, "*".to_owned(), is_re_export),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.add_tree(tree, before, is_re_export)),
        }
    }

    /// Adds every path in the arguments of a macro, which are not parsed.
    fn add_tokens(&mut self, tokens: TokenStream) {
        let (mut path, mut colons) = (Vec::new(), 0);
        for token in tokens {
            match token {
                TokenTree::Ident(ident) if colons == 2 => path.push(ident.to_string()),
                TokenTree::Punct(punct) if punct.as_char() == ':' => {
                    colons += 1;
                    continue;
                }
                token => {
                    self.add_path(&std::mem::take(&mut path));
                    match token {
                        TokenTree::Ident(ident) => path.push(ident.to_string()),
                        TokenTree::Group(group) => self.add_tokens(group.stream()),
                        TokenTree::Punct(_) | TokenTree::Literal(_) => {}
                    }
                }
            }
            colons = 0;
        }
        self.add_path(&path);
    }
}

impl<'ast> Visit<'ast> for Found<'_> {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        self.scope.push(item.ident.to_string());
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        } else if item.content.is_none() {
            self.test_modules.push(self.scope.clone());
        }
        self.scope.pop();
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if !is_test(&item.attrs) {
            self.add_tree(&item.tree, &[], !matches!(item.vis, Visibility::Inherited));
        }
    }

    /// An exported macro is named as if the root defined it.
    fn visit_item_macro(&mut self, item: &'ast ItemMacro) {
        if let Some(name) = item.ident.as_ref().filter(|_| has(&item.attrs, "macro_export")) {
            let path = [&self.scope[..], &[name.to_string()]].concat();
            self.uses.push(Used { scope: Vec::new(), name: name.to_string(), path, is_re_export: true });
        }
        visit::visit_item_macro(self, item);
    }

    /// The module of `pub(in …)` is above, and is not imported.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let parts: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.add_path(&parts);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast Macro) {
        self.add_tokens(item.tokens.clone());
        visit::visit_macro(self, item);
    }
}

fn has(attributes: &[Attribute], name: &str) -> bool {
    attributes.iter().any(|attribute| attribute.path().is_ident(name))
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        _ => false,
    })
}

/// Returns whether a file has only declarations of modules and re-exports by name.
pub fn has_only_modules(file: &syn::File) -> bool {
    fn has_glob(tree: &UseTree) -> bool {
        match tree {
            UseTree::Path(path) => has_glob(&path.tree),
            UseTree::Group(group) => group.items.iter().any(has_glob),
            UseTree::Glob(_) => true,
            _ => false,
        }
    }
    file.items.iter().all(|item| match item {
        Item::Mod(item) => item.content.is_none(),
        Item::Use(item) => matches!(item.vis, Visibility::Public(_)) && !has_glob(&item.tree),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the imports of a crate with these files, as `from > to`.
    fn edges(files: &[(&str, &str)]) -> Vec<String> {
        let files = files.iter().map(|(module, text)| ((*module).to_owned(), syn::parse_file(text).unwrap())).collect();
        let modules = imports(&files);
        let edges =
            modules.iter().flat_map(|(from, module)| module.imports.iter().map(move |to| format!("{from} > {to}")));
        edges.collect()
    }

    #[test]
    fn every_way_to_name_a_module_is_an_import() {
        for (text, expected) in [
            ("use crate::high::Thing;", "low > high"),
            ("use crate::{high as h}; fn f() { h::deep::g() }", "low > high, low > high::deep"),
            ("use crate as c; fn f() { c::high::g() }", "low > high, low > lib"),
            ("use super::high; fn f() { high::deep::g() }", "low > high, low > high::deep"),
            ("use crate::high::{self, deep}; fn f() { deep::g() }", "low > high, low > high::deep"),
            ("fn f() { crate::high::g() }", "low > high"),
            ("fn f(thing: super::high::Thing) {}", "low > high"),
            ("use crate::high::Deep;", "low > high::deep"),
            ("use crate::Renamed;", "low > high::deep"),
            ("pub(crate) use crate::high::Thing;", "low > high"),
            ("pub use crate::high::*;", "low > high"),
            ("pub use crate::high::Thing as Other;", "low > high"),
            ("mod inner { use super::super::high::Thing; }", "low > high"),
            ("fn f() { format!(\"{}\", crate::high::NAME) }", "low > high"),
            ("fn f() { outer!(a => [inner(super::high::deep::g())]) }", "low > high::deep"),
            ("use crate::high; fn f() { json!({ \"a\": high::deep::NAME }) }", "low > high, low > high::deep"),
            ("fn f() { crate::made!(high) }", "low > high"),
            ("macro_rules! own { () => { $crate::high::g() } }", "low > high"),
            ("use anyhow::anyhow; fn f() { anyhow::bail!(\"crate::high\") }", ""),
            ("#[cfg(test)] mod tests { use crate::high::Thing; }", ""),
            ("pub mod under; pub use under::Part;", ""),
            ("pub(in crate::high) fn f() {}", ""),
        ] {
            let files = [
                ("lib", "pub mod high; mod low; pub use high::Deep as Renamed;"),
                (
                    "high",
                    "pub mod deep; pub use deep::Deep; pub struct Thing; #[macro_export] macro_rules! made { () => {} }",
                ),
                ("high::deep", "pub struct Deep;"),
                ("low", text),
                ("low::under", "pub struct Part;"),
            ];
            assert_eq!(edges(&files).join(", "), expected, "{text}");
        }
    }

    #[test]
    fn modules_of_tests_are_not_read() {
        let lib = ("lib", "#[cfg(test)] mod model; mod low;");
        let files = [lib, ("model", "use crate::low::A;"), ("model::deep", "use crate::low::A;"), ("low", "")];
        assert_eq!(edges(&files), [""; 0]);
    }

    #[test]
    fn other_crates_are_found_by_every_name() {
        for text in
            ["use engine;", "use engine as e;", "use engine::Engine;", "fn f() { engine::run() }", "m!(engine::X);"]
        {
            let files = BTreeMap::from([("lib".to_owned(), syn::parse_file(text).unwrap())]);
            assert!(imports(&files)["lib"].others.contains("engine"), "{text}");
        }
    }

    #[test]
    fn a_root_with_anything_but_modules_and_names_is_found() {
        for (text, expected) in [
            ("mod a; pub mod b; pub use a::{A, B};", true),
            ("mod a; pub use a::*;", false),
            ("mod a; use a::A;", false),
            ("mod a { pub struct A; }", false),
            ("mod a; fn f() {}", false),
        ] {
            assert_eq!(has_only_modules(&syn::parse_file(text).unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn a_circle_is_found() {
        let circle_of = |c: &str| {
            let files = [("lib", ""), ("a", "use crate::b::B; use crate::c::C;"), ("b", "use crate::c::C;"), ("c", c)];
            circle(&imports(&files.map(|(name, text)| (name.to_owned(), syn::parse_file(text).unwrap())).into()))
        };
        assert_eq!(circle_of(""), None);
        assert_eq!(circle_of("use crate::b::B;"), Some(vec!["b".into(), "c".into()]));
    }
}
