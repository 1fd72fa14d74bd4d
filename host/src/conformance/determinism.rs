//! The same event gives the same result: in two fresh instances, and in an instance that mapped other payloads before.

use super::calls::{ConformanceMapper, ConformancePayload};
use super::report::{CheckKind, CheckReport};
use serde_json::Value;

const STATE: &str =
    "build the result from the event alone: no counters, caches or other state, no order of a hash map, no address";
/// The rounds through all payloads in one instance.
const ROUNDS: usize = 2;

pub(super) async fn check(mapper: &ConformanceMapper, payloads: &[ConformancePayload]) -> CheckReport {
    let mut report = CheckReport::new(CheckKind::Determinism);
    let mut firsts = Vec::new();
    for payload in payloads {
        let first = payload.outcome(&mapper.fresh).await;
        let second = payload.outcome(&mapper.fresh).await;
        report.add(&payload.name, "mapped a second time, in a fresh instance", compare(&first, &second));
        firsts.push(first);
    }
    for _ in 0..ROUNDS {
        for (payload, first) in payloads.iter().zip(&firsts) {
            let later = payload.outcome(&mapper.reused).await;
            report.add(&payload.name, "mapped in an instance that mapped others before", compare(first, &later));
        }
    }
    report
}

fn compare(first: &Result<Value, String>, second: &Result<Value, String>) -> Option<(String, &'static str)> {
    let problem = match (first, second) {
        (Ok(first), Ok(second)) => format!("another result at `{}`", first_difference(first, second)?),
        (Ok(_), Err(error)) | (Err(error), _) => error.clone(),
    };
    Some((problem, STATE))
}

/// Returns the path of the first value that differs.
fn first_difference(first: &Value, second: &Value) -> Option<String> {
    match (first, second) {
        (Value::Object(members), Value::Object(others)) if members.keys().eq(others.keys()) => {
            members.iter().find_map(|(name, value)| Some(format!("/{name}{}", first_difference(value, &others[name])?)))
        }
        (Value::Array(items), Value::Array(others)) if items.len() == others.len() => {
            let mut pairs = items.iter().zip(others).enumerate();
            pairs.find_map(|(index, (item, other))| Some(format!("/{index}{}", first_difference(item, other)?)))
        }
        _ => (first != second).then(String::new),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_first_difference_is_named() {
        let first = json!({"a": [1, {"b": 2}], "c": 3});
        assert_eq!(first_difference(&first, &first), None);
        let at = |second: Value| first_difference(&first, &second).unwrap();
        assert_eq!(at(json!({"a": [1, {"b": 3}], "c": 4})), "/a/1/b");
        assert_eq!(at(json!({"a": [1], "c": 3})), "/a");
        assert_eq!(at(json!({"a": [1, {"b": 2}]})), "");
    }
}
