//! Runs plugins: WebAssembly components that get one value and return one, with bounded time, memory and output.
//!
//! - [`Sandbox`] is the engine with its pool of instances; [`Plugin::load`] compiles and checks one file.
//! - [`Plugin::map`], [`Plugin::triage`] and [`Plugin::render`] call a mapper, a playbook and a notifier. Each call
//!   gets a fresh instance, unless the plugin's [`PluginLimits`] let one instance take several events.
//! - Domain values go in and come out. The results of plugins are checked here; the generated WIT types stay inside.
//! - Files are compiled in a child process, if [`Sandbox::with_compiler`] names the program for it.
//!
//! This is the only crate that names wasmtime. It must not open files or sockets for plugins, and must not know about
//! the configuration, the store or HTTP: compiled code is kept by an implementation of [`CompiledCode`].

mod actions;
mod bindings;
mod call;
mod compiler;
mod component;
mod core_module;
mod detail;
mod engine;
mod engine_config;
mod guest;
mod instances;
mod limits;
mod log;
mod mapper;
mod notifier;
mod outcome_json;
mod playbook;
mod plugin;
mod quiet;
mod reading;
mod sentences;
mod shape;
mod stored_incident;
mod ticker;

pub use call::{Call, CallError};
pub use compiler::{CompilerProgram, Machines, compile_stdin};
pub use component::{CompiledCode, FILE_BYTES_MAX, Kind};
pub use core_module::to_component;
pub use engine::{Sandbox, portable_compatibility};
pub use engine_config::{Allocation, MEMORY_BYTES_MAX, engine_config};
pub use limits::PluginLimits;
pub use log::{LogLine, forward_log};
pub use notifier::{HttpRequest, Notification};
pub use plugin::{Description, Plugin};
pub use shape::is_cut_off;
