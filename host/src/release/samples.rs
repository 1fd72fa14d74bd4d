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
use std::path::{Path, PathBuf};
use tracing::warn;

/// The number of samples of a plugin that are used.
const SAMPLES_MAX: usize = 1000;
/// Larger samples are not used.
const SAMPLE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The samples of one plugin.
#[derive(Debug)]
pub struct Samples {
    folder: OwnedFd,
    /// The name of the folder in the plugins folder.
    name: String,
    files: Vec<String>,
}

impl Samples {
    /// Opens the folder of a plugin's samples. Returns `None` if there is no such folder, or it is a link.
    ///
    /// # Errors
    /// Returns an error if the folder cannot be read.
    pub fn open(plugins_dir: &Path, plugin: &str) -> Result<Option<Self>> {
        let name = format!("{plugin}.samples");
        let path = plugins_dir.join(&name);
        let folder = match open(CWD, &path, OFlags::DIRECTORY) {
            Ok(folder) => folder,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP | Errno::NOTDIR) => {
                warn!(plugin, "{} is not a folder, so that its samples are not used", path.display());
                return Ok(None);
            }
            Err(error) => return Err(error).with_context(|| format!("cannot read the samples in {}", path.display())),
        };
        let mut files = Vec::new();
        for entry in Dir::read_from(&folder)? {
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
        Ok(Some(Self { folder, name, files }))
    }

    /// Returns the names of the samples, sorted.
    pub fn files(&self) -> &[String] {
        &self.files
    }

    /// Reads a sample.
    ///
    /// # Errors
    /// Returns an error if the sample must not be used, or is not a payload.
    pub fn read(&self, file: &str, trust: &Trust) -> Result<PayloadFile> {
        let body = self.content(file, trust)?.context("the file does not exist any more")?;
        let path = PathBuf::from(file);
        let event = self.content(&beside(&path).to_string_lossy(), trust)?;
        PayloadFile::new(&path, body, event.as_deref())
    }

    /// Returns the content of a file, or `None` if it does not exist.
    fn content(&self, file: &str, trust: &Trust) -> Result<Option<Vec<u8>>> {
        // A pipe without a writer would block.
        let opened = match open(&self.folder, Path::new(file), OFlags::NONBLOCK) {
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
    use super::Samples;
    use crate::release::trust::Trust;
    use std::fs;
    use std::os::unix::fs::symlink;

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
        let found = Samples::open(&plugins, "echo").unwrap().unwrap();
        assert_eq!(found.files(), ["beside.json", "folder.json", "good.json", "link.json", "pipe.json"]);
        let read = |file: &str| found.read(file, &Trust::default()).map_err(|error| format!("{error:#}"));
        assert_eq!(read("good.json").unwrap().body, b"{}");
        for (file, reason) in [
            ("beside.json", "beside.event.json is a link"),
            ("folder.json", "folder.json is not a regular file"),
            ("link.json", "link.json is a link"),
            ("pipe.json", "pipe.json is not a regular file"),
        ] {
            assert_eq!(read(file).unwrap_err(), reason);
        }
        symlink(&samples, plugins.join("other.samples")).unwrap();
        assert!(Samples::open(&plugins, "other").unwrap().is_none());
        assert!(Samples::open(&plugins, "none").unwrap().is_none());
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
        let found = Samples::open(folder.path(), "echo").unwrap().unwrap();
        let read = |file: &str| found.read(file, &trust).map(|sample| sample.body).map_err(|error| error.to_string());
        assert_eq!(read("listed.json").unwrap(), b"{}");
        assert!(read("changed.json").unwrap_err().contains("lists another digest for echo.samples/changed.json"));
        assert!(read("added.json").unwrap_err().contains("does not list echo.samples/added.json"));
    }
}
