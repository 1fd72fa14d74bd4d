//! Rows of the table `counts`, summed in buckets.

use super::{Word, columns};
use crate::rows::{CountKind, CountSeries};

columns! {
    BucketColumns {
        kind: Word<CountKind>,
        name: String,
        result: String,
        bucket: i64,
        count: i64 = "CAST(sum(count) AS bigint)",
    }
}

/// Returns the series of buckets that are in the order of the columns.
pub(crate) fn joined(buckets: impl IntoIterator<Item = BucketColumns>) -> Vec<CountSeries> {
    let mut series: Vec<CountSeries> = Vec::new();
    for BucketColumns { kind: Word(kind), name, result, bucket, count } in buckets {
        let point = (bucket, count as u64);
        match series.last_mut().filter(|last| last.kind == kind && last.name == name && last.result == result) {
            Some(last) => last.buckets.push(point),
            None => series.push(CountSeries { kind, name, result, buckets: vec![point] }),
        }
    }
    series
}
