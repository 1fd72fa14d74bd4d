//! The names of headers that the configuration may set.

use anyhow::{Context, Result, ensure};
use reqwest::header::HeaderName;

/// Headers that HTTP or Hookmill sets itself. Headers that begin with `proxy-` or `webhook-` are reserved too.
const RESERVED: [&str; 9] =
    ["connection", "content-length", "expect", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"];

/// Returns whether only HTTP or Hookmill itself sets a header.
pub fn is_reserved(name: &HeaderName) -> bool {
    let name = name.as_str();
    RESERVED.contains(&name) || ["proxy-", "webhook-"].iter().any(|prefix| name.starts_with(prefix))
}

/// Parses the name of a header in the configuration. `key` is the position of the name, for the error.
///
/// # Errors
/// Returns an error if the name is invalid or reserved.
pub fn header_name(text: &str, key: &str) -> Result<HeaderName> {
    let name: HeaderName = text.parse().ok().with_context(|| format!("`{key}` is not a valid header name"))?;
    ensure!(!is_reserved(&name), "`{key}`: the header `{name}` is the host's own; choose another");
    Ok(name)
}
