//! Compiled code of plugins that is installed together with the program, so that a first start compiles nothing.
//!
//! A compiled plugin is native code, and this code is trusted as the program itself is: the folder, its list of digests
//! and each entry belong to the owner of the program, and no other user can write to them. A service that runs as another
//! user than this owner cannot change them. An entry is used only if its digest is the one in the list.

use anyhow::{Context, Result, bail, ensure};
use hookmill_sandbox::{CompiledCode, CompilerProgram, portable_compatibility};
use hookmill_store::private_files::{digest, replace_file};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{File, Metadata, Permissions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The list of digests, as `sha256sum` prints them.
const DIGESTS: &str = "digests";
/// The running program, also if its file has been replaced meanwhile.
const PROGRAM: &str = "/proc/self/exe";

/// A folder of compiled code for any machine of this architecture.
#[derive(Debug)]
pub struct Precompiled {
    folder: PathBuf,
    /// The user who owns the program.
    owner: u32,
    /// The digests of the entries, by name.
    digests: BTreeMap<String, String>,
    /// The version and settings of this program's compiler.
    compatibility: u64,
}

impl Precompiled {
    /// Opens a folder and reads its list.
    ///
    /// # Errors
    /// Returns an error if the folder or its list cannot be read, or someone else than the owner of the program can write
    /// to them.
    pub fn open(folder: &Path) -> Result<Self> {
        let owner = std::fs::metadata(PROGRAM).context("the owner of this program is not known")?.uid();
        let metadata = std::fs::metadata(folder).with_context(|| {
            format!("cannot read the folder {}; `hookmill plugin precompile` makes it", folder.display())
        })?;
        check_owner(folder, &metadata, owner)?;
        let mut list = String::new();
        let read = open_owned(&folder.join(DIGESTS), owner)?.read_to_string(&mut list);
        read.with_context(|| format!("cannot read {DIGESTS} in {}", folder.display()))?;
        let digests = list.lines().filter_map(|line| line.split_once("  "));
        let digests = digests.map(|(digest, entry)| (entry.to_owned(), digest.to_owned())).collect();
        Ok(Self { folder: folder.to_owned(), owner, digests, compatibility: portable_compatibility()? })
    }

    /// Opens an entry that has its digest.
    fn open_entry(&self, entry: &str) -> Result<File> {
        let known = self.digests.get(entry).context("another version of hookmill compiled the code there")?;
        let mut code = open_owned(&self.folder.join(entry), self.owner)?;
        ensure!(hex::encode(digest(&mut code)?) == *known, "{entry} does not have its digest");
        Ok(code)
    }
}

impl CompiledCode for Precompiled {
    /// Returns the code for any machine, whose compatibility is another one than that of code for this machine. Logs why
    /// there is none, unless the folder has nothing about the file.
    fn get(&self, plugin: &str, sha256: &str, _compatibility: u64) -> Option<File> {
        let is_known = self.digests.keys().any(|entry| entry.starts_with(sha256));
        let code = is_known.then(|| self.open_entry(&entry_name(sha256, self.compatibility)))?;
        code.inspect_err(|error| {
            let folder = self.folder.display();
            tracing::info!(plugin, "compiled here instead of taken from {folder}: {error:#}");
        })
        .ok()
    }

    /// Only [`precompile`] writes into the folder.
    fn put(&self, _plugin: &str, _sha256: &str, _compatibility: u64, _code: &[u8]) {}

    fn too_much(&self, _plugin: &str, _sha256: &str, _compatibility: u64) -> Option<String> {
        None
    }

    fn put_too_much(&self, _plugin: &str, _sha256: &str, _compatibility: u64, _reason: &str) {}
}

/// Compiles plugin files for any machine of this architecture into a folder, which is made if it is missing. Entries that
/// are up to date are kept, others are removed. Calls `begin` with each file that has to be compiled.
///
/// # Errors
/// Returns an error if a file cannot be compiled, or the folder cannot be written.
pub fn precompile(
    files: &[PathBuf],
    folder: &Path,
    compiler: &CompilerProgram,
    mut begin: impl FnMut(&Path),
) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let compatibility = portable_compatibility()?;
    let former = Precompiled::open(folder).ok();
    let mut digests = BTreeMap::new();
    for file in files {
        let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let entry = entry_name(&hex::encode(Sha256::digest(&bytes)), compatibility);
        let kept = former.as_ref().filter(|former| former.open_entry(&entry).is_ok());
        let digest = match kept.and_then(|former| former.digests.get(&entry)) {
            Some(digest) => digest.clone(),
            None => {
                begin(file);
                let code = compiler.compile(&bytes).with_context(|| format!("cannot compile {}", file.display()))?;
                write(folder, &entry, &code)?;
                hex::encode(Sha256::digest(&code))
            }
        };
        digests.insert(entry, digest);
    }
    let list: String = digests.iter().map(|(entry, digest)| format!("{digest}  {entry}\n")).collect();
    write(folder, DIGESTS, list.as_bytes())?;
    for entry in std::fs::read_dir(folder)?.flatten() {
        let name = entry.file_name();
        if name != DIGESTS && !digests.contains_key(&*name.to_string_lossy()) {
            std::fs::remove_file(entry.path()).with_context(|| format!("cannot remove {}", entry.path().display()))?;
        }
    }
    Ok(())
}

