//! `hookmill plugin new`.

mod files;
mod vendor;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use files::{GO, JAVASCRIPT, PAYLOADS, PYTHON, ProjectFile, RUST, TYPESCRIPT};
use std::path::{Path, PathBuf};
use vendor::{ProjectFiles, project};

/// The name of the plugin in the templates.
const PLACEHOLDER: &str = "my-plugin";

/// The arguments of `hookmill plugin new`.
#[derive(Debug, Args)]
pub(crate) struct New {
    /// The new folder of the project; the plugin gets the name of the folder
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The language of the plugin
    #[arg(long, required_unless_present = "vendor", conflicts_with = "vendor")]
    lang: Option<Language>,
    /// Begin with the bundled mapper of this vendor, in its language, with its payloads; `hookmill vendors` lists them
    #[arg(long, value_name = "NAME")]
    vendor: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Language {
    Rust,
    #[value(alias = "javascript")]
    Js,
    #[value(alias = "typescript")]
    Ts,
    #[value(alias = "py")]
    Python,
    Go,
}

impl Language {
    /// Returns the language of a project with these files.
    fn of(files: &ProjectFiles) -> Result<Self> {
        let mut all = Self::value_variants().iter().copied();
        let found = all.find(|language| files.iter().any(|(path, _)| *path == language.code()));
        found.context("the bundled mapper is in a language that this program does not know")
    }

    fn files(self) -> &'static [ProjectFile] {
        match self {
            Self::Rust => RUST,
            Self::Js => JAVASCRIPT,
            Self::Ts => TYPESCRIPT,
            Self::Python => PYTHON,
            Self::Go => GO,
        }
    }

    /// Returns the name of the code file.
    fn code(self) -> &'static str {
        match self {
            Self::Rust => "mapper.rs",
            Self::Js => "mapper.js",
            Self::Ts => "mapper.ts",
            Self::Python => "mapper.py",
            Self::Go => "mapper.go",
        }
    }

    /// Returns the command that installs the tools of the language or, for Go, that shows its version.
    fn install(self, folder: &str) -> String {
        match self {
            Self::Rust => "rustup target add wasm32-unknown-unknown".into(),
            Self::Js | Self::Ts => format!("npm install --prefix {folder}"),
            Self::Python => {
                format!("python3 -m venv {folder}/.venv && {folder}/.venv/bin/pip install -r {folder}/requirements.txt")
            }
            Self::Go => "go version     # 1.24 or newer, from https://go.dev/dl".into(),
        }
    }
}

impl New {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let Self { folder, lang, vendor } = self;
        let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        ensure!(
            is_project_name(name),
            "`{name}` is not a valid name of a plugin in every language; give the folder a name of up to 64 characters \
             of a-z, 0-9, `-` and `_` that begins with a letter"
        );
        let own = vendor.map(|vendor| project(&vendor, name)).transpose()?;
        let lang = match (lang, &own) {
            (Some(lang), _) => lang,
            (None, own) => Language::of(own.as_ref().unwrap_or(&Vec::new()))?,
        };
        let parent = folder.parent().unwrap_or(Path::new(""));
        std::fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
        std::fs::create_dir(&folder)
            .with_context(|| format!("cannot create {}; a new project needs a new folder", folder.display()))?;
        let payloads = if own.is_some() { &[] } else { PAYLOADS };
        for file in payloads.iter().chain(lang.files()) {
            write(&folder.join(file.path), file.text.replace(PLACEHOLDER, name).as_bytes(), file.path)?;
        }
        for (path, content) in own.into_iter().flatten() {
            write(&folder.join(path), &content, path)?;
        }
        let shown = folder.display().to_string();
        println!("{shown} has a working mapper, {}, and payloads in payloads/\n", lang.code());
        println!("next:\n  {}", lang.install(&shown));
        println!(
            "  hookmill plugin build {shown} --out-dir PLUGINS     # the plugins folder of a host, running or not"
        );
        println!("  hookmill plugin test {shown}");
        Ok(())
    }
}

/// Returns whether Cargo, npm, Python, Go and the host all accept a name.
fn is_project_name(name: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    name.len() <= 64 && name.starts_with(|first: char| first.is_ascii_lowercase()) && name.bytes().all(known)
}

fn write(path: &Path, content: &[u8], name: &str) -> Result<()> {
    let write = || -> std::io::Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, content)
    };
    write().with_context(|| format!("cannot write {name}"))
}
