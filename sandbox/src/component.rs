//! The way from the bytes of a plugin file to a checked component that can be instantiated.

use crate::bindings::interfaces;
use crate::compiler::TooMuch;
use crate::engine::Sandbox;
use crate::guest::Guest;
use anyhow::{Result, anyhow, bail};
use hookmill_incident::words;
use std::fs::File;
use std::sync::Arc;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, InstancePre};

/// The greatest size of a plugin file, in bytes.
pub const FILE_BYTES_MAX: u64 = 64 * MIB as u64;
/// The package of the interfaces that the host calls; each interface has the name of its kind.
const PACKAGE: &str = "hookmill:plugin";
const API_VERSION: &str = "0.1.0";
/// The module from which modules for WASI preview 1 import: those of Go, and of C and Zig with their libraries.
const MIB: usize = 1024 * 1024;
/// The limit for other plugins.
const MEMORY_BYTES: usize = 64 * MIB;
/// The limit for interpreters: plugins that import WASI or start with more than [`SMALL_START_BYTES`].
const MEMORY_BYTES_LARGE: usize = 256 * MIB;
const SMALL_START_BYTES: u64 = 8 * MIB as u64;

/// A store of compiled code between starts. All functions block.
///
/// Compiled code is native code: an implementation must return only files with the bytes that [`CompiledCode::put`]
/// received, or that the compiler of a trusted program made, which do not change afterwards.
pub trait CompiledCode: Send + Sync {
    /// Returns the file with the compiled code of a plugin file for an engine of this compatibility, if it is known. The
    /// code is mapped from this file while the plugin is loaded.
    fn get(&self, plugin: &str, sha256: &str, compatibility: u64) -> Option<File>;

    /// Keeps the compiled code of a plugin file.
    fn put(&self, plugin: &str, sha256: &str, compatibility: u64, code: &[u8]);

    /// Returns the reason why a plugin file was too much for the compiler, if it was.
    fn too_much(&self, plugin: &str, sha256: &str, compatibility: u64) -> Option<String>;

    /// Keeps the reason why a plugin file was too much for the compiler.
    fn put_too_much(&self, plugin: &str, sha256: &str, compatibility: u64, reason: &str);
}

words!(
    /// The kind of a plugin: the interface that the plugin exports.
    Kind {
        /// Maps payloads to incidents.
        Mapper = "mapper",
        /// Triages incidents.
        Playbook = "playbook",
        /// Renders audit entries.
        Notifier = "notifier",
    }
);

/// The indices of a plugin's functions in its component.
pub(crate) enum Interface {
    Mapper(interfaces::mapper::GuestIndices),
    Playbook(interfaces::playbook::GuestIndices),
    Notifier(interfaces::notifier::GuestIndices),
}

/// A component that was compiled and checked, and can be instantiated.
pub(crate) struct CheckedComponent {
    pub kind: Kind,
    pub api_version: String,
    pub interface: Interface,
    pub component: InstancePre<Guest>,
    /// The memory limit of its instances, unless the configuration sets one.
    pub memory_bytes: usize,
}

impl CheckedComponent {
    /// Checks the imports and exports of a compiled component.
    ///
    /// # Errors
    /// Returns an error that says which import or export is wrong.
    pub fn new(sandbox: &Sandbox, component: &Component) -> Result<Self> {
        let (kind, api_version) = check_exports(sandbox, component)?;
        let component = sandbox.linker().instantiate_pre(component).map_err(|error| {
            anyhow!(
                "the imports of the plugin cannot be provided: {error:#}; Hookmill provides only `hookmill:plugin/log` and WASI 0.2"
            )
        })?;
        let interface = match kind {
            Kind::Mapper => Interface::Mapper(interfaces::mapper::GuestIndices::new(&component)?),
            Kind::Playbook => Interface::Playbook(interfaces::playbook::GuestIndices::new(&component)?),
            Kind::Notifier => Interface::Notifier(interfaces::notifier::GuestIndices::new(&component)?),
        };
        let memory_bytes = default_memory(sandbox, &component);
        Ok(Self { kind, api_version, interface, component, memory_bytes })
    }
}

/// The bytes of a plugin file, and the store of its compiled code.
pub(crate) struct PluginFile {
    pub name: String,
    pub sha256: String,
    pub bytes: Vec<u8>,
    pub kept: Option<Arc<dyn CompiledCode>>,
}

