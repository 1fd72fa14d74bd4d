//! Tests of the structure of this workspace: the imports that crates and files may have, and the
//! statements of documents about them.
//!
//! ARCHITECTURE.md has the order of the modules. There is nothing to use here.

#[cfg(test)]
mod crates;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod imports;
#[cfg(test)]
mod modules;
#[cfg(test)]
mod scripts;
