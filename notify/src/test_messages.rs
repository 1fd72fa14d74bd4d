//! Messages for tests.

use serde_json::{Value, json};

/// Texts with which a payload may try to inject links, mentions, markup or JSON.
pub const HOSTILE: [&str; 12] = [
    "\"quotes\" and \\ backslashes\\",
    "two\r\nlines: and\ttabs\u{0}\u{7f}",
    "{{object.secret}} {{{raw}}} {{#each object}}",
    "</script><script>alert(1)</script>",
    "%2e%2e/../..\\",
    "<!channel> <https://evil.example|bank> @all @here <@U123>",
    "[bank](https://evil.example) `code` **bold** | cell |",
    "1, \"admin\": true",
    "\u{2028}\u{2029}\u{202e}\u{feff}",
    "${ENV} $(id) `id` ; rm -rf",
    "..",
    "",
];

/// Returns the message about a new incident.
pub fn message() -> Value {
    json!({
        "object": {
            "number": "INC-2026-0007", "title": "A \"quoted\" <b>title</b>", "source": "edr", "source_ref": "a/b ?#%",
            "description": null, "severity": "critical", "tlp": "amber-strict", "status": "in_progress",
            "tags": ["apt", "c2"], "assignee": "",
            "observables": [
                {"data_type": "ip", "value": "192.0.2.1", "tags": ["x"], "ioc": true},
                {"data_type": "domain", "value": "evil.example", "tags": [], "ioc": false},
            ],
            "techniques": [], "occurrences": 3, "revision": 0,
            "details": {
                "process": {"name": "cmd.exe", "args": [1, 2.5, null]}, "score": 1e300, "title": "inner",
                "times": [1_700_000_000, "1700000000", 1_700_000_000.25, 1_700_000_000_000_u64],
                "code": "4625", "risk": "80", "host.os": {"name": "Windows"}, "agent.version": "8.1",
                "hashes": [{"md5": "cd"}, {"sha256": "ab12"}],
            },
            "created_at": "2026-01-31T23:05:09.0421Z", "occurred_at": "2026-02-01T00:30:00+01:00",
        },
        "audit": {"operation": "Creation", "startDate": 1_769_900_709_042_i64},
        "url": "https://soc.example/i/INC-2026-0007?a=1&b=2", "event": null,
    })
}
