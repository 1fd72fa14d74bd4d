//! Plugin files that are core modules, as compilers for `wasm32-unknown-unknown` write them.

use crate::quiet::without_panic;
use anyhow::{Context, Result, bail};
use std::borrow::Cow;
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME as PREVIEW1, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER as ADAPTER,
};

/// Returns a component unchanged, and converts a core module that carries its component type to a component. A module for
/// WASI preview 1 gets the engine's adapter, which turns its imports into those of WASI 0.2.
///
/// # Errors
/// Returns an error if the bytes are neither.
pub fn to_component(bytes: &[u8]) -> Result<Cow<'_, [u8]>> {
    const CORE: [u8; 8] = *b"\0asm\x01\0\0\0";
    const COMPONENT: [u8; 8] = *b"\0asm\x0d\0\x01\0";
    if bytes.starts_with(&COMPONENT) {
        return Ok(bytes.into());
    }
    if !bytes.starts_with(&CORE) {
        bail!(
            "the file is not a WebAssembly binary; text format is not supported, build it with `hookmill plugin build`"
        );
    }
    let converted = without_panic(|| {
        let mut encoder = wit_component::ComponentEncoder::default()
            .validate(true)
            .module(bytes)
            .context("the file is a core module without a component type; build it against wit/plugin.wit")?;
        if bytes.windows(PREVIEW1.len()).any(|name| name == PREVIEW1.as_bytes()) {
            encoder = encoder.adapter(PREVIEW1, ADAPTER).context("the module cannot be adapted from WASI preview 1")?;
        }
        encoder.encode().context("the core module does not fit the component type in the file")
    });
    let component =
        converted.context("the core module cannot be converted; build the file with `hookmill plugin build`")??;
    Ok(component.into())
}

#[cfg(test)]
mod tests {
    use super::to_component;

    #[test]
    fn core_modules_become_components_and_components_stay_as_they_are() {
        let (module, component) = (b"\0asm\x01\0\0\0", b"\0asm\x0d\0\x01\0");
        assert!(to_component(module).unwrap().starts_with(component));
        assert_eq!(*to_component(component).unwrap(), *component);
    }

    #[test]
    fn other_files_are_refused_with_a_remedy() {
        let text = to_component(b"(component)").unwrap_err().to_string();
        assert!(text.contains("text format") && text.contains("hookmill plugin build"), "{text}");
        let broken = to_component(b"\0asm\x01\0\0\0\xff").unwrap_err().to_string();
        assert!(broken.contains("core module"), "{broken}");
        // The encoder panics on an import of this name.
        let import = b"\x01\x0f__main_module__\x01f\0\0";
        let module = [b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x02", &[import.len() as u8][..], import].concat();
        let panicked = to_component(&module).unwrap_err().to_string();
        assert!(panicked.contains("cannot be converted"), "{panicked}");
    }
}
