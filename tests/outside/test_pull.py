"""The host reads from a double of OpenCTI's platform beside OpenCTI's own client, also across kills and disconnects."""

import json
import random
import re
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from datetime import datetime
from urllib.parse import quote

import graphql
import pytest
from conftest import ADMIN_TOKEN, HERE, PATIENCE_S, Request, eventually, yaml
from opencti import FIRST_MS, TOKEN, Platform, position, stix
from yaml import safe_load

NETWORKS = ["127.0.0.0/8"]
# Difficult text: line ends that do not end a line in a stream of events, and characters with a meaning in URLs.
UGLY = 'Müller & Söhne "x" 100% +/?#=é;\u2028\x85🦀\n\ttwo lines'
EVENTS = 50_000
# The number of events for a measurement.
SAMPLE = 20_000
# Each event at this interval is sent with a dependency.
WITH_DEPENDENCY = 5
KILLS = 4
# This share of the connections is cut within the first EARLY_BYTES, the others within LATE_BYTES.
CUT_EARLY, EARLY_BYTES, LATE_BYTES = 0.2, 2_000, 12_000_000
LONG_PATIENCE_S = 300
RELAYS = HERE.parent.parent / "docs" / "PULL.md"


@pytest.fixture
def platform():
    """Starts platforms that stop with the test."""
    platforms = []

    def started(**arguments):
        platforms.append(Platform(**arguments))
        return platforms[-1]

    yield started
    for one in platforms:
        one.stop()


def stream_of(platform, **keys):
    """A source that reads the platform's live stream from its beginning."""
    where = {"kind": "opencti-stream", "url": platform.url, "stream": "live", "allow_networks": NETWORKS}
    return {**where, "token": TOKEN, "plugin": "none", "start": "0", **keys}


def poll_of(platform, **keys):
    """A source that polls the platform every second."""
    where = {"kind": "graphql-poll", "url": f"{platform.url}/graphql", "allow_networks": NETWORKS}
    return {**where, "token": TOKEN, "plugin": "none", "interval": "1s", **keys}


def pages(host, path):
    """Returns all rows of a list, page by page."""
    found, cursor = [], ""
    while cursor is not None:
        page = host.get(f"{path}{'&' if '?' in path else '?'}limit=1000{cursor and f'&cursor={cursor}'}")
        found += page["data"]
        cursor = page["next_cursor"]
    return found


def source_when(host, name, what, wanted, patience_s=PATIENCE_S):
    """Waits until a source satisfies a condition."""

    def probe():
        source = host.get(f"/api/sources/{name}")
        return source if wanted(source) else None

    return eventually(f"{name}: {what}", probe, patience_s)


def stored(host, source):
    """Returns the stored events of a source, oldest first, each as (id, topic, data) of the stream."""
    found = []
    for event in pages(host, f"/api/events?source={source}")[::-1]:
        event = host.get(f"/api/events/{event['id']}")
        context = {pair["name"]: pair["value"] for pair in event["context"]}
        found.append((context.get("sse.id"), context.get("sse.event"), event["body"]["data"]))
    return found


class Listener:
    """OpenCTI's own client, reading from a platform. Its lines are the messages that a connector gets."""

    def __init__(self, platform, folder, listen_delete, no_dependencies):
        connector = {
            "id": str(uuid.uuid4()),
            "type": "STREAM",
            "name": "Listener",
            "scope": "all",
            "live_stream_id": "live",
            "live_stream_listen_delete": listen_delete,
            "live_stream_no_dependencies": no_dependencies,
            # Only the stream, no recovery.
            "live_stream_recover_iso_date": "no",
        }
        config = {"opencti": {"url": platform.url, "token": TOKEN}, "connector": connector}
        self.path, self.log = folder / "lines", folder / "log"
        command = [sys.executable, "-B", HERE / "listen.py", json.dumps(config), self.path]
        # Ignore proxies and ~/.netrc of the user.
        with self.log.open("w") as log:
            environment = {"HOME": str(folder), "NO_PROXY": "*"}
            self.process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)

    def until(self, count):
        """Waits for this many messages and returns them."""

        def probe():
            assert self.process.poll() is None, self.log.read_text()
            lines = self.path.read_text().splitlines() if self.path.exists() else []
            return lines if len(lines) >= count else None

        return [tuple(json.loads(line)) for line in eventually(f"{count} messages", probe)]

    def stop(self):
        self.process.kill()
        self.process.wait()


