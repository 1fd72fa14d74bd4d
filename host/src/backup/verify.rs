//! Checks a backup completely.

use super::archive::Archive;
use super::keys::Lock;
use super::make::check_key;
use super::manifest::{DATABASE, KEYS, KeyState, MARK, Manifest, VERSIONS};
use super::pace::Pace;
use anyhow::{Context, Result, ensure};
use hookmill_store::private_files::{private_file, private_folder};
use hookmill_store::{DatabaseCopy, inspect_copy, schema_version};
use serde::Serialize;
use std::path::Path;

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "result", content = "message", rename_all = "snake_case")]
pub enum Outcome {
    /// The part is as it was written.
    Ok,
    /// The part was not checked, for this reason.
    NotChecked(String),
    /// The part is damaged or missing.
    Fault(String),
}

/// One check of a backup.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// The checked part, or `database`, `plugins`, `keys`, `end`.
    pub name: String,
    /// The result.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// The result of all checks.
#[derive(Debug)]
pub struct Verified {
    /// The content of the backup.
    pub manifest: Manifest,
    /// The results.
    pub findings: Vec<Finding>,
    /// The key of the vault, if it could be opened.
    pub(super) key: Option<String>,
    /// The content of the database, if the database is whole.
    pub(super) copy: Option<DatabaseCopy>,
}

impl Verified {
    /// Returns the faults as one text; none if there are none.
    pub fn faults(&self) -> Option<String> {
        let faults = self.findings.iter().filter_map(|finding| match &finding.outcome {
            Outcome::Fault(fault) => Some(format!("{}: {fault}", finding.name)),
            _ => None,
        });
        let faults: Vec<String> = faults.collect();
        (!faults.is_empty()).then(|| faults.join("; "))
    }
}

/// Unpacks a backup into a folder and checks all of it. Without a `lock` the key is not checked. Blocks.
///
/// # Errors
/// Returns an error if the file is not a backup or is cut off, its manifest is damaged, a newer hookmill made it, or the
/// folder cannot be written. All other faults are in the findings.
pub fn verify(file: &Path, folder: &Path, lock: Option<&Lock>, pace: &mut Pace) -> Result<Verified> {
    let mut archive = Archive::open(file)?;
    archive.check_length(file)?;
    let manifest = archive.manifest.clone();
    let known = schema_version();
    ensure!(
        manifest.schema <= known,
        "the backup was made by hookmill {} with schema {}, but this hookmill knows schema {known}; use hookmill {} or newer",
        manifest.hookmill,
        manifest.schema,
        manifest.hookmill
    );
    let mut verified = Verified { manifest, findings: Vec::new(), key: None, copy: None };
    verified.unpack(&mut archive, folder, pace)?;
    pace.begin("checking the database", 0);
    verified.check_database(folder);
    verified.check_plugins();
    verified.check_keys(folder, lock);
    Ok(verified)
}

impl Verified {
    fn add(&mut self, name: &str, checked: Result<()>) {
        let outcome = checked.map_or_else(|error| Outcome::Fault(format!("{error:#}")), |()| Outcome::Ok);
        self.findings.push(Finding { name: name.to_owned(), outcome });
    }

    fn add_unchecked(&mut self, name: &str, reason: &str) {
        self.findings.push(Finding { name: name.to_owned(), outcome: Outcome::NotChecked(reason.to_owned()) });
    }

    fn unpack(&mut self, archive: &mut Archive, folder: &Path, pace: &mut Pace) -> Result<()> {
        private_folder(&folder.join(VERSIONS))?;
        pace.begin("unpacking the backup", self.manifest.parts.iter().map(|part| part.bytes).sum());
        for part in &self.manifest.parts {
            let mut to = private_file(&folder.join(&part.name))?;
            let problem = archive.unpack(part, &mut to, pace)?;
            to.sync_all().with_context(|| format!("cannot write {}", part.name))?;
            let outcome = problem.map_or(Outcome::Ok, Outcome::Fault);
            self.findings.push(Finding { name: part.name.clone(), outcome });
        }
        let outcome = archive.end().map_or(Outcome::Ok, Outcome::Fault);
        self.findings.push(Finding { name: "end".to_owned(), outcome });
        Ok(())
    }

    fn is_ok(&self, name: &str) -> bool {
        self.findings.iter().any(|finding| finding.name == name && finding.outcome == Outcome::Ok)
    }

    fn check_database(&mut self, folder: &Path) {
        if !self.is_ok(DATABASE) || !self.is_ok(MARK) {
            return self.add_unchecked("database", "its file is damaged");
        }
        let checked = inspect_copy(&folder.join(DATABASE), true).and_then(|copy| {
            let manifest = &self.manifest;
            ensure!(copy.schema == manifest.schema, "it has schema {}, not {}", copy.schema, manifest.schema);
            for (table, rows) in &manifest.rows {
                let found = copy.rows.get(table).copied().unwrap_or(0);
                ensure!(found == *rows, "the table `{table}` has {found} rows, not {rows} as in the manifest");
            }
            ensure!(copy.rows.len() == manifest.rows.len(), "it has other tables than the manifest");
            let mark = std::fs::read(folder.join(MARK))?;
            ensure!(mark == copy.mark, "{MARK} is of another database");
            Ok(copy)
        });
        let checked = checked.map(|copy| self.copy = Some(copy));
        self.add("database", checked);
    }

    fn check_plugins(&mut self) {
        let Some(copy) = &self.copy else { return self.add_unchecked("plugins", "the database is damaged") };
        let manifest = &self.manifest;
        let check = || {
            for row in &copy.versions {
                let version = &row.plugin;
                let known = manifest
                    .plugins
                    .iter()
                    .find(|plugin| plugin.name == version.name && plugin.sha256 == version.sha256);
                let plugin = known.with_context(|| format!("the manifest lacks a version of `{}`", version.name))?;
                let part = manifest.part(&plugin.part_name());
                ensure!(
                    part.map(|part| &*part.sha256) == plugin.kept.then_some(&*plugin.sha256),
                    "the file of a version of `{}` is missing or another one",
                    plugin.name
                );
            }
            Ok(())
        };
        self.add("plugins", check());
    }

    fn check_keys(&mut self, folder: &Path, lock: Option<&Lock>) {
        if matches!(self.manifest.keys, KeyState::LeftOut | KeyState::NotMade) {
            return self.add_unchecked("keys", "the backup has none");
        }
        let Some(lock) = lock else {
            return self.add_unchecked("keys", "no passphrase and no key file is given");
        };
        let (Some(copy), true) = (&self.copy, self.is_ok(KEYS)) else {
            return self.add_unchecked("keys", "a part that is needed is damaged");
        };
        let sealed_with_passphrase = self.manifest.keys == KeyState::Passphrase;
        let open = || {
            let is_passphrase = matches!(lock, Lock::Passphrase(_));
            ensure!(
                is_passphrase == sealed_with_passphrase,
                "the keys are sealed with a {}; give that",
                if sealed_with_passphrase { "passphrase" } else { "key file" }
            );
            let database = self.manifest.part(DATABASE).map_or("", |part| &part.sha256);
            let key = lock.open(&std::fs::read(folder.join(KEYS))?, database)?;
            check_key(&key, &copy.sources)?;
            Ok(key)
        };
        let opened = open().map(|key| self.key = Some(key));
        self.add("keys", opened);
    }
}
