//! What `wit-bindgen` makes of wit/plugin.wit, for each kind of plugin. It is kept, and not made while a plugin is built,
//! because making it takes longer than all the rest of such a build. `sdk/generate` writes it anew.
#![allow(missing_docs, unsafe_code, clippy::all, clippy::panic, clippy::unwrap_used, reason = "generated")]

#[rustfmt::skip]
pub mod mapper;
#[rustfmt::skip]
pub mod notifier;
#[rustfmt::skip]
pub mod playbook;
