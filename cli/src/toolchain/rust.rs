//! Builds Rust crates to core modules.
//!
//! A crate needs a standard library for `wasm32-unknown-unknown`. If rustup has installed one, cargo is used as usual.
//! If the servers of rustup cannot be reached, Debian's compiler builds the library from the source that Debian
//! packages.

use super::built::Built;
use super::memory::with_initial_memory;
use super::program::output_of;
use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const TARGET: &str = "wasm32-unknown-unknown";
/// The least initial memory of an instance: enough for a bundled mapper and its largest sample, so that the hot path does
/// not call `memory.grow`, which changes page tables on all cores. A plugin with more data has more.
const INITIAL_MEMORY_BYTES: u32 = 512 * 1024;
/// The size of the stack, which is part of the initial memory. Mappers do not recurse deeply, and the linker's default
/// of 1 MiB is more than the initial memory.
const STACK_BYTES: u32 = 128 * 1024;
/// The name of the profile for plugins, which makes small and fast code. A profile of this name in the workspace takes
/// precedence.
const PROFILE: &str = "plugin";
const PROFILE_SETTINGS: [&str; 6] =
    [r#"inherits="release""#, "opt-level=3", "lto=true", "codegen-units=1", r#"panic="abort""#, "strip=true"];
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

/// The compiler, cargo and the standard library for plugins.
#[derive(Debug)]
pub(super) enum Toolchain {
    /// The default compiler, which has a standard library for WebAssembly.
    Ready {
        /// The name and version of the compiler.
        version: String,
    },
    /// Debian's compiler, which builds the standard library together with the plugins.
    FromSource {
        /// The name and version of the compiler.
        version: String,
        /// The folder of the source of the standard library.
        library: PathBuf,
        /// A linker for WebAssembly.
        linker: PathBuf,
    },
}

impl Toolchain {
    /// Finds an installed toolchain.
    ///
    /// # Errors
    /// Returns an error that names what is missing and the command that installs it.
    pub fn find() -> Result<Self> {
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        if output_of(&rustc, &["--print", "target-libdir", "--target", TARGET])
            .is_some_and(|dir| has_std(Path::new(&dir)))
        {
            return Ok(Self::Ready { version: version(&rustc).unwrap_or_default() });
        }
        let version = version(DEBIAN_RUSTC);
        let library = output_of(DEBIAN_RUSTC, &["--print", "sysroot"])
            .map(|sysroot| Path::new(&sysroot).join("lib/rustlib/src/rust/library"))
            .filter(|library| library.join("std/Cargo.toml").is_file());
        let linker = find_linker(&rustc);
        match (version, library, linker) {
            (Some(version), Some(library), Some(linker)) if Path::new(DEBIAN_CARGO).is_file() => {
                Ok(Self::FromSource { version, library, linker })
            }
            (version, library, linker) => bail!(
                "no standard library for {TARGET}. With rustup: `rustup target add {TARGET}`. On Debian without \
                 rustup's servers: `apt-get install -y --no-install-recommends rustc-web cargo-web rust-web-src lld` \
                 (missing: {})",
                missing(version.is_some(), library.is_some(), linker.is_some())
            ),
        }
    }

    /// Builds crates, with one call of cargo for each workspace. The messages of cargo go to standard error.
    ///
    /// # Errors
    /// Returns an error if a folder is not a plugin crate or cargo fails.
    pub fn build(&self, folders: &[PathBuf]) -> Result<Vec<Built>> {
        let mut workspaces: BTreeMap<PathBuf, Workspace> = BTreeMap::new();
        for folder in folders {
            let (root, target_dir, package) = self.package(folder)?;
            let workspace = workspaces.entry(root).or_insert(Workspace { target_dir, packages: Vec::new() });
            if workspace.packages.iter().all(|known| known.id != package.id) {
                workspace.packages.push(package);
            }
        }
        let mut built = Vec::new();
        for (root, workspace) in workspaces {
            built.extend(self.build_workspace(&root, workspace)?);
        }
        Ok(built)
    }

    /// Returns the workspace root, the target folder and the package of the crate in a folder.
    fn package(&self, folder: &Path) -> Result<(PathBuf, PathBuf, CargoPackage)> {
        let manifest = folder.join("Cargo.toml");
        let manifest = manifest.canonicalize().with_context(|| format!("cannot open {}", manifest.display()))?;
        let output = self
            .cargo()
            .args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"])
            .arg(&manifest)
            .stderr(Stdio::inherit())
            .output()
            .context("cannot run cargo")?;
        ensure!(output.status.success(), "cargo cannot read {}", manifest.display());
        let metadata: Metadata = serde_json::from_slice(&output.stdout).context("cannot read cargo's metadata")?;
        let package = metadata.packages.into_iter().find(|package| package.manifest_path == manifest);
        let package =
            package.with_context(|| format!("{} is a workspace; give the folders of its crates", folder.display()))?;
        ensure!(
            package.targets.iter().any(|target| target.crate_types.iter().any(|kind| kind == "cdylib")),
            "{} is not a plugin: write `crate-type = [\"cdylib\"]` under [lib] in {}",
            package.name,
            manifest.display()
        );
        Ok((metadata.workspace_root, metadata.target_directory, package))
    }

    fn build_workspace(&self, root: &Path, workspace: Workspace) -> Result<Vec<Built>> {
        let mut cargo = self.cargo();
        // The host has another target folder, because its version of cargo and its flags may differ.
        cargo.env("CARGO_TARGET_DIR", workspace.target_dir.join("wasm"));
        cargo.args(["build", "--profile", PROFILE, "--target", TARGET, "--message-format=json-render-diagnostics"]);
        cargo.arg("--manifest-path").arg(root.join("Cargo.toml"));
        for package in &workspace.packages {
            cargo.args(["-p", &package.name]);
        }
        if !has_profile(root) {
            for setting in PROFILE_SETTINGS {
                cargo.args(["--config", &format!("profile.{PROFILE}.{setting}")]);
            }
        }
        if matches!(self, Self::FromSource { .. }) {
            // Backtraces are left out: the engine reports where a plugin traps.
            cargo.args(["-Zbuild-std=std,panic_abort", "-Zbuild-std-features=default"]);
        }
        let mut running = cargo.stdout(Stdio::piped()).spawn().context("cannot run cargo")?;
        let mut modules = BTreeMap::new();
        for line in BufReader::new(running.stdout.take().context("cargo has no output")?).lines() {
            let Ok(message) = serde_json::from_str::<CargoMessage>(&line?) else { continue };
            let module = message.filenames.into_iter().find(|path| path.extension() == Some(OsStr::new("wasm")));
            modules.extend(module.map(|module| (message.package_id, module)));
        }
        let status = running.wait()?;
        ensure!(status.success(), "cargo did not build the plugins of {}; its messages are above", root.display());
        let built = workspace.packages.into_iter().map(|package| {
            let module =
                modules.remove(&package.id).with_context(|| format!("cargo built no module of {}", package.name))?;
            let linked = std::fs::read(&module).with_context(|| format!("cannot read {}", module.display()))?;
            let wasm = with_initial_memory(&linked, INITIAL_MEMORY_BYTES)
                .with_context(|| format!("cannot read {}", module.display()))?;
            Ok(Built { name: package.name, wasm })
        });
        built.collect()
    }

    fn cargo(&self) -> Command {
        let flags = format!("-Clink-arg=-zstack-size={STACK_BYTES}");
        let mut cargo = match self {
            Self::Ready { .. } => Command::new("cargo"),
            Self::FromSource { linker, .. } => {
                let mut cargo = Command::new(DEBIAN_CARGO);
                // The build of the standard library uses unstable features.
                cargo.env("RUSTC_BOOTSTRAP", "1").env("RUSTC", DEBIAN_RUSTC);
                cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
                cargo
            }
        };
        cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", flags);
        // These variables would override the flags above.
        cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS").env_remove("CARGO_BUILD_TARGET");
        cargo
    }
}

impl fmt::Display for Toolchain {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Ready { version } => write!(formatter, "{version} with its {TARGET} library"),
            Self::FromSource { version, library, linker } => write!(
                formatter,
                "Debian's {version}, because rustup has no {TARGET} library; the library is built from {} and linked with {}",
                library.display(),
                linker.display()
            ),
        }
    }
}

