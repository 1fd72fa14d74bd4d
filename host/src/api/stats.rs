//! `/api/stats`.

use super::parameters::Parameters;
use super::shapes::{Stats, StatsSeries, Step};
use super::time::timestamp;
use crate::extract::Query;
use crate::host::Host;
use crate::http_error::HttpError;
use axum::Json;
use axum::extract::State;
use hookmill_store::{CountFilter, CountKind, CountSeries};
use std::sync::Arc;

const MINUTE_MS: i64 = 60 * 1000;
const HOUR: i64 = 60;
const DAY: i64 = 24 * HOUR;
/// A day of minutes, 60 days of hours.
const BUCKETS_MAX: i64 = 1440;
/// The numbers in one answer.
const NUMBERS_MAX: usize = 500_000;

pub(super) async fn show(
    State(host): State<Arc<Host>>,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Json<Stats>, HttpError> {
    let mut parameters = Parameters::new(pairs);
    let (from, to) = (parameters.time("from")?, parameters.time("to")?);
    let step = parameters.word("step", Step::ALL)?;
    let (kind, name) = (parameters.words("kind", CountKind::ALL)?, parameters.all("name"));
    parameters.end()?;
    let now = host.store.clock().now();
    let to = (to.unwrap_or(now).as_millisecond() + MINUTE_MS - 1).div_euclid(MINUTE_MS);
    let from = from.map_or(to - DAY, |from| from.as_millisecond().div_euclid(MINUTE_MS));
    let step = step.unwrap_or_else(|| step_for(to - from));
    let filter = aligned(from, to, step, kind, name)?;
    let (from, minutes, buckets) = (filter.from, filter.step, (filter.to - filter.from) / filter.step);
    let series = host.store.count_series(filter).await?;
    if series.len() * buckets as usize > NUMBERS_MAX {
        return Err(HttpError::InvalidRequest(format!(
            "{} series of {buckets} buckets are too many; use a longer step, a shorter time, or `kind` and `name`",
            series.len()
        )));
    }
    let time = |bucket: i64| timestamp((from + bucket * minutes) * MINUTE_MS);
    Ok(Json(Stats {
        from: time(0),
        to: time(buckets),
        step,
        times: (0..buckets).map(time).collect(),
        series: series.into_iter().map(|series| shown(series, buckets as usize)).collect(),
    }))
}

/// Returns the step for a time in minutes.
fn step_for(minutes: i64) -> Step {
    match minutes {
        ..=360 => Step::Minute,
        361..=10_080 => Step::Hour,
        _ => Step::Day,
    }
}

/// Returns the filter for whole buckets.
fn aligned(from: i64, to: i64, step: Step, kind: Vec<CountKind>, name: Vec<String>) -> Result<CountFilter, HttpError> {
    let minutes = match step {
        Step::Minute => 1,
        Step::Hour => HOUR,
        Step::Day => DAY,
    };
    let (from, to) = (from.div_euclid(minutes) * minutes, (to + minutes - 1).div_euclid(minutes) * minutes);
    if from >= to {
        return Err(HttpError::InvalidRequest("`from` must be before `to`".into()));
    }
    let buckets = (to - from) / minutes;
    if buckets > BUCKETS_MAX {
        return Err(HttpError::InvalidRequest(format!(
            "{buckets} buckets are too many; use a longer `step` or a shorter time: at most {BUCKETS_MAX} buckets"
        )));
    }
    Ok(CountFilter { from, to, step: minutes, kind, name })
}

fn shown(series: CountSeries, buckets: usize) -> StatsSeries {
    let CountSeries { kind, name, result, buckets: found } = series;
    let mut counts = vec![0; buckets];
    for (bucket, count) in found {
        if let Some(place) = usize::try_from(bucket).ok().and_then(|bucket| counts.get_mut(bucket)) {
            *place = count;
        }
    }
    StatsSeries { kind, name, result, total: counts.iter().sum(), counts }
}
