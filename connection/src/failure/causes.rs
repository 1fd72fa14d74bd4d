//! The causes behind an error.

use std::error::Error;
use std::io;

/// An error and its causes, from the outermost to the innermost.
pub(super) type Causes<'e> = [&'e (dyn Error + 'static)];

/// Returns an error and its causes, including those that I/O errors carry inside.
pub(super) fn causes<'e>(error: &'e (dyn Error + 'static)) -> Vec<&'e (dyn Error + 'static)> {
    let mut causes = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        causes.push(error);
        let carried = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match carried {
            Some(carried) => Some(carried as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    causes
}

/// Returns the innermost error of a type.
pub(super) fn find<'e, T: Error + 'static>(causes: &Causes<'e>) -> Option<&'e T> {
    causes.iter().rev().find_map(|cause| cause.downcast_ref())
}