impl PluginFile {
    /// Returns the component of the kept compiled code. Blocks.
    ///
    /// # Errors
    /// Returns an error if the file was too much for the compiler before.
    pub fn restore(&self, sandbox: &Sandbox) -> Result<Option<Component>> {
        let Some(kept) = &self.kept else { return Ok(None) };
        let compatibility = sandbox.compatibility();
        if let Some(reason) = kept.too_much(&self.name, &self.sha256, compatibility) {
            bail!("{reason}, as an earlier attempt showed; `hookmill plugin promote {}` tries again", self.name);
        }
        Ok(self.restore_kept(sandbox, compatibility))
    }

    fn restore_kept(&self, sandbox: &Sandbox, compatibility: u64) -> Option<Component> {
        let code = self.kept.as_ref()?.get(&self.name, &self.sha256, compatibility)?;
        let restored = sandbox.restore_file(&code);
        let restored = restored.inspect_err(|error| {
            tracing::info!(plugin = self.name, "compiled again, because the kept code does not fit: {error:#}");
        });
        restored.ok()
    }

    /// Compiles the file and keeps the result. Blocks.
    ///
    /// # Errors
    /// Returns an error if the file is not valid, or is too much for the compiler.
    pub fn compile(&self, sandbox: &Sandbox) -> Result<Component> {
        let compatibility = sandbox.compatibility();
        let compiled = sandbox.compile(&self.bytes);
        let kept = self.kept.as_ref();
        match (&compiled, compiled.as_ref().err().and_then(|error| error.downcast_ref::<TooMuch>())) {
            (Ok(code), _) => kept.map(|kept| kept.put(&self.name, &self.sha256, compatibility, code)),
            (_, Some(reason)) => {
                kept.map(|kept| kept.put_too_much(&self.name, &self.sha256, compatibility, &reason.to_string()))
            }
            _ => None,
        };
        let compiled = compiled?;
        self.restore_kept(sandbox, compatibility).map_or_else(|| sandbox.restore(&compiled), Ok)
    }
}

/// Returns the kind of a plugin and the version of the interface that the plugin was built for.
fn check_exports(sandbox: &Sandbox, component: &Component) -> Result<(Kind, String)> {
    let (mut found, mut seen) = (Vec::new(), Vec::new());
    for (name, item) in component.component_type().exports(sandbox.engine()) {
        if let (ComponentItem::ComponentInstance(_), Some((interface, version))) = (&item.ty, name.split_once('@')) {
            let word = interface.strip_prefix(PACKAGE).and_then(|rest| rest.strip_prefix('/'));
            if let Some(kind) = word.and_then(|word| Kind::ALL.iter().find(|kind| kind.as_str() == word)) {
                if !is_compatible(version) {
                    bail!(
                        "the plugin was built for {interface}@{version}, but this host has {API_VERSION}; rebuild the plugin"
                    );
                }
                found.push((*kind, version.to_owned()));
            }
        }
        seen.push(name.to_owned());
    }
    match &found[..] {
        [found] => Ok(found.clone()),
        [(one, _), (other, _), ..] => {
            bail!("the plugin is a {one} and a {other}; split it into two plugins, because a plugin has one kind")
        }
        [] => {
            let seen = if seen.is_empty() { "nothing".to_owned() } else { seen.join(", ") };
            let kinds: Vec<String> = Kind::ALL.iter().map(|kind| format!("{PACKAGE}/{kind}@{API_VERSION}")).collect();
            bail!("the plugin exports {seen}, but none of {}; use the SDK's export macro", kinds.join(", "))
        }
    }
}

/// Returns whether the host can call a plugin of this version. Versions that differ in the third number only add to
/// each other, see `wit/CHANGES.md`.
fn is_compatible(version: &str) -> bool {
    let series = |version: &str| version.rsplit_once('.').map(|(series, _)| series.to_owned());
    series(version) == series(API_VERSION)
}

fn default_memory(sandbox: &Sandbox, instance: &InstancePre<Guest>) -> usize {
    let component = instance.component();
    let component_type = component.component_type();
    let imports_wasi = component_type.imports(sandbox.engine()).any(|(name, _)| name.starts_with("wasi:"));
    let starts_large = component
        .resources_required()
        .is_none_or(|needs| needs.max_initial_memory_size.is_some_and(|bytes| bytes > SMALL_START_BYTES));
    if imports_wasi || starts_large { MEMORY_BYTES_LARGE } else { MEMORY_BYTES }
}

#[cfg(test)]
mod tests {
    use super::is_compatible;

    #[test]
    fn only_versions_of_the_same_series_are_compatible() {
        assert!(["0.1.0", "0.1.7"].into_iter().all(is_compatible));
        assert!(!["0.2.0", "1.1.0", "0.2.0-rc.1", "0", ""].into_iter().any(is_compatible));
    }
}
