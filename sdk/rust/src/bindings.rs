//! The bindings that `wit-bindgen` generates from `wit/plugin.wit`, and the choice of the exports of one kind.
//!
//! `sdk/generate` writes the files in `bindings/`. They are checked in, because generating them takes longer than the
//! rest of a plugin build. They are generated from one world with the exports of all kinds, so that every type exists
//! once. [`__export_plugin!`](crate::__export_plugin) exports the functions of one kind only; the linker drops the
//! others.
#![allow(missing_docs, unsafe_code, clippy::all, clippy::panic, clippy::unwrap_used, reason = "generated")]

#[rustfmt::skip]
pub mod component_types;
#[rustfmt::skip]
mod plugin;

pub use plugin::exports::hookmill::plugin::{mapper, notifier, playbook};
pub use plugin::hookmill::plugin::{log, types};

/// Exports the type `$plugin` as a plugin: the functions of one kind, the component type of that kind and the
/// allocator.
#[doc(hidden)]
#[macro_export]
macro_rules! __export_plugin {
    ($plugin:ident, mapper) => {
        $crate::__export_hookmill_plugin_mapper_0_1_0_cabi!($plugin with_types_in $crate::bindings::mapper);
        $crate::__export_plugin!(@ $crate::bindings::component_types::MAPPER);
    };
    ($plugin:ident, playbook) => {
        $crate::__export_hookmill_plugin_playbook_0_1_0_cabi!($plugin with_types_in $crate::bindings::playbook);
        $crate::__export_plugin!(@ $crate::bindings::component_types::PLAYBOOK);
    };
    ($plugin:ident, notifier) => {
        $crate::__export_hookmill_plugin_notifier_0_1_0_cabi!($plugin with_types_in $crate::bindings::notifier);
        $crate::__export_plugin!(@ $crate::bindings::component_types::NOTIFIER);
    };
    (@ $component_type:path) => {
        #[cfg(target_arch = "wasm32")]
        #[unsafe(link_section = "component-type:hookmill-plugin")]
        pub static COMPONENT_TYPE: [u8; $component_type.len()] = $component_type;

        #[cfg(target_arch = "wasm32")]
        #[global_allocator]
        static ALLOCATOR: $crate::BumpAllocator = $crate::BumpAllocator::new();
    };
}
