"""The host reaches receivers through a proxy and with certificates that others made."""

import shutil
import socket
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import standardwebhooks
from conftest import eventually

PASSWORD = "only a password/of the tests"
OLD, NEW = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Receiver(ThreadingHTTPServer):
    """Takes what it gets, over TLS if it is given a context, and keeps headers and bodies."""

    def __init__(self, context=None):
        received = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                received.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.received = received
        if context:
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{self.server_port}/hook"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_):
        """Who does not come to terms with it goes away."""


def openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """An authority, what it has signed for 127.0.0.1, and that as PKCS#12 of today and of former days."""
    folder = tmp_path_factory.mktemp("certificates")
    openssl(folder, *"req -x509 -newkey rsa:2048 -noenc -keyout ca.key -out ca.pem -days 2 -subj /CN=authority".split())
    openssl(folder, *"req -newkey rsa:2048 -noenc -keyout own.key -out own.csr -subj /CN=own".split())
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1")
    openssl(folder, *"x509 -req -in own.csr -CA ca.pem -CAkey ca.key -days 2 -extfile names -out own.pem".split())
    own = "pkcs12 -export -in own.pem -inkey own.key -certfile ca.pem -passout".split()
    openssl(folder, *own, f"pass:{PASSWORD}", "-out", "own.p12")
    openssl(folder, *own, f"pass:{PASSWORD}", "-legacy", "-out", "old.p12")
    openssl(folder, *"pkcs12 -export -nokeys -in ca.pem -passout".split(), f"pass:{PASSWORD}", "-out", "ca.p12")
    return folder


@pytest.fixture(scope="module")
def over_tls(certificates):
    """A receiver that asks for a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "own.pem", certificates / "own.key")
    context.load_verify_locations(certificates / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    receiver = Receiver(context)
    yield receiver
    receiver.shutdown()


@pytest.fixture(scope="module")
def plain():
    receiver = Receiver()
    yield receiver
    receiver.shutdown()


@pytest.fixture(scope="module")
def proxy(tmp_path_factory):
    """A proxy that asks for a user name and a password. Its address, and its log."""
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


def destination(url, **keys):
    keys = {"allow_networks": "[127.0.0.0/8]", "retry_schedule": "[]", **keys}
    return f'{{ url: "{url}", {", ".join(f"{key}: {value}" for key, value in keys.items())} }}'


@pytest.fixture
def deliveries(start):
    """Starts a host with these destinations and one incident. Asks for the only delivery to one of them."""

    def started(destinations):
        lines = "".join(f"  {name}: {keys}\n" for name, keys in destinations.items())
        host = start(f"sources: {{ lab: {{ scheme: none, plugin: generic }} }}\nwebhooks:\n{lines}")
        answer = host.post("lab", '{"event_type": "malware_detected", "data": {"alert_id": "a-1"}}')
        assert answer.json()["status"] == "accepted", answer.text

        def over(name):
            found = host.get(f"/api/deliveries?destination={name}")["data"]
            return found[0] if found and found[0]["status"] != "pending" else None

        return lambda name: eventually(f"the delivery to {name}", lambda: over(name))

    return started


def test_through_a_proxy(deliveries, proxy, plain, over_tls, certificates):
    address, log = proxy
    right, wrong = (f'"http://soc:{password}@{address}"' for password in ("a-password", "another"))
    tls = {"ca": f'"{certificates}/ca.pem"', "client_certificate": f'"{certificates}/own.pem"'}
    tls["client_key"] = f'"{certificates}/own.key"'
    (certificates / "own.key").chmod(0o600)
    delivery = deliveries({
        "plain": destination(plain.url, proxy=right),
        "over-tls": destination(over_tls.url, proxy=right, **tls),
        "plain-wrong": destination(plain.url, proxy=wrong),
        "over-tls-wrong": destination(over_tls.url, proxy=wrong, **tls),
        "nobody": destination(plain.url, proxy=f'"http://{address}"'),
        "direct": destination(plain.url),
    })
    for name in ("plain", "over-tls", "direct"):
        assert delivery(name)["status"] == "delivered", delivery(name)
    for name in ("plain-wrong", "over-tls-wrong", "nobody"):
        # tinyproxy answers a wrong password with 401, which can be told from the receiver's only where there is a tunnel.
        error = delivery(name)["attempts"][0]["error"]
        assert error.startswith(("proxy: ", "status: the receiver answered 401")), error
    ways = ["via" in headers for headers, _ in plain.received]
    assert sorted(ways) == [False, True], "one through the proxy and one without it"
    assert not any("via" in headers or "proxy-authorization" in headers for headers, _ in over_tls.received)
    assert not any("proxy-authorization" in headers for headers, _ in plain.received)
    port = over_tls.server_port
    eventually("the proxy made the connection", lambda: f"CONNECT 127.0.0.1:{port}" in log.read_text())


@pytest.mark.parametrize("file", ["own.p12", "old.p12"])
def test_certificates_of_openssl(deliveries, over_tls, certificates, file):
    shutil.copy(certificates / file, certificates / f"copy-{file}")
    delivery = deliveries({
        "asks": destination(
            over_tls.url,
            ca=f'"{certificates}/ca.p12"',
            ca_password=f'"{PASSWORD}"',
            client_certificate=f'"{certificates}/copy-{file}"',
            client_password=f'"{PASSWORD}"',
        ),
        "nobody": destination(over_tls.url, ca=f'"{certificates}/ca.pem"'),
        "unknown": destination(over_tls.url),
    })
    assert delivery("asks")["status"] == "delivered", delivery("asks")
    assert delivery("nobody")["status"] == "dead", delivery("nobody")
    assert "unknown issuer" in delivery("unknown")["attempts"][0]["error"]


def test_a_secret_is_being_replaced(deliveries, plain):
    """Receivers with the old secret and with the new one believe the same message."""
    before = len(plain.received)
    delivery = deliveries({"soc": destination(plain.url, secrets=f'["{NEW}", "{OLD}"]')})
    assert delivery("soc")["status"] == "delivered"
    headers, body = plain.received[before]
    for secret in (OLD, NEW):
        standardwebhooks.Webhook(secret).verify(body, headers)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook("whsec_aGFsbG8gaGFsbG8gaGFsbG8gaGFsbG8=").verify(body, headers)
