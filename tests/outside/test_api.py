"""The API conforms to its OpenAPI document, also for generated input."""

import os
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


def test_the_api_conforms_to_its_document(start, tmp_path):
    host = start(
        "trusted_proxies: [127.0.0.1/32]\n"
        "sources:\n"
        # The examples of the document use this source and the generic mapper.
        "  edr: { scheme: none, plugin: generic }\n"
        "  signed: { secret: a-secret-of-the-tests-only }\n"
        # Nothing listens there, so that some deliveries are pending.
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
        # Streams do not end; tests/stream.rs and tests/event_stream.rs test their refusals.
        *("--exclude-path", "/api/stream"),
        *("--exclude-path", "/api/events/stream"),
        # Generated tokens are guesses, after which the address is limited; tests/sessions.rs tests them.
        *("--exclude-path", "/api/session"),
        # Deterministic, and limited to half a minute.
        *("--seed", "1", "--max-examples", "40", "--generation-database", "none"),
        *("--continue-on-failure", "--no-color", "--request-timeout", "30"),
    ]
    hooks = {"SCHEMATHESIS_HOOKS": "api_hooks", "PYTHONPATH": os.path.dirname(__file__)}
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env={**os.environ, **hooks})
    assert run.returncode == 0, run.stdout + run.stderr