def registered(query, variables):
    """Returns the platform's answers to a connector's registration and pings."""
    connection = {"host": "mq", "vhost": "/", "use_ssl": False, "port": 5672, "user": "a", "pass": "b"}
    if "registerConnector" in query:
        connector = {"id": variables["input"]["id"], "connector_state": None, "jwks": None, "connector_user_id": "a-user"}
        return {"data": {"registerConnector": {**connector, "config": {"connection": connection}}}}
    if "pingConnector" in query:
        return {"data": {"pingConnector": {"id": variables["id"], "connector_state": variables["state"]}}}
    return {"data": {"about": {"version": "7.261026.0"}}}


@pytest.mark.parametrize("signs", [(), ("consumer_metrics", "no-recover")], ids=["signs-of-old", "signs-of-today"])
@pytest.mark.parametrize(("listen_delete", "no_dependencies"), [(True, False), (False, True)])
def test_the_host_stores_what_connectors_get(start, platform, tmp_path, listen_delete, no_dependencies, signs):
    octi = platform(answer=registered, signs=signs)

    def publish(numbers):
        for number in numbers:
            one = stix(number, description=UGLY, x_opencti_score=12345678901234567890, confidence=75.0)
            depends = [stix(1000 + 10 * number + index, name=UGLY) for index in range(number % 3)]
            octi.publish("create", one, depends)
            octi.publish("update", {**one, "name": "another"})
            octi.publish("delete", one, inner="update" if number % 2 else "delete")
            octi.publish("merge", one)

    publish(range(20))
    # By default a source gets dependencies, like a connector.
    keys = {"listen_delete": listen_delete, "no_dependencies": no_dependencies}
    host = start(yaml(sources={"octi": stream_of(octi, **keys)}))
    listener = Listener(octi, tmp_path, **keys)
    try:
        expected = octi.all(**keys)
        listener.until(len(expected))
        source_when(host, "octi", "all of it", lambda source: source["accepted"] >= len(expected))
        # Again while both are connected, with some heartbeats.
        publish(range(20, 30))
        beats = octi.heartbeats
        eventually("heartbeats of both", lambda: octi.heartbeats >= beats + 6)
        expected = octi.all(**keys)
        told = listener.until(len(expected))
    finally:
        listener.stop()
    source_when(host, "octi", "all of it", lambda source: source["accepted"] >= len(expected))
    assert told == [(stream_id, topic, data.decode()) for stream_id, topic, data in expected]
    assert stored(host, "octi") == told
    by_host, by_client = sorted(octi.connections(), key=lambda asked: "requests" in asked.headers["user-agent"])
    for name in ("authorization", "accept", "listen-delete", "no-dependencies", "with-inferences"):
        assert by_host.headers[name].lower() == by_client.headers[name].lower(), name
    assert position(by_host.headers["last-event-id"]) == position(by_client.headers["last-event-id"]) == (0, 0)


def publish_many(octi, count):
    """Publishes this many events. The generic mapper makes an incident of each."""
    for number in range(count):
        if number % WITH_DEPENDENCY == 0:
            continue
        one, depends = (stix(n, event_type="seen", alert_id=f"a-{n}") for n in (number, number - 1))
        octi.publish("create", one, [depends] if number % WITH_DEPENDENCY == 1 else [], event_type="seen")
    assert len(octi.all()) == count


def reached(host):
    """Returns the number of ids before a source's position."""
    return position(host.get("/api/sources/octi")["position"] or "0-0")[0] - FIRST_MS