struct Workspace {
    target_dir: PathBuf,
    packages: Vec<CargoPackage>,
}

/// The used members of the output of `cargo metadata`.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<CargoPackage>,
    workspace_root: PathBuf,
    target_directory: PathBuf,
}

#[derive(Deserialize)]
struct CargoPackage {
    id: String,
    name: String,
    manifest_path: PathBuf,
    targets: Vec<CargoTarget>,
}

#[derive(Deserialize)]
struct CargoTarget {
    crate_types: Vec<String>,
}

/// A line of the output of `cargo build`. Lines with files are about finished crates.
#[derive(Deserialize)]
struct CargoMessage {
    package_id: String,
    filenames: Vec<PathBuf>,
}

/// Returns the name and version of a compiler without commit and date, such as `rustc 1.96.0`.
fn version(rustc: impl AsRef<OsStr>) -> Option<String> {
    let line = output_of(rustc, &["--version"])?;
    Some(line.split(' ').take(2).collect::<Vec<_>>().join(" "))
}

fn has_std(folder: &Path) -> bool {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files.map(|file| file.file_name()).any(|name| name.to_string_lossy().starts_with("libstd-"))
}

/// Returns the path of the linker of rustup or of LLVM.
fn find_linker(rustc: &OsStr) -> Option<PathBuf> {
    let sysroot = output_of(rustc, &["--print", "sysroot"])?;
    let host = output_of(rustc, &["--print", "host-tuple"])?;
    let rust_lld = Path::new(&sysroot).join("lib/rustlib").join(host).join("bin/rust-lld");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let wasm_ld = std::env::split_paths(&path).map(|folder| folder.join("wasm-ld")).find(|file| file.is_file());
    // The check also excludes dangling links.
    Some(rust_lld).filter(|file| file.is_file()).or(wasm_ld)
}

fn missing(rustc: bool, library: bool, linker: bool) -> String {
    let parts = [
        ("rustc-web", rustc),
        ("cargo-web", Path::new(DEBIAN_CARGO).is_file()),
        ("rust-web-src", library),
        ("lld", linker),
    ];
    let missing: Vec<&str> = parts.iter().filter(|(_, there)| !there).map(|(name, _)| *name).collect();
    missing.join(", ")
}

/// Returns whether a workspace has a profile for plugins.
fn has_profile(root: &Path) -> bool {
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).unwrap_or_default();
    manifest.lines().any(|line| line.trim() == format!("[profile.{PROFILE}]"))
}
