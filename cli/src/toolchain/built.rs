//! The result of a build.

/// A plugin that was built.
#[derive(Debug)]
pub(crate) struct Built {
    /// The name of the plugin.
    pub name: String,
    /// A component, or a core module that carries its component type.
    pub wasm: Vec<u8>,
}
