//! Repair of JSON that senders cut, glue together or write against the rules.
//!
//! Runs only after a strict parser rejected a text, so its speed matters little. The result is JSON that every parser
//! accepts.

use crate::path::excerpt;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The depth up to which values stay structured. A deeper value becomes the text of its JSON.
pub(crate) const DEPTH_MAX: usize = 64;

/// The number of unreadable values after which the rest of a text is not read.
const FAULTS_MAX: usize = 50;

/// The JSON values of one text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Documents {
    /// Each value, as JSON without the faults of the original.
    pub list: Vec<String>,
    /// The reasons why parts of the text are not values.
    pub problems: Vec<String>,
}

/// Reads the values of a text that contains one or several JSON values, one after the other, one per line or with commas
/// between them. Passes over byte order marks and NULs between the values.
///
/// - A lone half of a surrogate pair and a byte that is not UTF-8 become U+FFFD.
/// - Of members with the same name, the last is kept.
/// - A value nested deeper than [`DEPTH_MAX`] becomes a text.
/// - A control character in a text and an unknown escape stand for themselves.
/// - An integer of more than 64 bits and a number without a finite value become texts.
/// - A member or element without a value is null, a word without quotes is a text; both are problems.
/// - A value that cannot be read is a problem; reading continues after its last bracket or, if that is missing, at the
///   next line that begins with a value. What is not JSON ends at the next bracket.
/// - If an element of a list cannot be read or the list is cut off, the elements are values in place of the list.
pub(crate) fn documents(bytes: &[u8]) -> Documents {
    let mut documents = Documents::default();
    let mut at = 0;
    let mut is_in_list = false;
    let mut lists = 0;
    loop {
        at += gap(&bytes[at..]);
        if at == bytes.len() {
            let is_known = documents.problems.last().is_some_and(|problem| problem.ends_with(CUT_OFF));
            if is_in_list && !is_known {
                documents.problems.push(format!("the list of JSON values {CUT_OFF}"));
            }
            return documents;
        }
        if is_in_list && bytes[at] == b']' {
            is_in_list = false;
            at += 1;
            continue;
        }
        let mut repair = Repair { bytes, at, out: String::new(), problems: Vec::new() };
        match repair.value(0) {
            Ok(()) => {
                at = repair.at;
                documents.list.push(repair.out);
                documents.problems.extend(repair.problems);
            }
            Err(_) if bytes[at] == b'[' && lists < FAULTS_MAX && (!is_in_list || bytes[at - 1] == b'\n') => {
                is_in_list = true;
                lists += 1;
                at += 1;
            }
            Err(fault) => {
                let number = documents.list.len() + documents.problems.len() + 1;
                documents.problems.push(format!("JSON value {number} {fault}"));
                if documents.problems.len() == FAULTS_MAX {
                    documents.problems.push(format!("what follows byte {at} is not read"));
                    return documents;
                }
                at = after_value(bytes, at);
            }
        }
    }
}

/// Returns the length of what may stand between two values. RFC 7464 begins each with the byte 0x1E.
fn gap(bytes: &[u8]) -> usize {
    let mut at = 0;
    loop {
        match bytes.get(at) {
            Some(b',' | 0x1e | 0) => at += 1,
            Some(byte) if byte.is_ascii_whitespace() => at += 1,
            Some(0xEF) if bytes[at..].starts_with(b"\xEF\xBB\xBF") => at += 3,
            _ => return at,
        }
    }
}

/// Returns where to read on after what cannot be read: at the next bracket after a word; else after the last bracket of the
/// object or array or, if that is missing, at the next line that begins with a value.
fn after_value(bytes: &[u8], from: usize) -> usize {
    let is_bracket = |byte: &u8| matches!(byte, b'{' | b'[');
    if !is_bracket(&bytes[from]) {
        let next = bytes[from + 1..].iter().position(|byte| is_bracket(byte) || *byte == b']');
        return next.map_or(bytes.len(), |next| from + 1 + next);
    }
    let line = bytes[from..].windows(2).position(|pair| pair[0] == b'\n' && is_bracket(&pair[1]));
    let end = line.map_or(bytes.len(), |line| from + line + 1);
    let (mut depth, mut is_text, mut is_escaped) = (0_usize, false, false);
    for (at, byte) in bytes.iter().enumerate().take(end).skip(from) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_text => is_escaped = true,
            b'"' => is_text = !is_text,
            b'{' | b'[' if !is_text => depth += 1,
            b'}' | b']' if !is_text && depth == 1 => return at + 1,
            b'}' | b']' if !is_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    end
}

