"""The host accepts signatures of the vendors' and the standard's own libraries, and they verify its deliveries."""

import json
import time
from datetime import datetime, timezone

import pytest
import standardwebhooks
import stripe
import svix.webhooks
from conftest import Receiver, destination, npm, yaml
from slack_sdk.signature import SignatureVerifier

# Bodies are compared byte for byte, so they contain unescaped non-ASCII text.
BODIES = {
    "ASCII": '{"event_type": "malware_detected", "data": {"alert_id": "a-1"}}',
    "not ASCII": '{"event_type": "Schadsoftware in Zürich – 東京 🛡", "data": {"alert_id": "ä-1"}}',
}
SECRET = "a-secret-of-the-tests-only"
WHSEC = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


def message():
    """Returns an id and the time, as a sender chooses them for each message."""
    now = int(time.time())
    return f"msg_{time.monotonic_ns()}", now, datetime.fromtimestamp(now, timezone.utc)


def standard_webhooks(body):
    message_id, now, at = message()
    signature = standardwebhooks.Webhook(WHSEC).sign(message_id, at, body)
    return {"webhook-id": message_id, "webhook-timestamp": str(now), "webhook-signature": signature}


def standard_webhooks_of_npm(body):
    message_id, now, _ = message()
    signature = npm("standardWebhooks", secret=WHSEC, id=message_id, at=now, body=body)
    return {"webhook-id": message_id, "webhook-timestamp": str(now), "webhook-signature": signature}


def svix_headers(body):
    message_id, now, at = message()
    signature = svix.webhooks.Webhook(WHSEC).sign(message_id, at, body)
    return {"svix-id": message_id, "svix-timestamp": str(now), "svix-signature": signature}


def slack(body):
    now = str(int(time.time()))
    signature = SignatureVerifier(SECRET).generate_signature(timestamp=now, body=body)
    return {"x-slack-request-timestamp": now, "x-slack-signature": signature}


def stripe_header(body):
    return {"stripe-signature": stripe.WebhookSignature.generate_signature_header(body, WHSEC)}


def github(body):
    signature = npm("github", secret=SECRET, body=body)
    return {"x-hub-signature-256": signature, "x-github-delivery": message()[0], "x-github-event": "ping"}


SIGNERS = [
    # The library, the scheme and secret of the source, and the function that makes the headers.
    ("standardwebhooks", "standard-webhooks", WHSEC, standard_webhooks),
    ("standardwebhooks-of-npm", "standard-webhooks", WHSEC, standard_webhooks_of_npm),
    ("svix", "standard-webhooks", WHSEC, svix_headers),
    ("slack-sdk", "slack", SECRET, slack),
    ("stripe", "stripe", WHSEC, stripe_header),
    ("octokit", "github", SECRET, github),
]


@pytest.fixture(scope="module")
def host(start):
    sources = (f'  {name}: {{ scheme: {scheme}, secret: "{secret}", plugin: none }}' for name, scheme, secret, _ in SIGNERS)
    return start("sources:\n" + "\n".join(sources))


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("source, sign", [(name, sign) for name, _, _, sign in SIGNERS], ids=[row[0] for row in SIGNERS])
def test_signatures_of_other_libraries_are_accepted(host, source, sign, body):
    answer = host.post(source, body, sign(body))
    assert (answer.status_code, answer.json()["status"]) == (202, "ignored"), answer.text
    event = host.get(f"/api/events/{answer.json()['event_id']}")
    assert event["body"] == {"encoding": "utf-8", "data": body}
    for tampered in (body + " ", body.replace("1", "2"), ""):
        answer = host.post(source, tampered, sign(body))
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_signature"), tampered


def verified_by(library):
    def verifies(headers, body):
        try:
            library.Webhook(WHSEC).verify(body, headers)
            return True
        except library.WebhookVerificationError:
            return False

    return verifies


def verified_by_npm(headers, body):
    return npm("verifies", secret=WHSEC, headers=headers, body=body)


VERIFIERS = {
    "standardwebhooks": verified_by(standardwebhooks),
    "svix": verified_by(svix.webhooks),
    "standardwebhooks-of-npm": verified_by_npm,
}


@pytest.fixture(scope="module")
def delivered(start):
    """Returns headers and body of each delivery to a receiver of audit webhooks."""
    receiver = Receiver()
    webhook = destination(receiver.url, secret=WHSEC)
    host = start(yaml(sources={"lab": {"scheme": "none", "plugin": "generic"}}, webhooks={"soc": webhook}))
    for body in BODIES.values():
        answer = host.post("lab", body)
        assert (answer.status_code, answer.json()["status"]) == (202, "accepted"), answer.text
    received = receiver.until(len(BODIES))
    receiver.stop()
    return [(request.headers, request.body.decode()) for request in received]


@pytest.mark.parametrize("verifies", VERIFIERS.values(), ids=VERIFIERS)
def test_other_libraries_verify_deliveries(delivered, verifies):
    bodies = [body for _, body in delivered]
    assert any("東京" in body for body in bodies), "characters outside ASCII are sent unchanged"
    for headers, body in delivered:
        assert json.loads(body)["operation"] == "Creation"
        assert verifies(headers, body)
        assert not verifies(headers, body + " ")
        assert not verifies({**headers, "webhook-id": "another"}, body)
