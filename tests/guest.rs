//! Builds plugin files from `guests/NAME.wat`.
//!
//! A guest is a core module that carries its component type, so every guest also tests the host's own wrapping. A file
//! that does not begin with `(module` contains only the guest's own code; `guests/prelude.wat` adds a memory of 4 MiB,
//! an allocator and `describe`.

use std::path::{Path, PathBuf};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The package of `guests/wit/guests.wit`.
const GUESTS: &str = "hookmill:guests/";

/// Returns the host's interface.
pub fn wit() -> String {
    std::fs::read_to_string(project("wit/plugin.wit")).unwrap()
}

/// Builds a guest for the mapper's world.
pub fn guest(name: &str) -> Vec<u8> {
    guest_for(name, &wit(), "hookmill:plugin/mapper-plugin@0.1.0")
}

/// Builds a guest for the world of another kind: `playbook` or `notifier`.
pub fn guest_of_kind(name: &str, kind: &str) -> Vec<u8> {
    guest_as(name, &wit(), &format!("hookmill:plugin/{kind}-plugin@0.1.0"), kind)
}

/// Builds a guest for one of the worlds in `guests/wit`, which have further imports.
pub fn guest_in(name: &str, world: &str) -> Vec<u8> {
    guest_for(name, &wit(), &format!("{GUESTS}{world}"))
}

/// Builds a guest against another interface than the host's.
pub fn guest_for(name: &str, wit: &str, world: &str) -> Vec<u8> {
    guest_as(name, wit, world, "mapper")
}

fn guest_as(name: &str, wit: &str, world: &str, kind: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    resolve.push_str("plugin.wit", wit).unwrap();
    if world.starts_with(GUESTS) {
        for package in ["io", "clocks", "random", "cli", "guests"] {
            resolve.push_file(project(&format!("tests/guests/wit/{package}.wit"))).unwrap();
        }
    }
    let package = resolve.packages.iter().map(|(id, _)| id).collect::<Vec<_>>();
    let world = resolve.select_world(&package, Some(world)).unwrap();
    // The names of the guest's exports contain the version of the interface.
    let version = resolve.packages.iter().find_map(|(_, package)| {
        package.name.version.as_ref().filter(|_| package.name.name == "plugin").map(ToString::to_string)
    });
    let version = version.unwrap();
    let text =
        text(name).replace("@0.1.0", &format!("@{version}")).replace("plugin/mapper@", &format!("plugin/{kind}@"));
    let mut module = wat_binary(name, &text);
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    module
}

/// Returns the well-behaved guest with another version, which has three characters like `1.0`.
pub fn echo(version: &str) -> Vec<u8> {
    at_version(guest("echo"), version)
}

/// Replaces the version of a guest by another one of three characters.
pub fn at_version(mut module: Vec<u8>, version: &str) -> Vec<u8> {
    let at = module.windows(8).position(|bytes| bytes == b"guest1.0").unwrap() + 5;
    module[at..at + 3].copy_from_slice(version.as_bytes());
    module
}

/// Returns the guest's core module without its component type.
pub fn module(name: &str) -> Vec<u8> {
    wat_binary(name, &text(name))
}

fn wat_binary(name: &str, text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("guests/{name}.wat: {error}"))
}

/// Returns the guest's WebAssembly text.
pub fn text(name: &str) -> String {
    let read = |name: &str| std::fs::read_to_string(project(&format!("tests/guests/{name}.wat"))).unwrap();
    let own = read(name);
    let code = |line: &&str| !line.trim_start().starts_with(";;");
    match own.lines().find(code).is_some_and(|line| line.starts_with("(module")) {
        true => own,
        false => format!("(module {own} {})", read("prelude")),
    }
}

/// Wraps a core module as a component, as a build does.
pub fn component(module: &[u8]) -> Vec<u8> {
    ComponentEncoder::default().module(module).unwrap().encode().unwrap()
}

/// Reads a bundled mapper.
pub fn mapper(name: &str) -> Vec<u8> {
    let path = project(&format!("target/plugins/{name}.wasm"));
    std::fs::read(&path).unwrap_or_else(|error| {
        panic!("{}: {error}; build the mappers first: `hookmill plugin build plugins/*`", path.display())
    })
}

/// Returns a path in the project.
pub fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(path)
}
