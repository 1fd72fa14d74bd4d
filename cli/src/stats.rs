//! `hookmill stats`.

use super::client::{HostConnection, QueryParameters, each, print_shape};
use super::text::{clean, table};
use anyhow::Result;
use clap::Args;
use hookmill_host::api::shapes::{Stats as Counts, StatsSeries};
use jiff::Timestamp;

/// The heights of a bar, from 1 to the maximum.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// A row of a table shows so many of the newest buckets.
const BUCKETS_SHOWN: usize = 48;

/// Shows counts of payloads, incidents and deliveries.
#[derive(Debug, Args)]
pub(super) struct Stats {
    /// The beginning, e.g. 2027-01-31T00:00:00Z [default: a day before the end]
    #[arg(long)]
    from: Option<Timestamp>,
    /// The end [default: now]
    #[arg(long)]
    to: Option<Timestamp>,
    /// minute, hour or day [default: by the length of the time]
    #[arg(long)]
    step: Option<String>,
    /// payloads, incidents or deliveries; may be repeated
    #[arg(long)]
    kind: Vec<String>,
    /// The name of a source or destination; may be repeated
    #[arg(long)]
    name: Vec<String>,
    #[command(flatten)]
    connection: HostConnection,
}

impl Stats {
    pub fn run(self) -> Result<()> {
        let mut query = QueryParameters::new();
        query.extend(self.from.map(|time| ("from", time.to_string())));
        query.extend(self.to.map(|time| ("to", time.to_string())));
        query.extend(self.step.map(|step| ("step", step)));
        query.extend(each("kind", self.kind));
        query.extend(each("name", self.name));
        let answer = self.connection.open()?.get(&["stats"], &query)?;
        print_shape(self.connection.json, &answer, |counts: Counts| {
            let rows = counts.series.iter().map(row).collect();
            let header = ["KIND", "NAME", "RESULT", "TOTAL", "NEWEST"];
            format!("{} to {}, by {}\n\n{}", counts.from, counts.to, counts.step, table(header, rows))
        })
    }
}

fn row(series: &StatsSeries) -> [String; 5] {
    let name = clean(&series.name);
    [series.kind.to_string(), name, clean(&series.result), series.total.to_string(), bars(&series.counts)]
}

/// Returns a bar for each of the newest counts.
fn bars(counts: &[u64]) -> String {
    let shown = &counts[counts.len().saturating_sub(BUCKETS_SHOWN)..];
    let most = shown.iter().copied().max().unwrap_or(0);
    let bar = |count: &u64| match count {
        0 => ' ',
        count => BARS[(count * BARS.len() as u64).div_ceil(most) as usize - 1],
    };
    shown.iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::bars;

    #[test]
    fn bars_are_relative_to_the_largest_count() {
        assert_eq!(bars(&[0, 1, 4, 8]), " ▁▄█");
        assert_eq!(bars(&[0, 0]), "  ");
        assert_eq!(bars(&vec![3; 100]), "█".repeat(48));
    }
}
