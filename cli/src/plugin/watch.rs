//! `hookmill plugin watch`: builds and tests a project whenever one of its files changes.

use super::test::PluginTest;
use anyhow::Result;
use clap::Args;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The pause between two looks at the files.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// Folders that builds write to, or that have thousands of files of others.
const PASSED_OVER: [&str; 3] = ["node_modules", "target", "__pycache__"];

/// The arguments of `hookmill plugin watch`.
#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// The folder of the project
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// The files of a project with their sizes and the times of their last change.
type Files = BTreeMap<PathBuf, (u64, Option<SystemTime>)>;

impl Watch {
    /// Runs the command until it is interrupted.
    pub fn run(self) -> Result<()> {
        loop {
            let seen = files(&self.folder)?;
            match PluginTest::of(self.folder.clone()).run() {
                Ok(()) => eprintln!("all payloads become what is expected; waiting for a change"),
                Err(error) => eprintln!("error: {error:#}; waiting for a change"),
            }
            wait_for_change(&self.folder, &seen)?;
        }
    }
}

/// Returns when the files differ and have stopped changing, because editors write several at once.
fn wait_for_change(folder: &Path, seen: &Files) -> Result<()> {
    loop {
        std::thread::sleep(LOOK_EVERY);
        let mut now = files(folder)?;
        if now == *seen {
            continue;
        }
        loop {
            std::thread::sleep(LOOK_EVERY);
            let later = files(folder)?;
            if later == now {
                return Ok(());
            }
            now = later;
        }
    }
}

fn files(root: &Path) -> Result<Files> {
    let mut found = Files::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with('.') || PASSED_OVER.contains(&&*name) {
                continue;
            }
            // A project may have its SDK as a link; deeper links could lead in circles. A file may be gone already.
            let Ok(metadata) = std::fs::metadata(entry.path()) else { continue };
            if metadata.is_dir() {
                if folder == root || !entry.file_type()?.is_symlink() {
                    folders.push(entry.path());
                }
            } else {
                found.insert(entry.path(), (metadata.len(), metadata.modified().ok()));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::{files, wait_for_change};

    #[test]
    fn changes_of_the_project_are_seen_and_others_are_not() {
        let project = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = project.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("mapper.py", "one");
        let seen = files(project.path()).unwrap();
        for other in ["node_modules/a.js", "target/a", ".venv/a.py", "__pycache__/a.pyc"] {
            write(other, "text");
        }
        assert_eq!(files(project.path()).unwrap(), seen);
        write("payloads/new.json", "{}");
        assert_eq!(files(project.path()).unwrap().len(), 2);
        wait_for_change(project.path(), &seen).unwrap();
        write("mapper.py", "other");
        assert_ne!(files(project.path()).unwrap().values().next(), seen.values().next());
    }
}
