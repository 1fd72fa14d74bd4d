//! The samples of a plugin: payloads in the folder `NAME.samples` in the plugins folder.
//!
//! A mapper may quote its input, and a report shows the mapper's texts. Therefore only regular files beneath the folder
//! are read, no links, and with a lock file only the files in its list.

use super::trust::Trust;
use crate::payload_file::{PayloadFile, beside, is_payload};
use anyhow::{Context, Result, ensure};
use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, fstat, openat};
use rustix::io::Errno;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use tracing::warn;

/// The number of samples of a plugin that are used.
const SAMPLES_MAX: usize = 1000;
/// Larger samples are not used.
const SAMPLE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// One sample of a plugin.
#[derive(Debug)]
pub struct Sample {
    folder: Arc<Folder>,
    /// The name of the file.
    pub file: String,
}

/// The open folder with the samples of one plugin.
#[derive(Debug)]
struct Folder {
    opened: OwnedFd,
    /// The name in the plugins folder.
    name: String,
}

impl Sample {
    /// Returns the samples of a plugin, sorted by name: none if there is no folder with them, or it is a link. Blocks.
    ///
    /// # Errors
    /// Returns an error if the folder cannot be read.
    pub fn list(plugins_dir: &Path, plugin: &str) -> Result<Vec<Self>> {
        let name = format!("{plugin}.samples");
        let path = plugins_dir.join(&name);
        let opened = match open(CWD, &path, OFlags::DIRECTORY) {
            Ok(opened) => opened,
            Err(Errno::NOENT) => return Ok(Vec::new()),
            Err(Errno::LOOP | Errno::NOTDIR) => {
                warn!(plugin, "{} is not a folder, so that its samples are not used", path.display());
                return Ok(Vec::new());
            }
            Err(error) => return Err(error).with_context(|| format!("cannot read the samples in {}", path.display())),
        };
        let mut files = Vec::new();
        for entry in Dir::read_from(&opened)? {
            let file = entry?.file_name().to_string_lossy().into_owned();
            if is_payload(Path::new(&file)) {
                files.push(file);
            }
        }
        files.sort();
        if files.len() > SAMPLES_MAX {
            warn!(plugin, "{} has {} samples; only the first {SAMPLES_MAX} are used", path.display(), files.len());
            files.truncate(SAMPLES_MAX);
        }
        let folder = Arc::new(Folder { opened, name });
        Ok(files.into_iter().map(|file| Self { folder: folder.clone(), file }).collect())
    }

    /// Reads the sample. Blocks.
    ///
    /// # Errors
    /// Returns an error if the sample must not be used, or is not a payload.
    pub fn read(&self, trust: &Trust) -> Result<PayloadFile> {
        let body = self.folder.content(&self.file, trust)?.context("the file does not exist any more")?;
        let path = Path::new(&self.file);
        let event = self.folder.content(&beside(path).to_string_lossy(), trust)?;
        PayloadFile::new(path, body, event.as_deref())
    }
}

impl Folder {
    /// Returns the content of a file, or `None` if it does not exist.
    fn content(&self, file: &str, trust: &Trust) -> Result<Option<Vec<u8>>> {
        // A pipe without a writer would block.
        let opened = match open(&self.opened, Path::new(file), OFlags::NONBLOCK) {
            Ok(opened) => opened,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => anyhow::bail!("{file} is a link"),
            Err(error) => return Err(error).with_context(|| format!("cannot read {file}")),
        };
        let is_file = FileType::from_raw_mode(fstat(&opened)?.st_mode) == FileType::RegularFile;
        ensure!(is_file, "{file} is not a regular file");
        let mut bytes = Vec::new();
        File::from(opened).take(SAMPLE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
        ensure!(bytes.len() as u64 <= SAMPLE_BYTES_MAX, "{file} has more than {SAMPLE_BYTES_MAX} bytes");
        trust.check_sample(&format!("{}/{file}", self.name), &bytes)?;
        Ok(Some(bytes))
    }
}

fn open(folder: impl std::os::fd::AsFd, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    openat(folder, path, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | flags, Mode::empty())
}

#[cfg(test)]
mod tests {
    use super::Sample;
    use crate::release::trust::Trust;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn read(samples: &[Sample], file: &str, trust: &Trust) -> Result<Vec<u8>, String> {
        let sample = samples.iter().find(|sample| sample.file == file).unwrap();
        sample.read(trust).map(|sample| sample.body).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn only_regular_files_beneath_the_folder_are_read() {
        let outside = tempfile::tempdir().unwrap();
        let (plugins, secret) = (outside.path().join("plugins"), outside.path().join("secret.json"));
        let samples = plugins.join("echo.samples");
        fs::create_dir_all(samples.join("folder.json")).unwrap();
        fs::write(&secret, "{}").unwrap();
        fs::write(samples.join("good.json"), "{}").unwrap();
        fs::write(samples.join("beside.json"), "{}").unwrap();
        symlink(&secret, samples.join("beside.event.json")).unwrap();
        symlink(&secret, samples.join("link.json")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            samples.join("pipe.json"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        let found = Sample::list(&plugins, "echo").unwrap();
        let files: Vec<&str> = found.iter().map(|sample| sample.file.as_str()).collect();
        assert_eq!(files, ["beside.json", "folder.json", "good.json", "link.json", "pipe.json"]);
        let read = |file| read(&found, file, &Trust::default());
        assert_eq!(read("good.json").unwrap(), b"{}");
        for (file, reason) in [
            ("beside.json", "beside.event.json is a link"),
            ("folder.json", "folder.json is not a regular file"),
            ("link.json", "link.json is a link"),
            ("pipe.json", "pipe.json is not a regular file"),
        ] {
            assert_eq!(read(file).unwrap_err(), reason);
        }
        symlink(&samples, plugins.join("other.samples")).unwrap();
        assert!(Sample::list(&plugins, "other").unwrap().is_empty());
        assert!(Sample::list(&plugins, "none").unwrap().is_empty());
    }

    #[test]
    fn with_a_lock_file_only_listed_samples_are_read() {
        use sha2::{Digest, Sha256};
        let folder = tempfile::tempdir().unwrap();
        let samples = folder.path().join("echo.samples");
        fs::create_dir(&samples).unwrap();
        let write = |file: &str, text: &str| fs::write(samples.join(file), text).unwrap();
        write("listed.json", "{}");
        write("changed.json", "[]");
        write("added.json", "{}");
        let lock = folder.path().join("plugins.lock");
        let digest = hex::encode(Sha256::digest("{}"));
        let lines = ["listed.json", "changed.json"].map(|file| format!("{digest}  echo.samples/{file}\n"));
        fs::write(&lock, lines.concat()).unwrap();
        let trust = Trust { lock: Some(lock), key: None };
        let found = Sample::list(folder.path(), "echo").unwrap();
        let read = |file| read(&found, file, &trust);
        assert_eq!(read("listed.json").unwrap(), b"{}");
        assert!(read("changed.json").unwrap_err().contains("lists another digest for echo.samples/changed.json"));
        assert!(read("added.json").unwrap_err().contains("does not list echo.samples/added.json"));
    }
}
