//! The objections to versions that do not go live, and the report of a proof without the content of samples.

use hookmill_incident::PluginVersion;
use hookmill_store::{PayloadDifference, ProofReport, VersionState};
use uuid::Uuid;

/// Removes the reasons and fields of samples. Sample files are not payloads of the host's sources, and a plugin can
/// quote a whole file in its result.
pub fn hide_samples(report: &mut ProofReport) {
    for differences in [&mut report.changed, &mut report.newly_failing, &mut report.newly_succeeding] {
        for difference in differences.payloads.iter_mut().filter(|difference| is_sample(difference)) {
            (difference.reason, difference.fields) = (None, Vec::new());
        }
    }
}

/// Returns whether a difference is about a sample: stored payloads have the id of their event instead of a name.
fn is_sample(difference: &PayloadDifference) -> bool {
    Uuid::parse_str(&difference.payload).is_err()
}

/// Returns one sentence on why a version does not go live; `None` if nothing was decided against it.
pub fn objection_of(plugin: &PluginVersion, state: VersionState, report: Option<&ProofReport>) -> Option<String> {
    let PluginVersion { name, version, .. } = plugin;
    match (state, report) {
        (VersionState::Held, _) => Some(format!(
            "version {version} is held back since a rollback; `hookmill plugin promote {name}` makes it live, or put another \
             file there"
        )),
        (VersionState::Refused, Some(report)) => Some(objection(report)),
        (VersionState::Refused, None) | (VersionState::Accepted | VersionState::Promoted, _) => None,
    }
}

/// Returns one sentence on why the version of a report does not go live.
pub fn objection(report: &ProofReport) -> String {
    let name = &report.plugin.name;
    if report.newly_failing.count == 0 {
        return format!(
            "version {} did not finish a single payload in time; raise `reload_time`, or `hookmill plugin promote {name}` \
             makes it live nevertheless",
            report.plugin.version
        );
    }
    let first = report.newly_failing.payloads.first();
    let first = first.map_or_else(String::new, |first| {
        // Tokens of scope `read` see this sentence, and so does the log.
        let reason = first.reason.as_ref().filter(|_| !is_sample(first));
        let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
        format!("; first {} of {}{reason}", first.payload, first.source)
    });
    format!(
        "version {} newly fails on {} of {} payloads{first}; `hookmill plugin diff {name}` shows them, `hookmill \
         plugin promote {name}` makes it live nevertheless",
        report.plugin.version, report.newly_failing.count, report.payloads
    )
}
