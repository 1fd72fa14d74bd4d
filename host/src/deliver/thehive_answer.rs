//! The meaning of TheHive's answers.

use hookmill_connection::Answer;
use hookmill_notify::bodies::TheHiveGaps;
use serde_json::Value;

const OTHER: &str = "other";

/// An alert that TheHive has.
#[derive(Debug, PartialEq)]
pub(super) struct FoundAlert {
    pub id: String,
    tags: Vec<String>,
}

impl FoundAlert {
    /// Returns the first alert of the answer to a query; `None` if the list is empty.
    ///
    /// # Errors
    /// Returns an error if the answer is not such a list.
    pub fn first_of(document: &[u8]) -> Result<Option<Self>, &'static str> {
        const WRONG: &str = "TheHive's answer to a query is not a list of alerts";
        let list: Vec<Value> = serde_json::from_slice(document).map_err(|_| WRONG)?;
        let Some(alert) = list.first() else { return Ok(None) };
        let tags = alert["tags"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let tags = tags.map(str::to_owned).collect();
        Ok(Some(Self { id: id_in(alert).ok_or(WRONG)?, tags }))
    }

    /// Returns the alert's tags with those of a list; `None` if the alert has all of them. Analysts add tags in TheHive, so
    /// a list is never overwritten.
    pub fn united_tags(&self, tags: &Value) -> Option<Vec<String>> {
        let mut all = self.tags.clone();
        for tag in tags.as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !all.iter().any(|known| known == tag) {
                all.push(tag.to_owned());
            }
        }
        (all.len() > self.tags.len()).then_some(all)
    }
}

/// Returns the id in an answer that is one alert.
pub(super) fn id_of(document: &[u8]) -> Option<String> {
    id_in(&serde_json::from_slice(document).ok()?)
}

fn id_in(alert: &Value) -> Option<String> {
    let id = alert["_id"].as_str()?;
    id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"~_-".contains(&byte)).then(|| id.to_owned())
}

/// Returns whether an answer is a refusal of what was sent, so that sending something else can help.
pub(super) fn is_about_content(answer: &Answer) -> bool {
    matches!(answer.status.as_u16(), 400 | 404 | 409 | 422)
}

/// Returns whether an answer refuses a value.
pub(super) fn is_invalid(answer: &Answer) -> bool {
    matches!(answer.status.as_u16(), 400 | 422)
}

/// Returns whether an answer refuses a duplicate: TheHive 4 answers 400, TheHive 5 may answer 409.
pub(super) fn exists_already(answer: &Answer) -> bool {
    matches!(answer.status.as_u16(), 400 | 409) && answer.text.to_lowercase().contains("already exist")
}

/// Adds the part of an alert that an answer names as unknown to the gaps. Returns whether there was one.
pub(super) fn learn(answer: &Answer, alert: &Value, gaps: &mut TheHiveGaps) -> bool {
    // The member `type` of an error is about the error.
    let message = serde_json::from_str::<Value>(&answer.text).ok();
    let message = message.as_ref().and_then(|error| error["message"].as_str());
    let text = message.unwrap_or(&answer.text).to_lowercase();
    let is_name = |character: char| character.is_alphanumeric() || matches!(character, '-' | '_' | '.');
    let words: Vec<&str> = text
        .split(|character| !is_name(character))
        .map(|word| word.trim_matches('.'))
        .filter(|word| !word.is_empty())
        .collect();
    let is_named = |name: &str| words.contains(&name.to_lowercase().as_str());
    let all = |list: &str, member: &str| -> Vec<String> {
        let items = alert[list].as_array().into_iter().flatten();
        items.filter_map(|item| item[member].as_str()).map(str::to_owned).collect()
    };
    let mut types = all("observables", "dataType");
    types.retain(|name| name != OTHER && is_named(name));
    if words.iter().any(|word| word.ends_with("type")) && !types.is_empty() {
        gaps.data_types.extend(types);
        return true;
    }
    let techniques = all("procedures", "patternId");
    let named: Vec<String> = techniques.iter().filter(|id| is_named(id)).cloned().collect();
    let is_about_them =
        !named.is_empty() || words.iter().any(|word| word.contains("pattern") || word.contains("procedure"));
    if !is_about_them || techniques.is_empty() {
        return false;
    }
    gaps.techniques.extend(if named.is_empty() { techniques } else { named });
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::StatusCode;
    use serde_json::json;

    #[test]
    fn unknown_parts_are_learnt_from_refusals() {
        let alert = json!({
            "observables": [{"dataType": "ip"}, {"dataType": "user-account"}, {"dataType": "other"}],
            "procedures": [{"patternId": "T1059.001"}, {"patternId": "T1003"}],
        });
        let cases: [(&str, &[&str], &[&str]); 10] = [
            (r#"{"type":"NotFoundError","message":"ObservableType user-account not found"}"#, &["user-account"], &[]),
            ("Observable type 'user-account' does not exist", &["user-account"], &[]),
            ("Unknown dataType: IP", &["ip"], &[]),
            ("ObservableType other not found", &[], &[]),
            ("ObservableType user not found", &[], &[]),
            ("Pattern T1059.001 not found.", &[], &["T1059.001"]),
            ("Pattern not found", &[], &["T1003", "T1059.001"]),
            ("procedures: unknown", &[], &["T1003", "T1059.001"]),
            (r#"{"type":"BadRequest","message":"no ip is allowed here"}"#, &[], &[]),
            ("title is too long", &[], &[]),
        ];
        for (text, data_types, techniques) in cases {
            let (status, answered) = (StatusCode::NOT_FOUND, text.into());
            let answer = Answer { status, retry_after: None, location: None, text: answered, clock_ahead_ms: None };
            let mut gaps = TheHiveGaps::default();
            let is_learnt = learn(&answer, &alert, &mut gaps);
            assert_eq!(is_learnt, !data_types.is_empty() || !techniques.is_empty(), "{text}");
            assert_eq!(Vec::from_iter(&gaps.data_types), data_types, "{text}");
            assert_eq!(Vec::from_iter(&gaps.techniques), techniques, "{text}");
        }
    }

    #[test]
    fn tags_of_others_stay() {
        let found = FoundAlert::first_of(br#"[{"_id": "~1", "tags": ["emotet", "seen by ann"]}]"#).unwrap().unwrap();
        let all = ["emotet", "seen by ann", "spreads"].map(str::to_owned).to_vec();
        assert_eq!(found.united_tags(&json!(["emotet", "spreads"])), Some(all));
        assert_eq!(found.united_tags(&json!(["emotet"])), None);
        assert_eq!(FoundAlert::first_of(b"[]"), Ok(None));
        for wrong in [&b"{}"[..], b"[{}]", b"[{\"_id\": \"../x\"}]", b"<html>"] {
            assert!(FoundAlert::first_of(wrong).is_err());
        }
    }
}
