//! The objection to a version whose proof failed.

use hookmill_store::Report;

/// Returns one sentence on why the version of a report does not go live.
pub fn objection(report: &Report) -> String {
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
        format!("; first {} of {}: {}", first.payload, first.source, first.reason.as_deref().unwrap_or_default())
    });
    format!(
        "version {} newly fails on {} of {} payloads{first}; `hookmill plugin diff {name}` shows them, `hookmill \
         plugin promote {name}` makes it live nevertheless",
        report.plugin.version, report.newly_failing.count, report.payloads
    )
}
