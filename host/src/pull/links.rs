//! Parses `Link` headers ([RFC 8288](https://www.rfc-editor.org/rfc/rfc8288)).

use reqwest::header::{HeaderMap, LINK};

/// Returns the target of the link with `rel=next`.
pub(super) fn next_link(headers: &HeaderMap) -> Option<String> {
    headers.get_all(LINK).iter().find_map(|value| next_of_links(&String::from_utf8_lossy(value.as_bytes())))
}

fn next_of_links(mut links: &str) -> Option<String> {
    while let Some((_, rest)) = links.split_once('<') {
        let (url, rest) = rest.split_once('>')?;
        let end = rest.find(unquoted(','));
        let (parameters, rest) = rest.split_at(end.unwrap_or(rest.len()));
        if is_next(parameters) {
            return Some(url.trim().to_owned());
        }
        links = rest;
    }
    None
}

/// Returns whether one of the parameters of a link is `rel=next`.
fn is_next(parameters: &str) -> bool {
    let mut pairs = parameters.split(unquoted(';')).filter_map(|part| part.split_once('='));
    pairs.any(|(name, value)| {
        let mut relations = value.trim().trim_matches('"').split_whitespace();
        name.trim().eq_ignore_ascii_case("rel") && relations.any(|relation| relation.eq_ignore_ascii_case("next"))
    })
}

/// Returns a predicate for consecutive characters: whether each is the separator outside of quotes.
fn unquoted(separator: char) -> impl FnMut(char) -> bool {
    let mut is_quoted = false;
    move |char| {
        is_quoted ^= char == '"';
        char == separator && !is_quoted
    }
}

#[cfg(test)]
mod tests {
    use super::next_of_links;

    #[test]
    fn the_next_link_is_found() {
        for (links, expected) in [
            ("</items?page=2>; rel=\"next\"", Some("/items?page=2")),
            ("</items?fields=a,b;c>; rel=next", Some("/items?fields=a,b;c")),
            ("<a>; rel=first, <b>; title=\"x, <y>; rel=next\"; REL = \"last Next\", <c>; rel=last", Some("b")),
            ("<a>;rel=\"prev next\"", Some("a")),
            ("<a>; title=\"rel=next; rel=next\"; rel=last", None),
            ("<a>; rel=nextish", None),
            ("<a; rel=next", None),
            ("", None),
        ] {
            assert_eq!(next_of_links(links).as_deref(), expected, "{links}");
        }
    }
}
