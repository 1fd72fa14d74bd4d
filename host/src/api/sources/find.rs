//! The source that a path names.

use crate::host::Host;
use crate::http_error::HttpError;
use crate::source::Source;
use std::sync::Arc;

pub(super) fn find(host: &Host, name: &str) -> Result<Arc<Source>, HttpError> {
    host.sources.get(name).ok_or_else(|| HttpError::NotFound(format!("source `{name}`")))
}
