//! `hookmill storage`.

use super::client::{HostConnection, print_shape};
use super::text::{bytes, fields, table, whole_units};
use anyhow::Result;
use clap::Args;
use hookmill_host::api::shapes::{DueRows, ShownStorage, StoredRows};
use std::time::Duration;

/// Shows the space that the data takes.
#[derive(Debug, Args)]
pub(super) struct Storage {
    #[command(flatten)]
    connection: HostConnection,
}

impl Storage {
    pub fn run(self) -> Result<()> {
        let answer = self.connection.open()?.get(&["storage"], &[])?;
        print_shape(self.connection.json, &answer, |storage| text(&storage))
    }
}

fn text(storage: &ShownStorage) -> String {
    let rows = storage.stored.iter().map(|stored| {
        let due = storage.retention.iter().find(|due| due.kind == stored.kind);
        row(stored, due)
    });
    let header = ["KIND", "ROWS", "CONTENT", "OLDEST", "KEPT FOR", "DUE IN A DAY"];
    let gives_back = storage.gives_back || storage.free_bytes == 0;
    let advice = if gives_back { "" } else { "; `hookmill prune --vacuum` gives them back to the disk" };
    let disk_free = storage.disk_free_bytes.map_or_else(|| "unknown".to_owned(), bytes);
    let growth = storage.growth_bytes_per_day.map(|growth| match u64::try_from(growth) {
        Ok(growth) => format!("{} a day", bytes(growth)),
        Err(_) => format!("none; it shrinks by {} a day", bytes(growth.unsigned_abs())),
    });
    let database =
        format!("{}, of which {} are free{advice}", bytes(storage.database_bytes), bytes(storage.free_bytes));
    let facts = fields([
        ("database", database),
        ("log", bytes(storage.wal_bytes)),
        ("growth", growth.unwrap_or_else(|| "not known before it was observed for 6 hours".to_owned())),
        ("disk", format!("{disk_free} are free; at least {} should be", bytes(storage.disk_free_bytes_min))),
        ("forecast", storage.days_until_low.map(forecast).unwrap_or_default()),
    ]);
    format!("{}\n\n{facts}", table(header, rows.collect()))
}

fn row(stored: &StoredRows, due: Option<&DueRows>) -> [String; 6] {
    let aged = due.and_then(|due| Some((due, due.age_seconds?)));
    [
        stored.kind.to_string(),
        stored.rows.to_string(),
        bytes(stored.bytes.unsigned_abs()),
        stored.oldest_day.map(|day| day.strftime("%Y-%m-%d").to_string()).unwrap_or_default(),
        aged.map(|(_, seconds)| whole_units(Duration::from_secs(seconds))).unwrap_or_default(),
        aged.map(|(due, _)| due.due_rows.to_string()).unwrap_or_default(),
    ]
}

fn forecast(days: f64) -> String {
    match days {
        0.0..1.0 => "the disk has too little space within a day".to_owned(),
        _ => format!("the disk has too little space in {days:.0} days"),
    }
}
