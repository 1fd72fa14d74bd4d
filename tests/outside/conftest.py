"""Real hosts, `hookmill serve` as a child process, tested with third-party code."""

import json
import os
import shutil
import socket
import ssl
import struct
import subprocess
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

HERE = Path(__file__).parent
TARGET = HERE.parent.parent / "target"
HOOKMILL = os.environ.get("HOOKMILL", str(TARGET / "release" / "hookmill"))
ADMIN_TOKEN = "an-admin-token-of-the-tests"
# Much longer than any step takes, so that a busy machine does not fail a test.
PATIENCE_S = 60


def eventually(what, probe, patience_s=PATIENCE_S):
    """Waits until the probe returns a true value."""
    end = time.monotonic() + patience_s
    while not (found := probe()):
        assert time.monotonic() < end, f"timed out: {what}"
        time.sleep(0.02)
    return found


def npm(function, **arguments):
    """Calls a function of signers.mjs with the packages under target/."""
    code = (HERE / "signers.mjs").read_text()
    command = ["node", "--input-type=module", "--eval", code, "--", function, json.dumps(arguments)]
    output = subprocess.run(
        command, cwd=TARGET / "outside", stdout=subprocess.PIPE, check=True, timeout=PATIENCE_S
    ).stdout
    return json.loads(output)


@dataclass
class Request:
    """A request that a receiver got. Header names are in lower case."""

    method: str
    path: str
    headers: dict
    body: bytes

    def json(self):
        return json.loads(self.body)


class Receiver(ThreadingHTTPServer):
    """A receiver that keeps every request, over TLS if it has a context.

    `answer` returns the answer to a request: a status, or a status and a value that is sent as JSON. `None` resets the
    connection.
    """

    request_queue_size = 128

    def __init__(self, context=None, answer=lambda request: 204):
        received = []

        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = Request(self.command, self.path, headers, body)
                received.append(request)
                answer = answer_to(request)
                if answer is None:
                    # Close with linger 0, so that the client sees a reset.
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self.connection.close()
                    return
                status, *value = answer if isinstance(answer, tuple) else (answer,)
                text = json.dumps(value[0], separators=(",", ":")).encode() if value else b""
                self.send_response(status)
                if status != 204:
                    self.send_header("content-type", "application/json")
                    self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

            def log_message(self, *_):
                pass

        answer_to = answer
        super().__init__(("127.0.0.1", 0), Handler)
        self.received = received
        if context:
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.address = f"127.0.0.1:{self.server_port}"
        self.url = f"{'https' if context else 'http'}://{self.address}/hook"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_):
        """Ignores clients that fail the handshake or disconnect."""

    def until(self, count, what=lambda request: True):
        """Waits for this many matching requests and returns them."""

        def probe():
            found = [request for request in list(self.received) if what(request)]
            return found if len(found) >= count else None

        return eventually(f"{count} requests", probe)

    def stop(self):
        self.shutdown()
        self.server_close()


def openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """A certificate authority and certificates that it signed for 127.0.0.1."""
    folder = tmp_path_factory.mktemp("certificates")
    openssl(folder, *"req -x509 -newkey rsa:2048 -noenc -keyout ca.key -out ca.pem -days 2 -subj /CN=authority".split())
    openssl(folder, *"req -newkey rsa:2048 -noenc -keyout own.key -out own.csr -subj /CN=own".split())
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1")
    openssl(folder, *"x509 -req -in own.csr -CA ca.pem -CAkey ca.key -days 2 -extfile names -out own.pem".split())
    (folder / "own.key").chmod(0o600)
    return folder


