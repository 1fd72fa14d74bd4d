//! Connections that only read.

use deadpool_postgres::Pool;

/// The connections for reads.
#[derive(Clone, Debug)]
pub(crate) struct Readers {
    pub(super) pool: Pool,
}
