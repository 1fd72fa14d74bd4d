//! The file of a backup: a tar archive in GNU's format, so that every `tar` opens it.
//!
//! The first entry is the manifest, the second its digest in the format of `sha256sum`. The manifest names all other
//! entries in their order, so that a reader knows every byte of the file except the content, and the content's digest.

use super::manifest::{BYTES_MAX, Manifest, Part};
use super::pace::Pace;
use anyhow::{Context, Result, anyhow, bail, ensure};
use hookmill_store::private_files::private_file;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{BufReader, BufWriter, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

const MANIFEST: &str = "manifest.json";
const MANIFEST_DIGEST: &str = "manifest.json.sha256";
const BLOCK: usize = 512;
/// The empty blocks at the end.
const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];
const CHUNK: usize = 1024 * 1024;
/// The bytes after which a new file is synchronised. A larger amount at once would delay the commits of a host.
const SYNC_EVERY: u64 = 32 * 1024 * 1024;

/// The content of a part that is written.
#[derive(Debug)]
pub(super) enum Content {
    Bytes(Vec<u8>),
    File(PathBuf),
}

/// Writes a new archive, and returns only when it is on disk. Returns its size.
pub(super) fn write(path: &Path, manifest: &Manifest, contents: Vec<Content>, pace: &mut Pace) -> Result<u64> {
    let total = manifest.parts.iter().map(|part| part.bytes).sum();
    pace.begin("writing the backup", total);
    let mut out = BufWriter::with_capacity(CHUNK, private_file(path)?);
    let time = manifest.created_at.as_second();
    let text = serde_json::to_vec_pretty(manifest)?;
    let digest = digest_line(&text);
    for (name, bytes) in [(MANIFEST, &text), (MANIFEST_DIGEST, &digest)] {
        out.write_all(&header(name, bytes.len() as u64, time))?;
        out.write_all(bytes)?;
        out.write_all(padding(bytes.len() as u64))?;
    }
    let mut synced = 0;
    for (part, content) in manifest.parts.iter().zip(contents) {
        out.write_all(&header(&part.name, part.bytes, time))?;
        let mut content: Box<dyn Read> = match content {
            Content::Bytes(bytes) => Box::new(std::io::Cursor::new(bytes)),
            Content::File(path) => {
                Box::new(File::open(&path).with_context(|| format!("cannot open {}", path.display()))?)
            }
        };
        let mut copied = Copied::default();
        copied.copy(&mut content, part.bytes, |chunk| {
            out.write_all(chunk)?;
            synced += chunk.len() as u64;
            if synced >= SYNC_EVERY {
                synced = 0;
                out.flush()?;
                out.get_ref().sync_data()?;
            }
            pace.advance(chunk.len() as u64)
        })?;
        ensure!(copied.is(part), "{} changed while it was copied; make the backup again", part.name);
        out.write_all(padding(part.bytes))?;
    }
    out.write_all(&END)?;
    let file = out.into_inner().map_err(|error| error.into_error())?;
    file.sync_all()?;
    Ok(file.metadata()?.len())
}

/// Returns the manifest of a backup.
///
/// # Errors
/// Returns an error if the file is no backup, its manifest is damaged, or its format is a newer one.
pub fn read_manifest(path: &Path) -> Result<Manifest> {
    Ok(Archive::open(path)?.manifest)
}

/// An archive that is read.
pub(super) struct Archive {
    file: BufReader<File>,
    pub manifest: Manifest,
    /// The position of the first part.
    parts_at: u64,
    /// The size of the file according to the manifest.
    pub expected_bytes: u64,
}

