//! Rows of alerts in Advanced Hunting, which the mapper of Defender XDR reads too.

use hookmill_sdk::{Fields, Incident, MappingError, attack::tactic_id, json, timestamp};

/// Maps a row of AlertInfo or AlertEvidence. AlertEvidence has one row per entity. All rows repeat the alert as of
/// `Timestamp`, so they can arrive in any order, and an older row does not change a newer incident.
pub fn row_incident(row: &Fields, observe: impl Fn(&mut Incident, &Fields)) -> Result<Incident, MappingError> {
    let id = row.first(&["AlertId"]).ok_or_else(|| MappingError::Malformed("`properties.AlertId` is absent".into()))?;
    let mut incident = Incident::new(id);
    incident.set_title(row.first(&["Title"]));
    incident.set_severity(row.first(&["Severity"]));
    incident.occurred_at = row.first(&["Timestamp"]).and_then(timestamp);
    incident.changed_at.clone_from(&incident.occurred_at);
    // `Categories` and `AttackTechniques` are JSON in text. With several tactics, the tactic of a technique is unknown.
    let categories = row.first(&["Category", "Categories"]).unwrap_or_default();
    let mut categories = categories.split(['[', ']', '"', ',']).filter(|category| !category.trim().is_empty());
    let category = categories.next();
    incident.category = category.map(str::to_owned);
    let tactic = category.filter(|category| tactic_id(category).is_some() && categories.next().is_none());
    incident.attack(row.first(&["AttackTechniques"]).unwrap_or_default(), tactic);
    observe(&mut incident, row);
    let more = row.first(&["AdditionalFields"]).filter(|text| text.starts_with('{')).and_then(json::<Fields>);
    if let Some(more) = &more {
        observe(&mut incident, more);
    }
    incident.detail_fields(row, &["ServiceSource", "DetectionSource", "ProcessCommandLine"]);
    incident.keep_unread(row, "");
    if let Some(more) = &more {
        incident.keep_unread(more, "");
    }
    Ok(incident)
}