/// Returns whether JSON text needs [`documents`] although the parser accepts it as a raw value: it could contain half a
/// surrogate pair, or it is nested too deep.
pub(crate) fn is_suspect(json: &str) -> bool {
    let is_text = json.starts_with('"');
    let opened = || json.bytes().filter(|byte| matches!(byte, b'{' | b'[')).count();
    if !json.as_bytes().contains(&b'\\') && (is_text || opened() <= DEPTH_MAX) {
        return false;
    }
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut bytes = json.bytes().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'\\' if bytes.next() == Some(b'u') && matches!(bytes.peek(), Some(b'd' | b'D')) => return true,
            _ => {}
        }
    }
    deepest > DEPTH_MAX
}

struct Repair<'b> {
    bytes: &'b [u8],
    at: usize,
    out: String,
    /// The values that are not JSON although their places are known.
    problems: Vec<String>,
}

const CUT_OFF: &str = "is cut off at the end";

impl Repair<'_> {
    fn peek(&mut self) -> Option<u8> {
        self.at += self.bytes[self.at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        self.bytes.get(self.at).copied()
    }

    fn fault(&self) -> String {
        match self.bytes.get(self.at) {
            Some(byte) => format!("is not JSON: unexpected `{}` at byte {}", byte.escape_ascii(), self.at),
            None => CUT_OFF.into(),
        }
    }

    /// Copies the value at the position.
    fn value(&mut self, depth: usize) -> Result<(), String> {
        match self.peek() {
            Some(b'{' | b'[') if depth == DEPTH_MAX => self.nested_text(),
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => {
                let text = self.string()?;
                self.push_text(&text);
                Ok(())
            }
            _ => self.word().or_else(|fault| self.bare(depth).ok_or(fault)),
        }
    }

    /// Copies a word without quotes as text, and null in place of nothing, as templates write them. Returns none if the
    /// end of the value is not plain.
    fn bare(&mut self, depth: usize) -> Option<()> {
        let length = self.bytes[self.at..].iter().position(|byte| b",}]{[\":\n".contains(byte))?;
        let end = self.bytes[self.at + length];
        let word = std::str::from_utf8(&self.bytes[self.at..self.at + length]).ok()?.trim();
        if depth == 0 || !b",}]\n".contains(&end) || self.problems.len() == FAULTS_MAX {
            return None;
        }
        match word {
            "" => self.problems.push(format!("the value at byte {} is missing", self.at)),
            word => self.problems.push(format!("`{}` at byte {} has no quotes", excerpt(word), self.at)),
        }
        if word.is_empty() {
            self.out.push_str("null")
        } else {
            self.push_text(word)
        }
        self.at += length;
        Some(())
    }

    fn push_text(&mut self, text: &str) {
        self.out.push('"');
        for letter in text.chars() {
            match letter {
                '"' | '\\' => self.out.extend(['\\', letter]),
                '\u{0}'..='\u{1f}' => {
                    let _ = write!(self.out, "\\u{:04x}", u32::from(letter));
                }
                _ => self.out.push(letter),
            }
        }
        self.out.push('"');
    }

    fn object(&mut self, depth: usize) -> Result<(), String> {
        let mut members: BTreeMap<String, (usize, usize)> = BTreeMap::new();
        self.open(b'{')?;
        while self.peek() != Some(b'}') {
            if self.peek() != Some(b'"') {
                return Err(self.fault());
            }
            let start = self.out.len();
            let name = self.string()?;
            self.push_text(&name);
            if self.peek() != Some(b':') {
                return Err(self.fault());
            }
            self.open(b':')?;
            self.value(depth + 1)?;
            let is_last = self.separator(b'}')?;
            if let Some((start, end)) = members.insert(name, (start, self.out.len())) {
                // The earlier member ends with a comma; white space in its place keeps all positions.
                self.out.replace_range(start..end, &" ".repeat(end - start));
            }
            if is_last {
                break;
            }
        }
        self.close(b'}')
    }

    fn array(&mut self, depth: usize) -> Result<(), String> {
        self.open(b'[')?;
        while self.peek() != Some(b']') {
            self.value(depth + 1)?;
            if self.separator(b']')? {
                break;
            }
        }
        self.close(b']')
    }

    fn open(&mut self, sign: u8) -> Result<(), String> {
        self.at += 1;
        self.out.push(char::from(sign));
        Ok(())
    }

    /// Passes the comma after an element. Returns whether the element is the last one; a comma before the end is
    /// ignored.
    fn separator(&mut self, close: u8) -> Result<bool, String> {
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                if self.peek() == Some(close) {
                    return Ok(true);
                }
                self.out.push(',');
                Ok(false)
            }
            Some(byte) if byte == close => Ok(true),
            _ => Err(self.fault()),
        }
    }

    fn close(&mut self, sign: u8) -> Result<(), String> {
        if self.peek() != Some(sign) {
            return Err(self.fault());
        }
        self.open(sign)
    }

    /// Copies the value at the position as the text of its JSON. Does not recurse, however deep the value is.
    fn nested_text(&mut self) -> Result<(), String> {
        let start = self.at;
        let mut depth = 0_usize;
        while let Some(&byte) = self.bytes.get(self.at) {
            match byte {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                let text = String::from_utf8_lossy(&self.bytes[start..self.at]).into_owned();
                self.push_text(&text);
                return Ok(());
            }
        }
        Err(CUT_OFF.into())
    }

    /// Reads the text at the position.
    fn string(&mut self) -> Result<String, String> {
        self.at += 1;
        let mut text = Vec::new();
        loop {
            let plain = self.bytes[self.at..].iter().take_while(|byte| !matches!(byte, b'"' | b'\\')).count();
            text.extend(&self.bytes[self.at..self.at + plain]);
            self.at += plain;
            let Some(&byte) = self.bytes.get(self.at) else { return Err(CUT_OFF.into()) };
            self.at += 1;
            if byte == b'"' {
                return Ok(
                    String::from_utf8(text).unwrap_or_else(|text| String::from_utf8_lossy(text.as_bytes()).into())
                );
            }
            let letter = self.escaped().ok_or(CUT_OFF)?;
            text.extend(letter.encode_utf8(&mut [0; 4]).bytes());
        }
    }

    /// Reads the rest of an escape. Returns none at the end of the text, and the backslash of an unknown escape.
    fn escaped(&mut self) -> Option<char> {
        let letter = match self.bytes.get(self.at)? {
            b'n' => '\n',
            b't' => '\t',
            b'r' => '\r',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            letter @ (b'"' | b'\\' | b'/') => char::from(*letter),
            b'u' => return Some(self.unicode()),
            _ => return Some('\\'),
        };
        self.at += 1;
        Some(letter)
    }

    /// Reads `uXXXX`, and the second half of a surrogate pair.
    fn unicode(&mut self) -> char {
        let Some(first) = self.unit(self.at) else { return '\\' };
        self.at += 5;
        let second = (self.bytes.get(self.at) == Some(&b'\\')).then(|| self.unit(self.at + 1)).flatten();
        let pair = char::decode_utf16([first].into_iter().chain(second)).next();
        if let Some(Ok(letter)) = pair {
            self.at += if letter.len_utf16() == 2 { 6 } else { 0 };
            return letter;
        }
        char::REPLACEMENT_CHARACTER
    }

    fn unit(&self, at: usize) -> Option<u16> {
        let digits = self.bytes.get(at..at + 5)?.strip_prefix(b"u")?;
        digits.iter().all(u8::is_ascii_hexdigit).then_some(())?;
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    }

    /// Copies a number, `true`, `false` or `null`, also as Python and JavaScript write them.
    fn word(&mut self) -> Result<(), String> {
        let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || b"+-._".contains(byte);
        let length = self.bytes[self.at..].iter().take_while(is_part).count();
        let word = std::str::from_utf8(&self.bytes[self.at..self.at + length]).unwrap_or_default();
        match word {
            "null" | "None" | "NaN" | "nan" | "undefined" => self.out.push_str("null"),
            "true" | "True" => self.out.push_str("true"),
            "false" | "False" => self.out.push_str("false"),
            _ if !word.starts_with(|sign: char| sign.is_ascii_digit() || "+-.".contains(sign)) => {
                return Err(self.fault());
            }
            number if is_exact(number) => self.out.push_str(number),
            other => self.push_text(other),
        }
        self.at += length;
        Ok(())
    }
}

