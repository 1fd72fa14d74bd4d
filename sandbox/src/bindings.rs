//! The types and calls that are generated from `wit/plugin.wit`.

#[allow(missing_docs, reason = "generated from wit/plugin.wit, where every item is described")]
mod generated {
    wasmtime::component::bindgen!({
        path: "../wit",
        // This world is only for the generator: with one world, the types that all kinds share are generated once.
        inline: "
            package hookmill:host;
            world every-kind {
                include hookmill:plugin/mapper-plugin@0.1.0;
                include hookmill:plugin/playbook-plugin@0.1.0;
                include hookmill:plugin/notifier-plugin@0.1.0;
            }
        ",
        world: "hookmill:host/every-kind",
        ownership: Borrowing { duplicate_if_necessary: true },
        exports: { default: async },
    });
}

pub(crate) use generated::exports::hookmill::plugin as interfaces;
pub(crate) use generated::hookmill::plugin::log;
pub(crate) use generated::hookmill::plugin::types as wit;
