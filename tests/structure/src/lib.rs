//! Tests of the structure of this workspace: which crate and which file may import which.
//!
//! ARCHITECTURE.md explains the order; `crates` and `modules` hold it. There is nothing to use here.

#[cfg(test)]
mod crates;
#[cfg(test)]
mod imports;
#[cfg(test)]
mod modules;