/// Returns whether a number keeps its value in a parser: an integer of 64 bits or a finite decimal number.
fn is_exact(number: &str) -> bool {
    let is_integer = number.strip_prefix('-').unwrap_or(number).bytes().all(|byte| byte.is_ascii_digit());
    match serde_json::from_str::<serde_json::Number>(number) {
        Ok(number) => !is_integer || number.is_i64() || number.is_u64(),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{DEPTH_MAX, documents, is_suspect};

    #[test]
    fn faults_are_repaired_in_their_place() {
        let cases: [(&[u8], &[&str], usize); 25] = [
            (br#"{"a": "x\ud83d y", "b": 1}"#, &["{\"a\":\"x\u{fffd} y\",\"b\":1}"], 0),
            (br#"["\ude00\ud83d\ude00\ud83d\u0041"]"#, &["[\"\u{fffd}\u{1f600}\u{fffd}A\"]"], 0),
            (br#"{"a": 1, "b": 2, "a": 3}"#, &[r#"{      "b":2,"a":3}"#], 0),
            (b"\xEF\xBB\xBF {\"a\": \"\xff\"}", &["{\"a\":\"\u{fffd}\"}"], 0),
            (b"{\"a\":1}{\"a\":2}\n[3]\x1e{}, {}", &[r#"{"a":1}"#, r#"{"a":2}"#, "[3]", "{}", "{}"], 0),
            (b"{\"a\":1}\n{\"a\":\n{\"a\":3}", &[r#"{"a":1}"#, r#"{"a":3}"#], 1),
            (b"{\"a\":1},{\"a\": \"x", &[r#"{"a":1}"#], 1),
            (b"{\"a\":\"1\n2\"}", &[r#"{"a":"1\u000a2"}"#], 0),
            (br#"["C:\Users", "\u12"]"#, &[r#"["C:\\Users","\\u12"]"#], 0),
            (b"[12345678901234567890123, -1, 1.50, 1e999]", &[r#"["12345678901234567890123",-1,1.50,"1e999"]"#], 0),
            (b"[None, True, NaN, ]", &["[null,true,null]"], 0),
            (b"{\"a\":1} and more", &[r#"{"a":1}"#], 1),
            (b"{a:1}", &[], 1),
            (br#"{"a": , "b": High Risk, "c": [1,,x]}"#, &[r#"{"a":null,"b":"High Risk","c":[1,null,"x"]}"#], 4),
            (br#"{"a": {{rule}}, "b": 1}"#, &[], 1),
            (b"\"x\" 7]", &[r#""x""#, "7"], 1),
            (b"<14>Jan 5 app: {\"a\":1}", &[r#"{"a":1}"#], 1),
            (b"<xml/>", &[], 1),
            (b"", &[], 0),
            (b"[[", &[], 1),
            (b"[{\"a\":1}, {\"a\":2}, {\"a\":", &[r#"{"a":1}"#, r#"{"a":2}"#], 1),
            (b"[{\"a\":1},", &[r#"{"a":1}"#], 1),
            (b"[{\"a\":1}, {b}, {\"a\":2}] {\"a\":\"}{\", b}{\"a\":3}", &[r#"{"a":1}"#, r#"{"a":2}"#, r#"{"a":3}"#], 2),
            (b"{\"a\":1}\n[{\"a\":2},\n[{\"a\":3}, 4", &[r#"{"a":1}"#, r#"{"a":2}"#, r#"{"a":3}"#, "4"], 1),
            (b"{\"a\":1}\xEF\xBB\xBF{\"a\":2}\r\n\0\0\xEF\xBB\xBF", &[r#"{"a":1}"#, r#"{"a":2}"#], 0),
        ];
        for (text, expected, problems) in cases {
            let found = documents(text);
            assert_eq!((found.list.len(), found.problems.len()), (expected.len(), problems), "{}", text.escape_ascii());
            assert_eq!(found.list, expected);
            for json in &found.list {
                serde_json::from_str::<serde_json::Value>(json).unwrap();
            }
        }
    }

    #[test]
    fn what_is_too_deep_is_kept_as_text() {
        let nested = |depth: usize| "[".repeat(depth) + "{\"a\":\"]\"}" + &"]".repeat(depth);
        assert_eq!(documents(nested(DEPTH_MAX - 1).as_bytes()).list, [nested(DEPTH_MAX - 1)]);
        let deep = documents(nested(100_000).as_bytes());
        assert!(deep.list[0].starts_with(&("[".repeat(DEPTH_MAX) + "\"[[[")), "{:.80}", deep.list[0]);
        assert!(is_suspect(&nested(DEPTH_MAX)) && !is_suspect(&nested(DEPTH_MAX - 1)));
        assert!(is_suspect(r#""\uD83D""#) && !is_suspect(r#""\\ud83d \u00e9""#));
    }
}