impl Archive {
    /// Opens an archive and reads its manifest.
    ///
    /// # Errors
    /// Returns an error if the file is no backup, its manifest is damaged, or its format is a newer one.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        let mut file = BufReader::with_capacity(CHUNK, file);
        let mut head = [0; BLOCK];
        let is_backup = file.read_exact(&mut head).is_ok() && head.starts_with(format!("{MANIFEST}\0").as_bytes());
        ensure!(is_backup, "{} is not a backup of hookmill: it does not begin with {MANIFEST}", path.display());
        Self::with_head(file, &head).with_context(|| format!("{MANIFEST} is damaged"))
    }

    fn with_head(mut file: BufReader<File>, head: &[u8]) -> Result<Self> {
        let size = std::str::from_utf8(&head[SIZE])?.trim_end_matches('\0');
        let bytes = u64::from_str_radix(size, 8).context("the size in its header was changed")?;
        ensure!(bytes <= BYTES_MAX, "the size in its header was changed");
        let text = entry(&mut file, bytes)?;
        let digest = digest_line(&text);
        let mut head_of_digest = [0; BLOCK];
        let found = file.read_exact(&mut head_of_digest).map_err(|error| anyhow!(read_problem(&error)));
        let found = found.and_then(|()| entry(&mut file, digest.len() as u64)).context(MANIFEST_DIGEST)?;
        ensure!(found == digest, "its digest is not the one in {MANIFEST_DIGEST}");
        let manifest = Manifest::read(&text)?;
        let time = manifest.created_at.as_second();
        ensure!(head == header(MANIFEST, bytes, time), "its header was changed");
        ensure!(
            head_of_digest[..] == header(MANIFEST_DIGEST, digest.len() as u64, time),
            "the header of {MANIFEST_DIGEST} was changed"
        );
        let parts: u64 = manifest.parts.iter().map(|part| entry_bytes(&part.name, part.bytes, time)).sum();
        let parts_at = entry_bytes(MANIFEST, bytes, time) + entry_bytes(MANIFEST_DIGEST, digest.len() as u64, time);
        Ok(Self { file, manifest, parts_at, expected_bytes: parts_at + parts + END.len() as u64 })
    }

    /// Checks that the file is as long as its manifest says. Damage within the file is found when it is read.
    ///
    /// # Errors
    /// Returns an error if the file is cut off.
    pub fn check_length(&self, path: &Path) -> Result<()> {
        let bytes = self.file.get_ref().metadata()?.len();
        if bytes >= self.expected_bytes {
            return Ok(());
        }
        let (time, mut end) = (self.manifest.created_at.as_second(), self.parts_at);
        let place = self.manifest.parts.iter().find(|part| {
            end += entry_bytes(&part.name, part.bytes, time);
            bytes < end
        });
        bail!(
            "{} is cut off: it has {bytes} of {} bytes and ends in {}; copy it again, or use another backup",
            path.display(),
            self.expected_bytes,
            place.map_or("the blocks after its last part", |part| &part.name)
        );
    }

    /// Reads the next part, which must be this one, into a file. Returns what is wrong with the part.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub fn unpack(&mut self, part: &Part, to: &mut File, pace: &mut Pace) -> Result<Option<String>> {
        let expected = header(&part.name, part.bytes, self.manifest.created_at.as_second());
        let mut found = vec![0; expected.len()];
        if let Err(error) = self.file.read_exact(&mut found) {
            return Ok(Some(read_problem(&error)));
        }
        let mut copied = Copied::default();
        let mut written = Ok(());
        let read = copied.copy(&mut self.file, part.bytes, |chunk| {
            written = to.write_all(chunk).map_err(Into::into).and_then(|()| pace.advance(chunk.len() as u64));
            ensure!(written.is_ok(), "cannot write");
            Ok(())
        });
        written.with_context(|| format!("cannot write {}", part.name))?;
        if let Err(error) = read {
            return Ok(Some(format!("{error:#}")));
        }
        let mut after = padding(part.bytes).to_vec();
        if let Err(error) = self.file.read_exact(&mut after) {
            return Ok(Some(read_problem(&error)));
        }
        let problem = if found != expected {
            Some("the header of its entry was changed")
        } else if !copied.is(part) {
            Some("its content was changed: it has another digest than in the manifest")
        } else if after != padding(part.bytes) {
            Some("bytes after its content were changed")
        } else {
            None
        };
        Ok(problem.map(str::to_owned))
    }

    /// Returns what is wrong with the end of the archive.
    pub fn end(&mut self) -> Option<String> {
        let mut end = Vec::new();
        match self.file.by_ref().take(END.len() as u64 + 1).read_to_end(&mut end) {
            Err(error) => Some(read_problem(&error)),
            Ok(_) if end == END => None,
            Ok(count) if count < END.len() => Some("the file is cut off".to_owned()),
            Ok(_) => Some("bytes after the last part were changed".to_owned()),
        }
    }
}

/// Content that went through [`Copied::copy`].
#[derive(Default)]
struct Copied {
    digest: Sha256,
    bytes: u64,
}

impl Copied {
    /// Passes this many bytes to `write`, in chunks.
    fn copy(&mut self, from: &mut dyn Read, bytes: u64, mut write: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut chunk = vec![0; CHUNK];
        while self.bytes < bytes {
            let wanted = usize::try_from(bytes - self.bytes).map_or(CHUNK, |left| left.min(CHUNK));
            match from.read(&mut chunk[..wanted]) {
                Ok(0) => bail!("the file is cut off: it ends after {} of {bytes} bytes", self.bytes),
                Ok(count) => {
                    self.digest.update(&chunk[..count]);
                    self.bytes += count as u64;
                    write(&chunk[..count])?;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => bail!("{}", read_problem(&error)),
            }
        }
        Ok(())
    }

    fn is(self, part: &Part) -> bool {
        self.bytes == part.bytes && hex::encode(self.digest.finalize()) == part.sha256
    }
}

/// Returns the size and the digest of a file.
pub(super) fn digest(file: &mut File, pace: &mut Pace) -> Result<(u64, String)> {
    let bytes = file.metadata()?.len();
    pace.begin("computing digests", bytes);
    let mut copied = Copied::default();
    copied.copy(file, bytes, |chunk| pace.advance(chunk.len() as u64))?;
    Ok((bytes, hex::encode(copied.digest.finalize())))
}

fn read_problem(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::UnexpectedEof => "the file is cut off".to_owned(),
        _ => format!("it cannot be read: {error}"),
    }
}