def server_side(certificates):
    """The TLS context of a server with a certificate of the authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "own.pem", certificates / "own.key")
    return context


@pytest.fixture
def receiver():
    """Starts receivers that stop with the test."""
    receivers = []

    def started(**arguments):
        receivers.append(Receiver(**arguments))
        return receivers[-1]

    yield started
    for one in receivers:
        one.stop()


def yaml(**keys):
    """Formats configuration keys as JSON, which is valid YAML."""
    return "".join(f"{name}: {json.dumps(value, ensure_ascii=False)}\n" for name, value in keys.items())


def destination(url, **keys):
    """A destination on this machine, with a single attempt per delivery."""
    return {"url": url, "allow_networks": ["127.0.0.0/8"], "retry_schedule": [], **keys}


class Host:
    """A host in a folder of its own, with the generic mapper."""

    def __init__(self, folder, config):
        (folder / "plugins").mkdir(mode=0o700)
        shutil.copy(TARGET / "plugins" / "generic.wasm", folder / "plugins")
        (folder / "hookmill.yaml").write_text(f"listen: 127.0.0.1:0\nlimits: {{ deadline_ms: 20000 }}\n{config}")
        self.folder, self.log = folder, folder / "log"
        self.session = requests.Session()
        # Ignore proxies and ~/.netrc of the user.
        self.session.trust_env = False
        self.run()

    def run(self):
        """Starts the host, also again after a kill, on another port."""
        with self.log.open("w") as log:
            environment = {"HOOKMILL_ADMIN_TOKEN": ADMIN_TOKEN, "NO_COLOR": "1"}
            # Nothing listens at this proxy: a host that used it would deliver nothing.
            environment |= {name: "http://127.0.0.1:1" for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy")}
            self.process = subprocess.Popen([HOOKMILL, "serve"], cwd=self.folder, env=environment, stderr=log)
        self.url = eventually("the host listens", self._address)
        eventually("the host is ready", lambda: self.session.get(f"{self.url}/readyz").ok)

    def kill(self):
        """Kills the host, as in a power failure."""
        self.process.kill()
        self.process.wait()

    def _address(self):
        log = self.log.read_text()
        assert self.process.poll() is None, f"the host ended at its start: {log}"
        _, _, rest = log.partition("hookmill listens on ")
        return rest.split()[0] if "\n" in rest else None

    def post(self, source, body, headers=None):
        """Posts a payload as its sender does."""
        body = body if isinstance(body, bytes) else body.encode()
        return self.session.post(f"{self.url}/api/webhooks/{source}", data=body, headers=headers)

    def post_alert(self, reference, **data):
        """Posts an alert for the generic mapper from source `lab`. Returns the answer."""
        body = {"event_type": "malware_detected", "data": {"alert_id": reference, **data}}
        answer = self.post("lab", json.dumps(body)).json()
        assert answer["status"] == "accepted", answer
        return answer

    def call(self, method, path, **arguments):
        """Sends a request to the API and returns the answer."""
        headers = {"authorization": f"Bearer {ADMIN_TOKEN}"}
        answer = self.session.request(method, f"{self.url}{path}", headers=headers, **arguments)
        assert answer.ok, answer.text
        return answer.json() if answer.content else None

    def get(self, path):
        """Gets a path of the API."""
        return self.call("GET", path)

    def over(self, destination, count=1):
        """Waits for this many deliveries to a destination, none pending, and returns them, oldest first."""

        def probe():
            found = self.get(f"/api/deliveries?destination={destination}")["data"]
            is_over = len(found) >= count and all(delivery["status"] != "pending" for delivery in found)
            return found[::-1] if is_over else None

        return eventually(f"{count} deliveries to {destination}", probe)

    def delivery(self, destination):
        """Waits until the only delivery to a destination is not pending, and returns it."""
        (found,) = self.over(destination)
        return found

    def cli(self, *arguments):
        """Runs a command. Returns its output and whether it succeeded."""
        environment = {"HOOKMILL_URL": self.url, "HOOKMILL_TOKEN": ADMIN_TOKEN, "NO_COLOR": "1"}
        return subprocess.run([HOOKMILL, *arguments], cwd=self.folder, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Starts hosts that stop with the module's tests."""
    hosts = []

    def start(config):
        hosts.append(Host(tmp_path_factory.mktemp("host"), config))
        return hosts[-1]

    yield start
    for host in hosts:
        host.kill()
