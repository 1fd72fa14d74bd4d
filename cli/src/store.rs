//! `hookmill store`.

use crate::progress::ProgressLine;
use crate::text::clean;
use anyhow::{Context, Result, ensure};
use clap::{Args, Subcommand};
use hookmill_host::config::{Config, Settings};
use hookmill_host::moving::{MoveSide, Moved, move_everything};
use hookmill_store::{MoveStep, StorePlace};
use serde_json::json;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(super) enum Store {
    /// Move everything from a data folder to a database that hosts share, or back, while no host runs
    Move(Move),
}

/// Moves everything to an empty database and compares it there. The source stays as it is, but no host uses it any more.
#[derive(Debug, Args)]
#[command(after_help = "\
The configuration has the authorities of the database (`database_ca`), and the data folder of the hosts that share it, \
where their key is. Examples:
  hookmill store move --from data --to '${DATABASE_URL}'
  hookmill store move --from '${DATABASE_URL}' --to data
The single quotes keep a password out of the list of processes: hookmill reads the variable itself.")]
pub(super) struct Move {
    /// The data folder, or the URL of the database, that has everything now
    #[arg(long, value_name = "FOLDER|URL")]
    from: String,
    /// The data folder, or the URL of the database, that is to have it
    #[arg(long, value_name = "FOLDER|URL")]
    to: String,
    /// The configuration file
    #[arg(long, default_value = "hookmill.yaml")]
    config: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Store {
    pub fn run(self) -> Result<()> {
        match self {
            Self::Move(command) => command.run(),
        }
    }
}

impl Move {
    fn run(self) -> Result<()> {
        let settings = Config::load(&self.config)?.settings;
        let from = side(&self.from, &settings).context("--from")?;
        let to = side(&self.to, &settings).context("--to")?;
        let mut line = ProgressLine::new();
        let mut shown = "";
        let mut show = |MoveStep { stage, table, rows, total }: MoveStep| {
            let percent = (rows * 100).checked_div(total).map_or_else(String::new, |percent| format!(" {percent} %"));
            let text = format!("{stage} {table}{percent}");
            match std::mem::replace(&mut shown, table) == table {
                true => line.show(&text),
                false => line.show_now(&text),
            }
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let moved = runtime.block_on(move_everything(&from, &to, &mut show))?;
        drop(line);
        let Moved { rows, warnings } = moved;
        if self.json {
            println!("{:#}", json!({"rows": rows, "warnings": warnings}));
            return Ok(());
        }
        let count = |table: &str| rows.get(table).copied().unwrap_or(0);
        println!(
            "moved from {} to {}, and compared: all rows of {} tables are the same",
            from.place,
            to.place,
            rows.len()
        );
        println!("  {} events, {} incidents, {} deliveries", count("events"), count("incidents"), count("deliveries"));
        println!("  {} is unchanged, and no host uses it any more", from.place);
        warnings.iter().for_each(|warning| eprintln!("warning: {}", clean(warning)));
        Ok(())
    }
}

/// Returns one side of the move.
fn side(text: &str, settings: &Settings) -> Result<MoveSide> {
    if text.contains("://") || text.contains("${") {
        let address = settings.database_address(text)?;
        return Ok(MoveSide { place: StorePlace::Shared(address.into()), data_dir: settings.data_dir.clone() });
    }
    ensure!(!text.is_empty(), "the name of the folder is empty");
    let data_dir = PathBuf::from(text);
    Ok(MoveSide { place: StorePlace::Folder(data_dir.clone()), data_dir })
}