def test_every_event_of_a_stream_is_stored_once(start, platform, capsys):
    chance = random.Random(1)

    def cut_after():
        return chance.randint(1, EARLY_BYTES if chance.random() < CUT_EARLY else LATE_BYTES)

    octi = platform(cut_after=cut_after, retry_ms=10)
    publish_many(octi, EVENTS)
    began = time.monotonic()
    host = start(yaml(sources={"octi": stream_of(octi, plugin="generic")}))
    for kill in range(1, KILLS + 1):
        wanted = len(octi.ids) * kill // (KILLS + 1)
        eventually(f"{wanted} ids are read", lambda wanted=wanted: reached(host) >= wanted, LONG_PATIENCE_S)
        host.kill()
        host.run()
    # More messages may follow under the last id, so it counts as read only when another id follows.
    end = octi.publish("create", stix(EVENTS, alert_id=f"a-{EVENTS}"), event_type="seen")
    octi.publish("create", stix(EVENTS + 1, alert_id=f"a-{EVENTS + 1}"), event_type="seen")
    source_when(host, "octi", "read to its end", lambda source: source["position"] == end, LONG_PATIENCE_S)
    took = time.monotonic() - began
    connections = len(octi.connections())
    with capsys.disabled():
        said = f"{KILLS} kills, {connections} connections, {EVENTS / took:.0f} events/s"
        print(f"\na stream of {EVENTS} events: {took:.1f} s with {said}")
    assert connections > 2 * KILLS
    count = EVENTS + 2
    assert Counter(event["status"] for event in pages(host, "/api/events?source=octi")) == {"mapped": count}
    incidents = pages(host, "/api/incidents?source=octi")
    assert Counter(incident["occurrences"] for incident in incidents) == {1: count}
    assert {incident["source_ref"] for incident in incidents} == {f"a-{number}" for number in range(count)}


@pytest.mark.parametrize("plugin", ["generic", "none"])
def test_rate_of_reading_a_stream(start, platform, capsys, plugin):
    """Prints a measurement beside that of posted webhooks, without a required minimum."""
    octi = platform()
    publish_many(octi, SAMPLE)
    host = start(yaml(sources={"octi": stream_of(octi, plugin=plugin)}))
    source_when(host, "octi", "all of it", lambda source: source["accepted"] == SAMPLE, LONG_PATIENCE_S)
    times = [datetime.fromisoformat(event["received_at"]) for event in pages(host, "/api/events?source=octi")]
    took = (max(times) - min(times)).total_seconds()
    size = sum(len(data) for _, _, data in octi.all()) / SAMPLE
    with capsys.disabled():
        print(f"\n{SAMPLE} events of {size:.0f} bytes, plugin {plugin}: {took:.1f} s, {SAMPLE / took:.0f} events/s")


def errors_of(host, source, code):
    """Returns how often a source failed with this code, from the metrics."""
    metrics = host.session.get(f"{host.url}/metrics", headers={"authorization": f"Bearer {ADMIN_TOKEN}"}).text
    found = re.search(rf'^webhook_errors_total\{{source="{source}",code="{code}"\}} (\d+)', metrics, re.MULTILINE)
    return int(found.group(1)) if found else 0


def test_refusals_of_a_platform_are_shown_and_recovered_from(start, platform):
    octi, other = platform(retry_ms=10), platform()
    nobody = stream_of(octi, token="another-token-of-the-tests")
    host = start(yaml(sources={"octi": stream_of(octi), "other": stream_of(other), "nobody": nobody}))
    nobody = source_when(host, "nobody", "refused", lambda source: source["last_error"])
    assert (nobody["last_error"]["code"], nobody["accepted"]) == ("status", 0)
    assert "401" in nobody["last_error"]["message"]
    for accepted, (status, reason) in enumerate(
        [
            (401, "You are not authenticated, please check your credentials"),
            (410, "This live stream is stopped"),
            (500, "Error in stream live: no shard available"),
            (502, "Bad Gateway"),
        ],
        start=1,
    ):
        failures = errors_of(host, "octi", "status")
        octi.refuse(status, reason)
        octi.publish("create", stix(accepted))
        source = source_when(
            host, "octi", status, lambda source: str(status) in (source["last_error"] or {}).get("message", "")
        )
        assert source["last_error"]["code"] == "status"
        assert source["accepted"] == accepted - 1
        # The host keeps retrying.
        eventually("more failures", lambda: errors_of(host, "octi", "status") >= failures + 2)
        octi.accept()
        source_when(
            host,
            "octi",
            "taken",
            lambda source: source["accepted"] == accepted and source["last_success"] >= source["last_error"]["at"],
        )
        other.publish("create", stix(accepted))
        source_when(host, "other", "not in the way", lambda source: source["accepted"] == accepted)
    assert host.process.poll() is None
    assert stored(host, "octi") == [(stream_id, topic, data.decode()) for stream_id, topic, data in octi.all()]
    assert host.get("/api/sources/nobody")["last_success"] is None


