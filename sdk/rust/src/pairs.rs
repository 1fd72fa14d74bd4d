//! Names with values in the text of a log.

use std::borrow::Cow;

/// Returns the pairs in a text such as `user="ann", file="C:\a.exe", SHA1=0a…`, in their order.
///
/// A value in quotes may contain commas; a backslash in it escapes a quote and a backslash, other backslashes are of paths. A
/// value without quotes ends at a comma or at the end of the line. A name is the last word before `=`: other text between the
/// pairs is passed over.
pub fn pairs(text: &str) -> Vec<(&str, Cow<'_, str>)> {
    let mut pairs = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('=') {
        let name = before.rsplit([' ', ',', '\n', '\t']).next().unwrap_or(before);
        let (value, more) = match after.strip_prefix('"') {
            Some(quoted) => unquoted(quoted),
            None => bare(after),
        };
        pairs.push((name, value));
        rest = more;
    }
    pairs
}

/// Returns the text before the next comma or line, and what follows.
fn bare(text: &str) -> (Cow<'_, str>, &str) {
    let (value, more) = text.split_at(text.find([',', '\n']).unwrap_or(text.len()));
    (Cow::Borrowed(value), more)
}

/// Returns the text before the next quote, and what follows.
fn unquoted(text: &str) -> (Cow<'_, str>, &str) {
    let mut value = Cow::Borrowed("");
    let mut rest = text;
    loop {
        let (plain, more) = rest.split_at(rest.find(['"', '\\']).unwrap_or(rest.len()));
        value += plain;
        let Some(escaped) = more.strip_prefix('\\') else {
            return (value, more.strip_prefix('"').unwrap_or_default());
        };
        let (sign, more) = escaped.split_at(usize::from(escaped.starts_with(['"', '\\'])));
        value += if sign.is_empty() { "\\" } else { sign };
        rest = more;
    }
}

#[cfg(test)]
mod tests {
    use super::pairs;

    #[test]
    fn values_may_be_in_quotes() {
        let cases: [(&str, &[(&str, &str)]); 7] = [
            (r#"time, a="x, y=z", b=1 2,c="""#, &[("a", "x, y=z"), ("b", "1 2"), ("c", "")]),
            ("SHA1=0a,MD5=0b", &[("SHA1", "0a"), ("MD5", "0b")]),
            ("a=1\nb\tc=2", &[("a", "1"), ("c", "2")]),
            (r#"a="C:\x \"y\" \\z" b="2""#, &[("a", r#"C:\x "y" \z"#), ("b", "2")]),
            (r#"a="not closed, b=1"#, &[("a", "not closed, b=1")]),
            (r#"a="\"#, &[("a", "\\")]),
            ("no pairs", &[]),
        ];
        for (text, expected) in cases {
            let found = pairs(text);
            let found: Vec<(&str, &str)> = found.iter().map(|(name, value)| (*name, &**value)).collect();
            assert_eq!(found, expected, "{text}");
        }
    }
}
