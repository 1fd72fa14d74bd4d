//! Tests of the structure of this workspace: which crate and which file may import which, and what documents say of them.
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
