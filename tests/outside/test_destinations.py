"""The host reaches receivers through a third-party proxy and with certificates made by openssl."""

import shutil
import socket
import ssl
import subprocess

import pytest
import standardwebhooks
from conftest import Receiver, destination, eventually, openssl, server_side, yaml

PASSWORD = "only a password/of the tests"
OLD, NEW = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture(scope="module")
def pkcs12(certificates):
    """The folder of the certificates, which also has them as current and as legacy PKCS#12."""
    own = "pkcs12 -export -in own.pem -inkey own.key -certfile ca.pem -passout".split()
    openssl(certificates, *own, f"pass:{PASSWORD}", "-out", "own.p12")
    openssl(certificates, *own, f"pass:{PASSWORD}", "-legacy", "-out", "old.p12")
    openssl(certificates, *"pkcs12 -export -nokeys -in ca.pem -passout".split(), f"pass:{PASSWORD}", "-out", "ca.p12")
    return certificates


@pytest.fixture(scope="module")
def over_tls(certificates):
    """A receiver that requires a client certificate."""
    context = server_side(certificates)
    context.load_verify_locations(certificates / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    receiver = Receiver(context)
    yield receiver
    receiver.stop()


@pytest.fixture(scope="module")
def plain():
    receiver = Receiver()
    yield receiver
    receiver.stop()


@pytest.fixture(scope="module")
def proxy(tmp_path_factory):
    """A proxy that requires a user name and a password: its address and its log."""
    folder = tmp_path_factory.mktemp("proxy")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (folder / "config").write_text(
        f'Port {port}\nListen 127.0.0.1\nAllow 127.0.0.1\nTimeout 60\nBasicAuth soc a-password\nLogFile "{folder}/log"\n'
        "LogLevel Connect\n"
    )
    process = subprocess.Popen(["tinyproxy", "-d", "-c", folder / "config"], stdout=subprocess.DEVNULL)

    def listens():
        assert process.poll() is None, "the proxy ended at its start"
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", port)) == 0

    eventually("the proxy listens", listens)
    yield f"127.0.0.1:{port}", folder / "log"
    process.kill()
    process.wait()


@pytest.fixture
def deliveries(start):
    """Starts a host with these destinations and one incident. Returns a function for the delivery to one of them."""

    def started(destinations):
        host = start(yaml(sources={"lab": {"scheme": "none", "plugin": "generic"}}, webhooks=destinations))
        host.post_alert("a-1")
        return host.delivery

    return started


def test_through_a_proxy(deliveries, proxy, plain, over_tls, certificates):
    address, log = proxy
    right, wrong = (f"http://soc:{password}@{address}" for password in ("a-password", "another"))
    tls = {"ca": f"{certificates}/ca.pem", "client_certificate": f"{certificates}/own.pem"}
    tls["client_key"] = f"{certificates}/own.key"
    delivery = deliveries({
        "plain": destination(plain.url, proxy=right),
        "over-tls": destination(over_tls.url, proxy=right, **tls),
        "plain-wrong": destination(plain.url, proxy=wrong),
        "over-tls-wrong": destination(over_tls.url, proxy=wrong, **tls),
        "nobody": destination(plain.url, proxy=f"http://{address}"),
        "direct": destination(plain.url),
    })
    for name in ("plain", "over-tls", "direct"):
        assert delivery(name)["status"] == "delivered", delivery(name)
    for name in ("plain-wrong", "over-tls-wrong", "nobody"):
        # tinyproxy answers a wrong password with 401. Only in a tunnel does that differ from the receiver's answer.
        error = delivery(name)["attempts"][0]["error"]
        assert error.startswith(("proxy: ", "status: the server answered 401")), error
    ways = ["via" in request.headers for request in plain.received]
    assert sorted(ways) == [False, True], "one through the proxy and one without it"
    assert not any({"via", "proxy-authorization"} & request.headers.keys() for request in over_tls.received)
    assert not any("proxy-authorization" in request.headers for request in plain.received)
    port = over_tls.server_port
    eventually("the proxy made the connection", lambda: f"CONNECT 127.0.0.1:{port}" in log.read_text())


@pytest.mark.parametrize("file", ["own.p12", "old.p12"])
def test_certificates_of_openssl(deliveries, over_tls, pkcs12, file):
    shutil.copy(pkcs12 / file, pkcs12 / f"copy-{file}")
    delivery = deliveries({
        "asks": destination(
            over_tls.url,
            ca=f"{pkcs12}/ca.p12",
            ca_password=PASSWORD,
            client_certificate=f"{pkcs12}/copy-{file}",
            client_password=PASSWORD,
        ),
        "nobody": destination(over_tls.url, ca=f"{pkcs12}/ca.pem"),
        "unknown": destination(over_tls.url),
    })
    assert delivery("asks")["status"] == "delivered", delivery("asks")
    assert delivery("nobody")["status"] == "dead", delivery("nobody")
    assert "unknown issuer" in delivery("unknown")["attempts"][0]["error"]


def test_both_secrets_are_accepted_during_rotation(deliveries, plain):
    """Receivers with the old secret and with the new one accept the same message."""
    before = len(plain.received)
    delivery = deliveries({"soc": destination(plain.url, secrets=[NEW, OLD])})
    assert delivery("soc")["status"] == "delivered"
    request = plain.received[before]
    for secret in (OLD, NEW):
        standardwebhooks.Webhook(secret).verify(request.body, request.headers)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook("whsec_aGFsbG8gaGFsbG8gaGFsbG8gaGFsbG8=").verify(request.body, request.headers)
