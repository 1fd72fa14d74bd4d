//! Positions of pulled sources, stored with the events that were read up to them.

use super::{EncodedEvent, Ledger, Tx};
use crate::rows::{Cursor, Recorded};
use anyhow::Result;
use hookmill_incident::Mapped;

impl<T: Tx + ?Sized> Ledger<'_, T> {
    /// Returns the position of a source; stores and returns that of `begin` if there is none with the same start.
    pub fn cursor(&mut self, source: &str, begin: &Cursor) -> Result<String> {
        if let Some(position) = self.rows.find_cursor(source, &begin.start)? {
            return Ok(position);
        }
        self.rows.put_cursor(source, begin)?;
        Ok(begin.position.clone())
    }

    /// Records events of a source and the position after them. A position with another start than the stored one is
    /// dropped, because the configuration of the source changed in the meantime.
    pub fn record_pulled(
        &mut self,
        source: &str,
        batch: &[(EncodedEvent, Mapped)],
        cursor: Option<&Cursor>,
    ) -> Result<Vec<Recorded>> {
        let recorded = batch.iter().map(|(encoded, mapped)| self.record(mapped, encoded)).collect::<Result<_>>()?;
        if let Some(cursor) = cursor {
            self.rows.update_cursor(source, cursor)?;
        }
        Ok(recorded)
    }
}