class Items:
    """Items that appear during polls, each stamped a little before it is shown, in pages.

    `mischief` has one word per poll that decides how it fails. Later polls are answered.
    """

    PAGE = 10

    def __init__(self, mischief):
        self.mischief, self.random, self.turn = mischief, random.Random(2), threading.Lock()
        self.items, self.polls, self.answered = [], 0, 0
        self.is_held, self.is_over = threading.Event(), threading.Event()

    def hold(self):
        """Sends no answer until the host is gone."""
        self.is_held.set()
        self.is_over.wait(PATIENCE_S)
        self.is_over.clear()

    def until_held(self):
        eventually("a poll is waiting", self.is_held.is_set)
        self.is_held.clear()

    def __call__(self, query, variables):
        graphql.parse(query)
        with self.turn:
            if "after" not in variables:
                self.polls += 1
            word = self.mischief[self.polls - 1] if self.polls <= len(self.mischief) else "answer"
            is_first = "after" not in variables
            if is_first and word not in ("empty", "still"):
                for _ in range(self.random.randint(5, 12)):
                    stamp = int(time.time() * 1000) - self.random.randint(0, 800)
                    self.items.append({"id": len(self.items), "created": stamp, "name": UGLY})
            since = int(re.search(r"from: (\d+)", query).group(1))
            found = [item for item in self.items if item["created"] >= since]
        if word == "kill" or (word == "kill within" and not is_first):
            self.hold()
            return None
        match word:
            case "500" | "503":
                return int(word)
            case "cut":
                return None
            case "errors":
                return {"errors": [{"message": "timeout", "name": "DATABASE_ERROR"}], "data": {"items": {"edges": []}}}
            case "errors and null":
                return {"errors": [{"message": "no"}], "data": None}
            case "null":
                return {"data": None}
            case "null items":
                return {"data": {"items": None}}
            case "nothing":
                return {}
            case "empty":
                found = []
        begin = int(variables.get("after") or 0)
        page = found[begin : begin + self.PAGE]
        if not page:
            self.answered += 1
        end = str(begin + len(page)) if page else None
        return {"data": {"items": {"edges": [{"node": item} for item in page], "pageInfo": {"endCursor": end}}}}


def test_every_item_is_stored_once(start, platform):
    items = Items(
        [
            *("answer", "500", "answer", "errors", "kill", "answer", "null", "answer", "empty", "answer", "cut"),
            *("kill within", "null items", "answer", "errors and null", "answer", "nothing", "kill within", "503"),
        ]
    )
    octi = platform(answer=items)
    query = "query ($after: ID) { items(from: LAST_POLL_TIME, after: $after) { edges { node { id created name } } } }"
    keys = {"query": query, "items": "/data/items/edges", "next": "/data/items/pageInfo/endCursor", "overlap": "5s"}
    host = start(yaml(sources={"items": poll_of(octi, **keys)}))
    for _ in range(3):
        items.until_held()
        host.kill()
        items.is_over.set()
        host.run()
    eventually("polls after the last failure", lambda: items.polls >= len(items.mischief) + 3)
    with items.turn:
        # The server has no new items and returns the existing ones again.
        items.mischief += ["still"] * 1000
        polls, expected = items.polls, [{"node": item} for item in items.items]
    eventually("polls of what there is", lambda: items.polls >= polls + 3)
    taken = [json.loads(data) for _, _, data in stored(host, "items")]
    assert Counter(item["node"]["id"] for item in taken) == Counter(item["node"]["id"] for item in expected)
    assert sorted(taken, key=lambda item: item["node"]["id"]) == expected
    assert host.get("/api/sources/items")["duplicates"] > 0


def works(*nodes):
    return {"data": {"works": {"edges": [{"node": node} for node in nodes]}}}


def of(value):
    """Encodes a value for a URL."""
    return quote(value, safe="")


