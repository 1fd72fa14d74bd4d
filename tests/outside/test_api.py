"""The API is what its document says, also under input that nobody would think of."""

import subprocess
import sys

from conftest import ADMIN_TOKEN

CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "ignored_auth",
]


def test_the_api_is_as_its_document_says(start, tmp_path):
    host = start(
        "sources:\n"
        # The examples of the document are about this source and the generic mapper.
        "  edr: { scheme: none, plugin: generic }\n"
        "  signed: { secret: a-secret-of-the-tests-only }\n"
        # Nobody listens there: deliveries wait, so that there are some to look at.
        'webhooks: { soc: { url: "http://127.0.0.1:1", allow_networks: [127.0.0.1/32] } }\n'
        "notifications: [{ name: high-severity, trigger: incident_created, notify: [{ to: soc }] }]\n"
    )
    for number in range(3):
        body = f'{{"event_type": "malware_detected", "data": {{"alert_id": "{number}", "hostname": "ws-1"}}}}'
        assert host.post("edr", body).status_code == 202
    assert host.post("edr", "no JSON").status_code == 422
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{host.url}/openapi.json"),
        *("--header", f"Authorization: Bearer {ADMIN_TOKEN}", "--checks", ",".join(CHECKS)),
        # It has no end to wait for; tests/stream.rs has its refusals.
        *("--exclude-path", "/api/stream"),
        # The same on every machine, and in half a minute.
        *("--seed", "1", "--max-examples", "40", "--generation-database", "none"),
        *("--continue-on-failure", "--no-color", "--request-timeout", "30"),
    ]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
