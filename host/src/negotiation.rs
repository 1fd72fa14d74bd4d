//! The values that the headers `Accept` and `Accept-Encoding` of a request list.

use axum::http::{HeaderMap, HeaderName};

/// Returns whether a header lists a value, and does not refuse it with `q=0`.
pub fn accepts(headers: &HeaderMap, name: &HeaderName, value: &str) -> bool {
    let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|item| {
        let mut parts = item.split(';').map(str::trim);
        let is_named = parts.next().is_some_and(|known| known.eq_ignore_ascii_case(value));
        is_named && !parts.any(is_refusal)
    })
}

/// Returns whether a parameter is the weight 0.
fn is_refusal(parameter: &str) -> bool {
    let weight = parameter.split_once('=').filter(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
    weight.is_some_and(|(_, weight)| weight.trim().parse() == Ok(0.0))
}

#[cfg(test)]
mod tests {
    use super::accepts;
    use axum::http::HeaderMap;
    use axum::http::header::ACCEPT_ENCODING;

    #[test]
    fn a_value_is_accepted_if_it_is_listed_and_not_refused() {
        for (text, expected) in [
            ("gzip", true),
            ("br, GZIP;q=0.5", true),
            ("deflate, gzip ; q=1.0", true),
            ("gzip;q=0", false),
            ("gzip; Q = 0.000, br", false),
            ("gzipped", false),
            ("*", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, text.parse().unwrap())]);
            assert_eq!(accepts(&headers, &ACCEPT_ENCODING, "gzip"), expected, "{text}");
        }
        assert!(!accepts(&HeaderMap::new(), &ACCEPT_ENCODING, "gzip"));
    }
}