/// Reads an entry whole, after its header.
fn entry(file: &mut impl Read, bytes: u64) -> Result<Vec<u8>> {
    let mut content = vec![0; usize::try_from(padded(bytes))?];
    file.read_exact(&mut content).map_err(|error| anyhow!(read_problem(&error)))?;
    let after = content.split_off(usize::try_from(bytes)?);
    ensure!(after == padding(bytes), "bytes after its content were changed");
    Ok(content)
}

/// Returns the line of `sha256sum` about the manifest.
fn digest_line(manifest: &[u8]) -> Vec<u8> {
    format!("{}  {MANIFEST}\n", hex::encode(Sha256::digest(manifest))).into_bytes()
}

/// Returns the zeros after content of this size.
fn padding(bytes: u64) -> &'static [u8] {
    &END[..(padded(bytes) - bytes) as usize]
}

fn padded(bytes: u64) -> u64 {
    bytes.next_multiple_of(BLOCK as u64)
}

/// Returns the size of an entry with its header.
fn entry_bytes(name: &str, bytes: u64, unix_s: i64) -> u64 {
    header(name, bytes, unix_s).len() as u64 + padded(bytes)
}

/// The position of the size in a header.
const SIZE: std::ops::Range<usize> = 124..136;

/// Returns the header of an entry, preceded by an entry with its name if the name is long.
fn header(name: &str, bytes: u64, unix_s: i64) -> Vec<u8> {
    const NAME_BYTES_MAX: usize = 100;
    if name.len() <= NAME_BYTES_MAX {
        return block(name, b'0', bytes, unix_s).to_vec();
    }
    let with_end = name.len() as u64 + 1;
    let mut header = block("././@LongLink", b'L', with_end, 0).to_vec();
    header.extend(name.bytes().chain([0]));
    header.extend(padding(with_end));
    header.extend(block(&name[..NAME_BYTES_MAX], b'0', bytes, unix_s));
    header
}

fn block(name: &str, kind: u8, bytes: u64, unix_s: i64) -> [u8; BLOCK] {
    /// The largest size that 11 octal digits hold.
    const OCTAL_MAX: u64 = 0o77_777_777_777;
    let mut block = [0; BLOCK];
    let mut put = |at: usize, value: &[u8]| block[at..at + value.len()].copy_from_slice(value);
    put(0, name.as_bytes());
    put(100, b"0000600\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    if bytes <= OCTAL_MAX {
        put(SIZE.start, format!("{bytes:011o}\0").as_bytes());
    } else {
        // GNU's form of larger sizes: a mark, then the number in big-endian.
        put(SIZE.start, &[0x80, 0, 0, 0]);
        put(SIZE.start + 4, &bytes.to_be_bytes());
    }
    put(136, format!("{:011o}\0", unix_s.clamp(0, OCTAL_MAX as i64)).as_bytes());
    put(148, b"        ");
    put(156, &[kind]);
    put(257, b"ustar  \0");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

#[cfg(test)]
mod tests {
    use super::{BLOCK, END, header, padded};
    use std::io::Write;
    use std::process::{Command, Stdio};

    /// `tar` reads sizes and names of every length.
    #[test]
    fn tar_lists_the_entries() {
        let long = format!("versions/{}@{}.wasm.sig", "n".repeat(64), "0".repeat(64));
        let large = 9 * 1024 * 1024 * 1024;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tar");
        let mut file = std::fs::File::create(&path).unwrap();
        for (name, bytes) in [("manifest.json", 3), (&*long, 0)] {
            file.write_all(&header(name, bytes, 1_700_000_000)).unwrap();
            file.write_all(&END[..padded(bytes) as usize]).unwrap();
        }
        // The content of the last entry is a hole.
        file.write_all(&header("hookmill.db", large, 1_700_000_000)).unwrap();
        let end = 2 * BLOCK as u64 + file.metadata().unwrap().len() + large;
        file.set_len(end).unwrap();
        let list = Command::new("tar").arg("tvf").arg(&path).stderr(Stdio::inherit()).output().unwrap();
        let list = String::from_utf8(list.stdout).unwrap();
        let lines: Vec<&str> = list.lines().collect();
        assert_eq!(lines.len(), 3, "{list}");
        assert!(lines[0].starts_with("-rw-------") && lines[0].contains(" 3 ") && lines[0].ends_with(" manifest.json"));
        assert!(lines[1].ends_with(&format!(" {long}")), "{list}");
        assert!(lines[2].contains(" 9663676416 ") && lines[2].ends_with(" hookmill.db"), "{list}");
    }
}
