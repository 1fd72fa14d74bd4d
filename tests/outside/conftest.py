"""Real hosts, `hookmill serve` as a child process, beside code that nobody here wrote."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
import requests

HERE = Path(__file__).parent
TARGET = HERE.parent.parent / "target"
HOOKMILL = os.environ.get("HOOKMILL", str(TARGET / "release" / "hookmill"))
ADMIN_TOKEN = "an-admin-token-of-the-tests"
# Far more than anything here takes, so that a busy machine fails no test.
PATIENCE_S = 60


def eventually(what, probe):
    """Waits until the probe finds what it looks for."""
    end = time.monotonic() + PATIENCE_S
    while not (found := probe()):
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(0.02)
    return found


def npm(function, **arguments):
    """Calls a function of signers.mjs, with the packages that are installed under target/."""
    code = (HERE / "signers.mjs").read_text()
    command = ["node", "--input-type=module", "--eval", code, "--", function, json.dumps(arguments)]
    output = subprocess.run(command, cwd=TARGET / "outside", stdout=subprocess.PIPE, check=True).stdout
    return json.loads(output)


class Host:
    """A running host in a folder of its own, with the generic mapper."""

    def __init__(self, folder, config):
        (folder / "plugins").mkdir(mode=0o700)
        shutil.copy(TARGET / "plugins" / "generic.wasm", folder / "plugins")
        (folder / "hookmill.yaml").write_text(f"listen: 127.0.0.1:0\nlimits: {{ deadline_ms: 20000 }}\n{config}")
        self.log = folder / "log"
        with self.log.open("w") as log:
            environment = {"HOOKMILL_ADMIN_TOKEN": ADMIN_TOKEN, "NO_COLOR": "1"}
            # Nobody listens there: a host that took a proxy from its environment would deliver nothing.
            environment |= {name: "http://127.0.0.1:1" for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy")}
            self.process = subprocess.Popen([HOOKMILL, "serve"], cwd=folder, env=environment, stderr=log)
        self.session = requests.Session()
        # Neither proxies nor a ~/.netrc of whoever runs this.
        self.session.trust_env = False
        self.url = eventually("the host listens", self._address)
        eventually("the host is ready", lambda: self.session.get(f"{self.url}/readyz").ok)

    def _address(self):
        log = self.log.read_text()
        assert self.process.poll() is None, f"the host ended at its start: {log}"
        _, _, rest = log.partition("hookmill listens on ")
        return rest.split()[0] if "\n" in rest else None

    def post(self, source, body, headers=None):
        """Posts a payload as its sender would."""
        return self.session.post(f"{self.url}/api/webhooks/{source}", data=body.encode(), headers=headers)

    def get(self, path):
        """What the API shows."""
        headers = {"authorization": f"Bearer {ADMIN_TOKEN}"}
        answer = self.session.get(f"{self.url}{path}", headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Starts hosts that end with the module's tests."""
    hosts = []

    def start(config):
        hosts.append(Host(tmp_path_factory.mktemp("host"), config))
        return hosts[-1]

    yield start
    for host in hosts:
        host.process.kill()
        host.process.wait()