NAMES = [UGLY, "a b", "../../x?y=1&z=2"]
# The platform's answer in each example, and the resulting calls.
EXAMPLES = {
    "finished": (
        works(*({"id": str(id), "connector": {"name": name}, "completed_time": 1} for id, name in enumerate(NAMES))),
        [f"/finished?connector={of(name)}" for name in NAMES],
    ),
    "slow": (
        works(*({"id": name, "name": name, "connector": {"name": name[::-1]}, "received_time": 1} for name in NAMES)),
        [f"/slow?work={of(name)}&connector={of(name[::-1])}" for name in NAMES],
    ),
    "ended": (
        works(
            *({"id": name, "status": "complete", "connector": {"name": name}, "errors": []} for name in NAMES),
            {"id": "4", "status": "complete", "connector": {"name": "c"}, "errors": [{"message": "no"}]},
            {"id": "5", "status": "complete", "connector": {"name": "d"}, "errors": None},
        ),
        [f"/ended/{of(name)}?result=complete" for name in [*NAMES, "d"]] + ["/ended/c?result=failed"],
    ),
    "users": (
        {
            "data": {
                "users": {
                    "edges": [
                        {"node": {"name": UGLY, "user_email": mail, "created_at": "2026-01-31T08:00:00.000Z"}}
                        for mail in ("müller+soc@a.example", '"a&b= c"@b.example')
                    ]
                }
            }
        },
        [f"/users?email={of(mail)}" for mail in ("müller+soc@a.example", '"a&b= c"@b.example')],
    ),
    "actors": (
        {
            "data": {
                "threatActors": {
                    "edges": [
                        {"node": {"name": f"{name} {confidence}", "confidence": confidence, "updated_at": 1}}
                        for name in NAMES
                        for confidence in (74, 75, 100, None)
                    ]
                }
            }
        },
        [f"/actors/{of(f'{name} {confidence}')}?confidence={confidence}" for name in NAMES for confidence in (75, 100)],
    ),
}


def relays():
    """Returns the examples of docs/PULL.md by the name of their source."""
    _, _, section = RELAYS.read_text().partition("\n## Relays\n")
    blocks = re.findall(r"^```yaml\n(.*?)^```$", section.split("\n## ")[0], re.MULTILINE | re.DOTALL)
    return {next(iter(safe_load(block)["sources"])): block for block in blocks}


def example(name, platform, receiver, **keys):
    """Returns the configuration of an example with this platform, this receiver, and further keys of its source."""
    block = re.sub(r"\$\{[A-Z_]+\}", TOKEN, relays()[name])
    hook = receiver.url.removesuffix("/hook")
    block = block.replace("https://octi.example", platform.url).replace("https://hook.example", hook)
    config = safe_load(block)
    for one in (*config["sources"].values(), *config["destinations"].values()):
        one["allow_networks"] = NETWORKS
    config["sources"][name] |= keys
    return yaml(**config)


def test_every_example_is_tested():
    assert relays().keys() == {"octi", *EXAMPLES}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_of_a_relay(start, platform, receiver, name):
    answer, calls = EXAMPLES[name]
    queries = []

    def answered(query, variables):
        queries.append(graphql.parse(query) and query)
        return answer

    octi, hook = platform(answer=answered), receiver()
    host = start(example(name, octi, hook, interval="1s"))
    # Sent at every poll, or once however often polls find it.
    is_told_again = "ignore_duplicates: false" in relays()[name]
    hook.until(len(calls) * (3 if is_told_again else 1))
    eventually("polls", lambda: len(queries) >= 3)
    host.over("hook", len(calls))
    host.kill()
    called = Counter(request.path for request in hook.received)
    assert called.keys() == set(calls)
    assert all(count <= (len(queries) if is_told_again else 1) for count in called.values()), called
    for request in hook.received:
        assert (request.method, request.body) == ("GET", b"")
    # The time of a poll, or a little earlier.
    now, since = time.time() * 1000, [int(re.search(r'"(\d+)"', query).group(1)) for query in queries]
    assert all(now - 600_000 < one <= now for one in since), since
    assert all(one.headers["authorization"] == f"Bearer {TOKEN}" for one in octi.queries())


def test_a_stream_is_forwarded_unchanged(start, platform, receiver):
    octi, hook = platform(), receiver()
    for number in range(20):
        one = stix(number, description=UGLY, x_opencti_score=12345678901234567890, confidence=75.0)
        octi.publish("create", one, [stix(100 + number)])
        octi.publish("delete", one, inner="update")
    host = start(example("octi", octi, hook, start="0"))
    hook.until(len(octi.all()))
    eventually("all are over", lambda: {one["status"] for one in pages(host, "/api/deliveries")} == {"delivered"})

    def relayed(request: Request):
        assert (request.method, request.path) == ("POST", "/opencti")
        assert request.headers["authorization"] == f"Bearer {TOKEN}"
        assert request.headers["content-type"] == "application/json"
        return request.headers["x-opencti-event"], request.body

    assert Counter(map(relayed, hook.received)) == Counter((topic, data) for _, topic, data in octi.all())
