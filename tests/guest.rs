//! Turns `guests/NAME.wat` into plugin files.
//!
//! A guest is a core module that carries its component type, so the host's own wrapping is tested with every one of
//! them. Where the file does not begin with `(module`, it holds only what is special about the guest, and the rest comes
//! from `guests/prelude.wat`: a memory of 4 MiB, an allocator, and `describe`.

use std::path::{Path, PathBuf};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The package of `guests/wit/guests.wit`.
const GUESTS: &str = "hookmill:guests/";

/// The interface as the host has it.
pub fn wit() -> String {
    std::fs::read_to_string(project("wit/plugin.wit")).unwrap()
}

/// The guest of this name, built for the mapper's world.
pub fn guest(name: &str) -> Vec<u8> {
    guest_for(name, &wit(), "hookmill:plugin/mapper-plugin@0.1.0")
}

/// The guest of this name, built for the world of another kind: `playbook` or `notifier`.
pub fn guest_of_kind(name: &str, kind: &str) -> Vec<u8> {
    guest_as(name, &wit(), &format!("hookmill:plugin/{kind}-plugin@0.1.0"), kind)
}

/// The guest of this name, built for one of the worlds in `guests/wit`, which import what a mapper's does not.
pub fn guest_in(name: &str, world: &str) -> Vec<u8> {
    guest_for(name, &wit(), &format!("{GUESTS}{world}"))
}

/// The guest of this name, built against another interface than the host's.
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
    // What the world says of the interface's version holds for the names of the guest's exports.
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

/// The good guest at another version than `1.0`, of the same length.
pub fn echo(version: &str) -> Vec<u8> {
    at_version(guest("echo"), version)
}

/// A guest at another version than `1.0`, of the same length.
pub fn at_version(mut module: Vec<u8>, version: &str) -> Vec<u8> {
    let at = module.windows(8).position(|bytes| bytes == b"guest1.0").unwrap() + 5;
    module[at..at + 3].copy_from_slice(version.as_bytes());
    module
}

/// The guest's bare core module.
pub fn module(name: &str) -> Vec<u8> {
    wat_binary(name, &text(name))
}

fn wat_binary(name: &str, text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("guests/{name}.wat: {error}"))
}

/// The guest's text.
pub fn text(name: &str) -> String {
    let read = |name: &str| std::fs::read_to_string(project(&format!("tests/guests/{name}.wat"))).unwrap();
    let own = read(name);
    let code = |line: &&str| !line.trim_start().starts_with(";;");
    match own.lines().find(code).is_some_and(|line| line.starts_with("(module")) {
        true => own,
        false => format!("(module {own} {})", read("prelude")),
    }
}

/// A core module made a component, as a build would do it.
pub fn component(module: &[u8]) -> Vec<u8> {
    ComponentEncoder::default().module(module).unwrap().encode().unwrap()
}

/// The real mapper of this name.
pub fn mapper(name: &str) -> Vec<u8> {
    let path = project(&format!("target/plugins/{name}.wasm"));
    std::fs::read(&path).unwrap_or_else(|error| {
        panic!("{}: {error}; build the mappers first: `hookmill plugin build plugins/*`", path.display())
    })
}

/// A path in the project.
pub fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(path)
}