/// Writes a file that everyone can read.
fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let path = folder.join(name);
    replace_file(folder, &path, bytes)?;
    Ok(std::fs::set_permissions(&path, Permissions::from_mode(0o644))?)
}

/// Opens a file that only the owner of the program can write to.
fn open_owned(path: &Path, owner: u32) -> Result<File> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    check_owner(path, &file.metadata()?, owner)?;
    Ok(file)
}

fn check_owner(path: &Path, metadata: &Metadata, owner: u32) -> Result<()> {
    if metadata.uid() != owner || metadata.mode() & 0o022 != 0 {
        bail!(
            "{} belongs to user {} with mode {:03o}; compiled code must belong to the owner of hookmill, which is user \
             {owner}, and others must not be able to write to it",
            path.display(),
            metadata.uid(),
            metadata.mode() & 0o777
        );
    }
    Ok(())
}

fn entry_name(sha256: &str, compatibility: u64) -> String {
    format!("{sha256}-{compatibility:016x}")
}

#[cfg(test)]
mod tests {
    use super::{DIGESTS, Precompiled, entry_name, write};
    use hookmill_sandbox::CompiledCode;
    use sha2::{Digest, Sha256};
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt;

    const PLUGIN: &str = "0123";

    /// Returns a folder with the code of [`PLUGIN`].
    fn folder(compatibility: u64) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let entry = entry_name(PLUGIN, compatibility);
        write(folder.path(), &entry, b"code").unwrap();
        let list = format!("{}  {entry}\n", hex::encode(Sha256::digest(b"code")));
        write(folder.path(), DIGESTS, list.as_bytes()).unwrap();
        folder
    }

    #[test]
    fn only_code_with_the_digest_of_the_list_is_returned() {
        let own = hookmill_sandbox::portable_compatibility().unwrap();
        let folder = folder(own);
        let precompiled = Precompiled::open(folder.path()).unwrap();
        let get = |sha256| precompiled.get("name", sha256, 0).map(|file| std::io::read_to_string(file).unwrap());
        assert_eq!((get(PLUGIN).as_deref(), get("4567")), (Some("code"), None));
        write(folder.path(), &entry_name(PLUGIN, own), b"other").unwrap();
        assert_eq!(get(PLUGIN), None, "the entry was changed");

        let other = self::folder(own ^ 1);
        assert!(Precompiled::open(other.path()).unwrap().get("name", PLUGIN, 0).is_none(), "another version");
    }

    #[test]
    fn what_others_can_write_to_is_refused() {
        let own = hookmill_sandbox::portable_compatibility().unwrap();
        for name in ["", DIGESTS] {
            let folder = folder(own);
            set_permissions(folder.path().join(name), Permissions::from_mode(0o777)).unwrap();
            let error = Precompiled::open(folder.path()).unwrap_err().to_string();
            assert!(error.contains("mode 777") && error.contains("owner of hookmill"), "{error}");
        }
        let folder = folder(own);
        set_permissions(folder.path().join(entry_name(PLUGIN, own)), Permissions::from_mode(0o666)).unwrap();
        assert!(Precompiled::open(folder.path()).unwrap().get("name", PLUGIN, 0).is_none());
    }
}
