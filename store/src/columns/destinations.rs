//! Rows of the table `destinations`.

use super::columns;
use crate::ledger::DestinationHealth;

columns! {
    HealthColumns {
        failing_since: Option<i64>,
        disabled: Option<String>,
    }
}

impl From<HealthColumns> for DestinationHealth {
    fn from(row: HealthColumns) -> Self {
        let HealthColumns { failing_since, disabled } = row;
        Self { failing_since, disabled }
    }
}
