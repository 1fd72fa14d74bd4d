//! The files that the items of a list name: each line of a file becomes an event.

use super::pointer::Pointer;
use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use reqwest::Url;
use serde_json::Value;
use serde_json::value::RawValue;
use std::io::{self, BufRead, BufReader, Cursor, Read, Take};
use std::str::FromStr;

const GZIP: [u8; 2] = [0x1f, 0x8b];
/// A file that is larger when it is unpacked is read up to this.
const UNPACKED_BYTES_MAX: u64 = 1 << 30;

/// The files of a list.
#[derive(Debug)]
pub struct Files {
    /// The position of a file's URL in an item of the list.
    pub url: Pointer,
    /// The hosts, beside that of the source, from which files are fetched, without the proof of identity of the source.
    pub hosts: Vec<HostPattern>,
}

/// The name of a host; `*.files.example` stands for all names below.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPattern(String);

impl Files {
    /// Returns the URL of the file that an item names; `None` if it is not a URL that may be fetched.
    pub(super) fn url_of(&self, item: &RawValue, base: &Url) -> Option<Url> {
        let text = self.url.find(item.get().as_bytes()).ok()??;
        let text: Value = serde_json::from_str(text.get()).ok()?;
        let url = base.join(text.as_str()?).ok()?;
        let is_elsewhere = || {
            let is_secure = url.scheme() == "https" || base.scheme() == "http";
            let host = url.host_str().unwrap_or_default();
            url.scheme().starts_with("http") && is_secure && self.hosts.iter().any(|pattern| pattern.matches(host))
        };
        (url.origin() == base.origin() || is_elsewhere()).then_some(url)
    }
}

impl HostPattern {
    fn matches(&self, host: &str) -> bool {
        match self.0.strip_prefix('*') {
            // With its dot.
            Some(domain) => host.len() > domain.len() && host.ends_with(domain),
            None => host == self.0,
        }
    }
}

impl FromStr for HostPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = text.strip_prefix("*.").unwrap_or(text);
        let is_name = !name.is_empty() && name.chars().all(|char| char.is_ascii_alphanumeric() || "-._".contains(char));
        // `*.com` would allow most servers of the world.
        if !is_name || (name.len() < text.len() && !name.contains('.')) {
            return Err(format!("`{text}` is not the name of a host such as files.example.com or *.files.example.com"));
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

/// The lines of a file, which may be packed with gzip.
pub(super) struct FileLines {
    reader: Take<Box<dyn BufRead + Send>>,
    line_bytes_max: usize,
}

/// One line.
pub(super) enum FileLine {
    Text(Bytes),
    /// The line is longer than permitted and was passed over.
    Oversized,
}

impl FileLines {
    pub fn new(file: Vec<u8>, line_bytes_max: usize) -> Self {
        let is_packed = file.starts_with(&GZIP);
        let file = Cursor::new(file);
        let reader: Box<dyn BufRead + Send> =
            if is_packed { Box::new(BufReader::new(MultiGzDecoder::new(file))) } else { Box::new(file) };
        Self { reader: reader.take(UNPACKED_BYTES_MAX), line_bytes_max }
    }

    /// Returns the next line that is not empty; `None` at the end.
    ///
    /// # Errors
    /// Returns an error if the file is damaged or too large.
    pub fn next(&mut self) -> io::Result<Option<FileLine>> {
        loop {
            let mut line = Vec::new();
            let limit = self.line_bytes_max as u64 + 1;
            self.reader.by_ref().take(limit).read_until(b'\n', &mut line)?;
            if line.is_empty() {
                return match self.reader.limit() {
                    0 => Err(io::Error::other("it is larger than 1 GiB")),
                    _ => Ok(None),
                };
            }
            if line.len() as u64 == limit && line.last() != Some(&b'\n') {
                self.reader.skip_until(b'\n')?;
                return Ok(Some(FileLine::Oversized));
            }
            let text = line.trim_ascii();
            if !text.is_empty() {
                return Ok(Some(FileLine::Text(Bytes::copy_from_slice(text))));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn lines(file: Vec<u8>) -> Result<Vec<String>, String> {
        let (mut lines, mut texts) = (FileLines::new(file, 8), Vec::new());
        while let Some(line) = lines.next().map_err(|error| format!("{texts:?} {error}"))? {
            texts.push(match line {
                FileLine::Text(text) => String::from_utf8(text.to_vec()).unwrap(),
                FileLine::Oversized => "…".to_owned(),
            });
        }
        Ok(texts)
    }

    #[test]
    fn lines_are_read_from_packed_files_and_others() {
        let text = b"\n1234567\r\n123456789\n\n{}\n12345678\n12345678";
        let packed = |bytes: &[u8]| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        };
        let expected = ["1234567", "…", "{}", "12345678", "12345678"].map(str::to_owned).to_vec();
        assert_eq!(lines(text.to_vec()), Ok(expected.clone()));
        assert_eq!(lines(packed(text)), Ok(expected));
        assert_eq!(lines([packed(b"a\n"), packed(b"b\n")].concat()), Ok(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(lines(Vec::new()), Ok(Vec::new()));
        let mut damaged = packed(text);
        damaged.truncate(damaged.len() - 4);
        assert!(lines(damaged).is_err());
    }

    #[test]
    fn files_are_fetched_from_permitted_hosts_only() {
        let hosts = ["*.storage.example", "one.example"].map(|host| host.parse().unwrap()).to_vec();
        let files = Files { url: "/url".parse().unwrap(), hosts };
        let base: Url = "https://api.example/v1".parse().unwrap();
        for (url, is_permitted) in [
            ("/files/1", true),
            ("https://api.example/files/1", true),
            ("https://eu.storage.example/1?sig=x", true),
            ("https://one.example/1", true),
            ("http://one.example/1", false),
            ("https://storage.example/1", false),
            ("https://evilstorage.example/1", false),
            ("https://two.example/1", false),
            ("file:///etc/passwd", false),
        ] {
            let item: Box<RawValue> = serde_json::from_str(&serde_json::json!({"url": url}).to_string()).unwrap();
            assert_eq!(files.url_of(&item, &base).is_some(), is_permitted, "{url}");
        }
        for text in ["*", "*.com", "", "a/b", "https://one.example"] {
            assert!(text.parse::<HostPattern>().is_err(), "{text}");
        }
    }
}
