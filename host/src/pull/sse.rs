//! Parses Server-Sent Events (<https://html.spec.whatwg.org/multipage/server-sent-events.html>), each of limited size.

use memchr::memchr2;
use std::time::Duration;

const BOM: &[u8] = b"\xef\xbb\xbf";
/// The prefix of a data line.
const DATA: &[u8] = b"data: ";
/// Longer ids and event names are ignored.
const NAME_BYTES_MAX: usize = 256;

/// One event of a stream.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame {
    /// The event name; `message` by default.
    pub event: String,
    /// The last id, of this event or of an earlier one.
    pub id: String,
    /// The data; `None` if it exceeds the limit.
    pub data: Option<Vec<u8>>,
}

/// An incremental parser.
#[derive(Debug)]
pub struct FrameParser {
    data_bytes_max: usize,
    is_at_start: bool,
    /// Whether the last line ended in a carriage return; a line feed after it belongs to the same line end.
    is_after_return: bool,
    line: Vec<u8>,
    is_line_cut: bool,
    event: String,
    id: String,
    data: Option<Vec<u8>>,
    is_too_large: bool,
    retry: Option<Duration>,
}

impl FrameParser {
    /// Creates a parser with a limit on the data of one event.
    pub fn new(data_bytes_max: usize) -> Self {
        Self {
            data_bytes_max,
            is_at_start: true,
            is_after_return: false,
            line: Vec::new(),
            is_line_cut: false,
            event: String::new(),
            id: String::new(),
            data: None,
            is_too_large: false,
            retry: None,
        }
    }

    /// Returns the time that the server asks clients to wait before they reconnect.
    pub fn retry(&self) -> Option<Duration> {
        self.retry
    }

    /// Parses the next bytes and appends the events that they complete to `frames`.
    pub fn parse(&mut self, mut bytes: &[u8], frames: &mut Vec<Frame>) {
        if !bytes.is_empty() && std::mem::take(&mut self.is_after_return) {
            bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
        }
        while let Some(end) = memchr2(b'\n', b'\r', bytes) {
            self.extend_line(&bytes[..end]);
            let is_return = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            if is_return {
                self.is_after_return = bytes.is_empty();
                bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
            }
            frames.extend(self.end_line());
        }
        self.extend_line(bytes);
    }

    fn extend_line(&mut self, bytes: &[u8]) {
        if self.line.len() + bytes.len() > self.data_bytes_max + DATA.len() {
            self.is_line_cut = true;
            // The beginning is kept: it names the field.
            let kept = (DATA.len() + 1).saturating_sub(self.line.len()).min(bytes.len());
            self.line.extend_from_slice(&bytes[..kept]);
            return;
        }
        if !self.is_line_cut {
            self.line.extend_from_slice(bytes);
        }
    }

    fn end_line(&mut self) -> Option<Frame> {
        let (mut line, is_cut) = (std::mem::take(&mut self.line), std::mem::take(&mut self.is_line_cut));
        if std::mem::take(&mut self.is_at_start) && line.starts_with(BOM) {
            line.drain(..BOM.len());
        }
        if line.is_empty() {
            return self.dispatch();
        }
        let (name, value) = match memchr::memchr(b':', &line) {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (&line[..], &b""[..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        let text = || std::str::from_utf8(value).ok().filter(|text| text.len() <= NAME_BYTES_MAX && !is_cut);
        match name {
            b"data" => self.add_data(value, is_cut),
            b"event" => self.event = text().unwrap_or_default().to_owned(),
            b"id" => {
                if let Some(id) = text().filter(|id| !id.contains('\0')) {
                    id.clone_into(&mut self.id);
                }
            }
            b"retry" => {
                let digits = text().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
                let ms = digits.and_then(|text| text.parse().ok());
                self.retry = ms.map(Duration::from_millis).or(self.retry);
            }
            _ => {}
        }
        None
    }

    fn add_data(&mut self, value: &[u8], is_cut: bool) {
        let data = self.data.get_or_insert_default();
        if is_cut || data.len() + value.len() > self.data_bytes_max {
            self.is_too_large = true;
        }
        if self.is_too_large {
            *data = Vec::new();
            return;
        }
        data.extend_from_slice(value);
        data.push(b'\n');
    }

    fn dispatch(&mut self) -> Option<Frame> {
        let (event, data) = (std::mem::take(&mut self.event), self.data.take());
        let is_too_large = std::mem::take(&mut self.is_too_large);
        let mut data = data?;
        data.pop();
        let event = if event.is_empty() { "message".to_owned() } else { event };
        Some(Frame { event, id: self.id.clone(), data: (!is_too_large).then_some(data) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Expected = (&'static str, &'static str, Option<&'static str>);

    const STREAMS: &[(&str, &[Expected])] = &[
        ("data: a\n\n", &[("message", "", Some("a"))]),
        ("\u{feff}id: 1-0\nevent: create\ndata: {}\n\n", &[("create", "1-0", Some("{}"))]),
        ("id:1\r\nevent:update\r\ndata:a\r\ndata: b\r\n\r\n", &[("update", "1", Some("a\nb"))]),
        ("id: 1\rdata: a\r\rdata: b\r\r", &[("message", "1", Some("a")), ("message", "1", Some("b"))]),
        (": comment\n\n:\n\ndata: a\n: between\ndata:  b\n\n", &[("message", "", Some("a\n b"))]),
        // A frame without data is not an event: its name is dropped, its id is kept.
        ("event: create\nid: 7\n\ndata\n\n", &[("message", "7", Some(""))]),
        ("id: 1\ndata: a\n\nid\ndata: b\n\n", &[("message", "1", Some("a")), ("message", "", Some("b"))]),
        ("id: a\0b\ndata: a\n\n", &[("message", "", Some("a"))]),
        ("unknown: x\ndata: a\n\ndata: never ended\n", &[("message", "", Some("a"))]),
        // The limit in these tests is 20 bytes.
        ("data: 12345678901234567890\n\n", &[("message", "", Some("12345678901234567890"))]),
        ("id: 1\ndata: 123456789012345678901\n\ndata: a\n\n", &[("message", "1", None), ("message", "1", Some("a"))]),
        ("data: 1234567890\ndata: 1234567890\ndata: a\n\n", &[("message", "", None)]),
        (": a comment that is longer than data may be\ndata: a\n\n", &[("message", "", Some("a"))]),
    ];

    #[test]
    fn events_do_not_depend_on_chunks() {
        for (stream, expected) in STREAMS {
            for piece in [1, 2, 3, 7, 1000] {
                let (mut parser, mut frames) = (FrameParser::new(20), Vec::new());
                stream.as_bytes().chunks(piece).for_each(|bytes| parser.parse(bytes, &mut frames));
                let expected: Vec<Frame> = expected
                    .iter()
                    .map(|(event, id, data)| Frame {
                        event: (*event).to_owned(),
                        id: (*id).to_owned(),
                        data: data.map(|data| data.as_bytes().to_vec()),
                    })
                    .collect();
                assert_eq!(frames, expected, "{stream:?} in pieces of {piece}");
            }
        }
    }

    #[test]
    fn the_time_to_the_next_connection() {
        for (stream, expected) in [
            ("retry: 2500\n", Some(2500)),
            ("retry: 1\nretry: soon\n", Some(1)),
            ("retry: +5\n", None),
            ("retry\n", None),
        ] {
            let mut parser = FrameParser::new(20);
            parser.parse(stream.as_bytes(), &mut Vec::new());
            assert_eq!(parser.retry(), expected.map(Duration::from_millis), "{stream:?}");
        }
    }
}
