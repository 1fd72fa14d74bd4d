"""Notifications arrive correctly at mail servers, chats, TheHive, ticket systems, files and operators."""

import asyncio
import email
import email.policy
import hashlib
import json
import re
import threading
import time
import urllib.parse
from typing import Union, get_args, get_origin, get_type_hints, is_typeddict

import pytest
import standardwebhooks
from aiosmtpd.smtp import SMTP, AuthResult
from conftest import Request, destination, eventually, npm, server_side, yaml
from markdown_it import MarkdownIt
from slack_sdk.models.blocks import Block
from thehive4py.types.alert import InputAlert, InputUpdateAlert
from thehive4py.types.observable import InputObservable

SECRET = "a-canary-that-is-a-secret"
PUBLIC_URL = "https://soc.example"
# aiosmtpd does not count implicit TLS.
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
# Payload text with markup, mentions and links.
HOSTILE = (
    "Ünï 💥 <!channel> @all @channel `code` *bold* _it_ [link](https://evil.example) https://evil.example www.evil.example "
    '<https://evil.example|x> </script><img src=x> "quoted" \\ {{object.id}} ${HOME}'
)
BREAKS = "\r\nBcc: x@y.example\r\n\r\nan own body"


@pytest.fixture
def notifying_host(start):
    """Starts a host with these destinations and, by default, one notification for every new incident."""

    def started(destinations, notifications=None, **more):
        everybody = [{"name": "all", "trigger": "incident_created", "notify": [{"to": name} for name in destinations]}]
        sources = {"lab": {"scheme": "none", "plugin": "generic"}}
        notifications = everybody if notifications is None else notifications
        keys = {
            "sources": sources,
            "public_url": PUBLIC_URL,
            "destinations": destinations,
            "notifications": notifications,
        }
        return start(yaml(**keys | more))

    return started


def notification(trigger, *steps, **keys):
    """Makes a notification named like its trigger. A step is a destination's name or a whole step."""
    steps = [step if isinstance(step, dict) else {"to": step} for step in steps]
    return {"name": trigger, "trigger": trigger, "notify": steps, **keys}


def attempts(delivery):
    return [(attempt["code"], attempt["error"]) for attempt in delivery["attempts"]]


class MailServer:
    """aiosmtpd with the mails that it got and their envelopes. `answers` are the first replies to DATA."""

    def __init__(self, context=None, at_once=False, answers=(), login=None, without=()):
        self.received, self.answers, self.mechanisms = [], list(answers), []

        def authenticate(server, session, envelope, mechanism, data):
            self.mechanisms.append(mechanism)
            return AuthResult(success=(data.login, data.password) == login, handled=False)

        keys = {"hostname": "mail.example", "timeout": 60}
        if context and not at_once:
            keys |= {"tls_context": context, "require_starttls": True}
        if login:
            keys |= {"authenticator": authenticate, "auth_required": True, "auth_require_tls": not at_once}
            keys |= {"auth_exclude_mechanism": list(without)}
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        listening = self.loop.create_server(
            lambda: SMTP(self, loop=self.loop, **keys), "127.0.0.1", 0, ssl=context if at_once else None
        )
        self.server = asyncio.run_coroutine_threadsafe(listening, self.loop).result()
        self.url = f"{'smtps' if at_once else 'smtp'}://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"

    async def handle_DATA(self, server, session, envelope):
        self.received.append(envelope)
        return self.answers.pop(0) if self.answers else "250 OK"

    async def handle_exception(self, error):
        return "451 broken"

    def mails(self):
        return [email.message_from_bytes(one.content, policy=email.policy.default) for one in self.received]

    def stop(self):
        async def end():
            self.server.close()
            clients = asyncio.all_tasks() - {asyncio.current_task()}
            for client in clients:
                client.cancel()
            await asyncio.gather(*clients, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), self.loop).result()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


@pytest.fixture
def mail_server():
    """Starts mail servers that stop with the test."""
    servers = []

    def started(*arguments, **keys):
        servers.append(MailServer(*arguments, **keys))
        return servers[-1]

    yield started
    for server in servers:
        server.stop()


def by_mail(server, **keys):
    return destination(server.url, type="email", **{"from": "Hookmill <soc@own.example>"}, to=["ann@own.example"], **keys)


def test_mail_over_each_kind_of_connection(notifying_host, mail_server, certificates):
    login, ca, context = (b"soc", SECRET.encode()), f"{certificates}/ca.pem", server_side(certificates)
    servers = {
        "starttls": mail_server(context),
        "at-once": mail_server(context, at_once=True),
        "plain": mail_server(),
        "auth-plain": mail_server(context, login=login),
        "auth-login": mail_server(context, login=login, without=["PLAIN"]),
        "auth-at-once": mail_server(context, at_once=True, login=login),
    }
    auth = {"auth": {"type": "basic", "username": "soc", "password": SECRET}}
    host = notifying_host({
        name: by_mail(
            server, **({"starttls": False} if name == "plain" else {"ca": ca}), **(auth if "auth" in name else {})
        )
        for name, server in servers.items()
    })
    host.post_alert("a", title="Plain")
    for name, server in servers.items():
        delivery = host.delivery(name)
        assert delivery["status"] == "delivered", (name, delivery)
        (mail,) = server.mails()
        assert "Plain" in mail["subject"] and "Plain" in mail.get_content(), mail
        assert mail["message-id"] == f"<{delivery['id']}@own.example>"
    assert servers["auth-login"].mechanisms == ["LOGIN"]
    assert servers["auth-plain"].mechanisms == servers["auth-at-once"].mechanisms == ["PLAIN"]
    assert SECRET not in host.log.read_text()


def test_untrusted_mail_servers_get_nothing(notifying_host, mail_server, certificates):
    login, ca, context = (b"soc", b"another"), {"ca": f"{certificates}/ca.pem"}, server_side(certificates)
    auth = {"auth": {"type": "basic", "username": "soc", "password": SECRET}}
    servers = {
        "unknown": mail_server(context),
        "unknown-at-once": mail_server(context, at_once=True),
        "no-starttls": mail_server(),
        "wrong-password": mail_server(context, login=login),
        "nobody": mail_server(context, login=login),
    }
    again = {"retry_schedule": ["1ms"]}
    host = notifying_host({
        "unknown": by_mail(servers["unknown"], **again),
        "unknown-at-once": by_mail(servers["unknown-at-once"], **again),
        "no-starttls": by_mail(servers["no-starttls"], **again, **ca),
        "wrong-password": by_mail(servers["wrong-password"], **again, **ca, **auth),
        "nobody": by_mail(servers["nobody"], **again, **ca),
    })
    host.post_alert("a")
    found = {}
    for name, server in servers.items():
        delivery = host.delivery(name)
        assert delivery["status"] == "dead" and not server.received, (name, delivery)
        assert SECRET not in json.dumps(delivery)
        found[name] = [code for code, _ in attempts(delivery)]
    # A later attempt may have another password or certificate.
    assert found == {
        "unknown": ["tls", "tls"],
        "unknown-at-once": ["tls", "tls"],
        "no-starttls": ["tls", "tls"],
        "wrong-password": ["status", "status"],
        "nobody": ["status", "status"],
    }
    assert SECRET not in host.log.read_text()


def test_a_repeated_mail_is_the_same(notifying_host, mail_server):
    server = mail_server(answers=["451 try again", "421 busy"])
    never = mail_server(answers=["554 no"])
    again = {"starttls": False, "retry_schedule": ["1ms", "1ms", "1ms"]}
    host = notifying_host({"again": by_mail(server, **again), "never": by_mail(never, **again)})
    host.post_alert("a")
    delivery = host.delivery("again")
    assert delivery["status"] == "delivered"
    assert [code for code, _ in attempts(delivery)] == ["status", "status", None]
    assert len(server.mails()) == 3 and len({mail["message-id"] for mail in server.mails()}) == 1
    assert attempts(host.delivery("never")) == [("status", "status: the mail server: permanent error (554): no")]
    assert len(never.received) == 1


def test_payloads_cannot_add_mail_headers(notifying_host, mail_server):
    server = mail_server()
    to = by_mail(server, starttls=False) | {"to": ["Ännä <ann@own.example>", "bob@own.example"]}
    step = {
        "to": "mail",
        "subject": "{{object.title}} / {{object.description}}",
        "template": "{{object.title}}\n{{object.description}}",
    }
    host = notifying_host({"mail": to}, [notification("incident_created", step)])
    host.post_alert("a", title=HOSTILE, description=HOSTILE + BREAKS)
    assert host.delivery("mail")["status"] == "delivered"
    (mail,), (envelope,) = server.mails(), server.received
    assert envelope.mail_from == "soc@own.example" and envelope.rcpt_tos == ["ann@own.example", "bob@own.example"]
    assert mail.keys().count("Subject") == mail.keys().count("From") == 1 and "bcc" not in mail
    assert [address.display_name for address in mail["to"].addresses] == ["Ännä", ""]
    title = host.get("/api/incidents")["data"][0]["title"]
    assert mail["subject"].startswith(title) and "Bcc: x@y.example" in mail["subject"]
    assert mail.get_content().splitlines() == [title, HOSTILE, "Bcc: x@y.example", "", "an own body"]
    assert not mail.defects and mail["date"].datetime and all(len(line) < 999 for line in envelope.content.splitlines())


def rendered(markdown):
    """Returns the visible text, the links, and the names of all elements."""
    html = MarkdownIt("commonmark", {"linkify": False}).enable(["strikethrough", "table"]).render(markdown)
    elements = set(re.findall(r"<(\w+)", html))
    text = re.sub(r"<[^>]*>", "", html)
    for entity, character in {"&lt;": "<", "&gt;": ">", "&quot;": '"', "&amp;": "&"}.items():
        text = text.replace(entity, character)
    return text.strip(), re.findall(r'href="([^"]*)"', html), elements


def test_chats_show_a_payload_as_text(notifying_host, receiver):
    chat = receiver()
    names = ("slack", "mattermost", "teams")
    host = notifying_host({name: destination(f"{chat.url}/{name}-{SECRET}", type=name) for name in names})
    answer = host.post_alert("a", title=HOSTILE)
    title = host.get("/api/incidents")["data"][0]["title"]
    number, link = answer["incident_number"], f"{PUBLIC_URL}/api/incidents/{answer['incident_number']}"
    said = f"{number} Medium: {title} (lab, new)"
    posts = {}
    for name in names:
        assert host.delivery(name)["status"] == "delivered"
        (request,) = chat.until(1, lambda request: name in request.path)
        assert request.method == "POST" and request.headers["content-type"] == "application/json"
        posts[name] = request.json()

    text = posts["slack"]["text"]
    for block in posts["slack"]["blocks"]:
        Block.parse(block).validate_json()
        assert block["text"]["verbatim"] is True, "otherwise Slack converts addresses and names into links and mentions"
    assert "".join(block["text"]["text"] for block in posts["slack"]["blocks"]) == text
    # Slack's links and mentions are in angle brackets; the remaining formatting is harmless.
    assert re.findall("<[^>]*>", text) == [f"<{link}|{number}>"]
    shown = text.replace(f"<{link}|{number}>", number)
    for entity, character in {"&lt;": "<", "&gt;": ">", "&amp;": "&"}.items():
        shown = shown.replace(entity, character)
    assert shown == said

    (attachment,) = posts["teams"].pop("attachments")
    assert posts["teams"] == {"type": "message"}
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = attachment["content"]
    assert card["version"] == "1.4" and npm("problems", card=card) == []
    assert npm("problems", card=card | {"body": [{"type": "Text"}]}), "the check must detect the mistake"
    assert [action["url"] for action in card["actions"]] == [link]
    assert posts["mattermost"].keys() == {"text"}
    for markdown in (posts["mattermost"]["text"], card["body"][0]["text"]):
        shown, links, elements = rendered(markdown)
        assert shown.replace("\u200b", "") == said and links == [link] and elements == {"p", "a"}
        # Mentions and bare links are recognised outside of Markdown.
        assert not re.search(r"@\w|https?://evil|www\.evil", markdown), markdown
    assert SECRET not in host.log.read_text()


def test_long_text_is_cut_for_chats(notifying_host, receiver):
    chat = receiver()
    names = ("slack", "mattermost", "teams")
    steps = [{"to": name, "template": "{{object.description}}"} for name in names]
    host = notifying_host(
        {name: destination(f"{chat.url}/{name}", type=name) for name in names},
        [notification("incident_created", *steps)],
    )
    host.post_alert("a", description="<ä> _b_ word\n" * 6_000)
    posts = {name: chat.until(1, lambda request: request.path.endswith(name))[0] for name in names}
    slack = posts["slack"].json()
    assert len(slack["text"]) <= 40_000 and len(slack["blocks"]) <= 50
    for block in slack["blocks"]:
        Block.parse(block).validate_json()
    assert len(posts["mattermost"].json()["text"]) <= 16_383
    assert len(posts["teams"].body) <= 28 * 1024
    assert npm("problems", card=posts["teams"].json()["attachments"][0]["content"]) == []


def fits(kind, value):
    """Returns whether a value fits a type of thehive4py."""
    if is_typeddict(kind):
        hints = get_type_hints(kind)
        is_whole = kind.__required_keys__ <= value.keys() <= hints.keys()
        return is_whole and all(fits(hints[name], one) for name, one in value.items())
    if get_origin(kind) is Union:
        return any(fits(one, value) for one in get_args(kind))
    if get_origin(kind) is list:
        return type(value) is list and all(fits(get_args(kind)[0], one) for one in value)
    return type(value) is kind


class TheHive:
    """A test double of TheHive 5: required fields, length limits, and existing objects."""

    LIMITS = {"type": 32, "source": 32, "sourceRef": 128, "title": 512, "description": 1_048_576, "externalLink": 4096}

    def __init__(self):
        self.alerts, self.token = {}, SECRET

    def refusal(self, kind, value):
        """Returns why TheHive would refuse a value, or None."""
        if not fits(kind, value):
            return f"no {kind.__name__}: {value}"
        for name, limit in self.LIMITS.items():
            if name in value and not 1 <= len(value[name]) <= limit:
                return f"{name} has {len(value[name])} characters"
        for name, most in {"severity": 4, "tlp": 4, "pap": 3}.items():
            if name in value and not (name == "severity") <= value[name] <= most:
                return f"{name} is {value[name]}"
        tags = value.get("tags", [])
        if len(set(tags)) != len(tags) or not all(1 <= len(tag) <= 128 for tag in tags):
            return "tags"
        observables = value.get("observables", [])
        if len({(one["dataType"], one["data"]) for one in observables}) != len(observables):
            return "observable already exists"
        return next(filter(None, (self.refusal(InputObservable, one) for one in observables)), None)

    def __call__(self, request):
        if request.headers.get("authorization") != f"Bearer {self.token}":
            return 401, {"type": "AuthenticationError", "message": "Authentication failure"}
        path = request.path.removeprefix("/hive/api/v1/")
        body = request.json()
        match (request.method, *path.split("/")):
            case "POST", "alert":
                return self.create(body)
            case "POST", "query":
                return 200, self.query(body["query"])
            case "PATCH", "alert", known if known in self.alerts:
                if refusal := self.refusal(InputUpdateAlert, body):
                    return 400, {"type": "BadRequest", "message": refusal}
                self.alerts[known] |= body
                return 204
            case "POST", "alert", known, "observable" if known in self.alerts:
                return self.observe(self.alerts[known], body)
        return 404, {"type": "NotFoundError", "message": f"{request.method} {request.path}"}

    def create(self, alert):
        if refusal := self.refusal(InputAlert, alert):
            return 400, {"type": "BadRequest", "message": refusal}
        same = ("type", "source", "sourceRef")
        if any(all(known[name] == alert[name] for name in same) for known in self.alerts.values()):
            return 400, {"type": "CreateError", "message": "Alert already exists"}
        known = f"~{4096 + len(self.alerts)}"
        # The largest possible alert: only the beginning of the answer is read.
        self.alerts[known] = {"_id": known, "_type": "Alert", **alert}
        return 201, self.alerts[known]

    def query(self, steps):
        names = [step["_name"] for step in steps]
        assert names == ["listAlert", "filter", "page"], names
        wanted = {one["_eq"]["_field"]: one["_eq"]["_value"] for one in steps[1]["_and"]}
        found = [alert for alert in self.alerts.values() if all(alert.get(name) == wanted[name] for name in wanted)]
        return found[steps[2]["from"] : steps[2]["to"]]

    def observe(self, alert, observable):
        if refusal := self.refusal(InputObservable, observable):
            return 400, {"type": "BadRequest", "message": refusal}
        if any(all(known[name] == observable[name] for name in ("dataType", "data")) for known in alert["observables"]):
            return 400, {"type": "CreateError", "message": "Observable already exists"}
        alert["observables"].append(observable)
        return 201, [{"_id": "~1", **observable}]


@pytest.fixture
def hive(notifying_host, receiver):
    """A TheHive, and a host that sends it every change."""
    hive = TheHive()
    url = receiver(answer=hive).url.replace("/hook", "/hive/")
    to = destination(url, type="thehive", auth={"type": "bearer", "token": SECRET})
    return hive, notifying_host({"hive": to}, [notification("any", "hive")])


def patch(host, answer, **changes):
    return host.call("PATCH", f"/api/incidents/{answer['incident_id']}", json=changes)


def test_an_alert_of_thehive_follows_its_incident(hive):
    hive, host = hive
    posted = host.post_alert("a", title=HOSTILE, severity="critical", ip="192.0.2.1", tags=["x", "y"])
    assert host.over("hive")[0]["status"] == "delivered", host.over("hive")
    (alert,) = hive.alerts.values()
    expected = {"type": "hookmill", "source": "lab", "sourceRef": "a", "severity": 4, "tlp": 2, "pap": 2}
    assert alert | expected == alert and {"x", "y"} <= set(alert["tags"])
    assert alert["title"] == host.get("/api/incidents")["data"][0]["title"]
    assert alert["externalLink"] == f"{PUBLIC_URL}/api/incidents/{posted['incident_number']}"
    assert [(one["dataType"], one["data"]) for one in alert["observables"]] == [("ip", "192.0.2.1")]

    # The first observable exists already.
    host.post_alert("a", title=HOSTILE, severity="critical", ip="192.0.2.1", hostname="ws-1")
    patch(host, posted, severity="low", tlp="red", title="Another")
    patch(host, posted, assignee="ann")
    over = host.over("hive", 4)
    assert [one["status"] for one in over] == ["delivered"] * 4, over
    assert alert | {"severity": 1, "tlp": 4, "title": "Another"} == alert
    assert [(one["dataType"], one["data"]) for one in alert["observables"]] == [
        ("ip", "192.0.2.1"),
        ("hostname", "ws-1"),
    ]

    # The alert is deleted in TheHive; the next change creates it again.
    hive.alerts.clear()
    patch(host, posted, severity="high")
    assert host.over("hive", 5)[-1]["status"] == "delivered"
    (alert,) = hive.alerts.values()
    assert alert | {"severity": 3, "title": "Another", "tlp": 4} == alert and len(alert["observables"]) == 2

    host.call("DELETE", f"/api/incidents/{posted['incident_id']}")
    last = host.over("hive", 6)[-1]
    assert last["operation"] == "Delete" and last["status"] == "delivered" and "alert is kept" in last["error"]
    assert list(hive.alerts.values()) == [alert]
    assert SECRET not in host.log.read_text()


def test_thehive_accepts_long_or_existing_values(hive, notifying_host, receiver):
    hive, host = hive
    # As if the answer to the first attempt were lost.
    hive.create({"type": "hookmill", "source": "lab", "sourceRef": "known", "title": "-", "description": "-"})
    host.post_alert("known", description="d" * 500_000)
    long = host.post_alert("r" * 500, title="ä" * 2_000, tags=["t" * 300, "t" * 301], description="d" * 300_000)
    # An alert whose text is at the beginning of the answer, of which a thousand bytes are kept.
    patch(host, long, title="Now short")
    over = host.over("hive", 3)
    assert [one["status"] for one in over] == ["delivered"] * 3, [attempts(one) for one in over]
    assert len(hive.alerts) == 2 and [alert["title"] for alert in hive.alerts.values()] == ["-", "Now short"]


def test_thehive_with_another_key(hive):
    hive, host = hive
    hive.token = "another"
    host.post_alert("a")
    (delivery,) = host.over("hive")
    assert delivery["status"] == "dead" and attempts(delivery)[0][0] == "status" and SECRET not in json.dumps(delivery)


def test_a_missing_field_is_not_an_existing_alert(notifying_host, receiver):
    refusal = {"type": "BadRequest", "message": "Observable type ip does not exist"}
    thehive = receiver(answer=lambda request: (400, refusal))
    host = notifying_host({"hive": destination(thehive.url, type="thehive")})
    host.post_alert("a", ip="192.0.2.1")
    assert host.delivery("hive")["status"] == "dead", "there is no alert"


def test_any_request_over_http(notifying_host, receiver):
    tickets = receiver()
    template = '{"title": "{{object.title}}", "text": {{json object.description}}, "tags": {{json object.tags}}, '
    template += '"no": {{json object.assignee}}}'
    host = notifying_host({
        "ticket": destination(
            f"{tickets.url}/t/{{{{object.source_ref}}}}?ref={{{{object.source_ref}}}}",
            type="http",
            method="PUT",
            headers={"x-title": "{{object.description}}", "x-team": "soc"},
            body=template,
            auth={"type": "header", "name": "X-Api-Key", "value": SECRET},
        ),
        "asked": destination(f"{tickets.url}/asked", type="http", method="GET"),
        "form": destination(
            f"{tickets.url}/form",
            type="http",
            headers={"content-type": "application/x-www-form-urlencoded"},
            body="title={{object.title}}&text={{object.description}}",
        ),
    })
    reference = "../../admin?x=1#\r\n%2e%2e/ä"
    host.post_alert(reference, title=HOSTILE, description=HOSTILE + BREAKS, tags=['a"b'])
    for name in ("ticket", "asked", "form"):
        assert host.delivery(name)["status"] == "delivered", host.delivery(name)
    incident = host.get("/api/incidents")["data"][0]
    incident = host.get(f"/api/incidents/{incident['id']}")
    (ticket,) = tickets.until(1, lambda request: request.method == "PUT")
    path, _, query = ticket.path.partition("?")
    assert re.fullmatch(r"/hook/t/[A-Za-z0-9._~%-]+", path) and "#" not in ticket.path
    assert urllib.parse.unquote(path.removeprefix("/hook/t/")) == incident["source_ref"]
    assert urllib.parse.parse_qs(query) == {"ref": [incident["source_ref"]]}
    assert ticket.json() == {
        "title": incident["title"],
        "text": incident["description"],
        "tags": incident["tags"],
        "no": None,
    }
    assert ticket.headers["x-team"] == "soc" and ticket.headers["x-api-key"] == SECRET and "bcc" not in ticket.headers
    said = ticket.headers["x-title"].encode("latin-1").decode()
    assert said == re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", incident["description"])
    (asked,) = tickets.until(1, lambda request: request.method == "GET")
    assert asked.body == b"" and "content-type" not in asked.headers
    (form,) = tickets.until(1, lambda request: request.path == "/hook/form")
    assert urllib.parse.parse_qs(form.body.decode()) == {
        "title": [incident["title"]],
        "text": [incident["description"]],
    }


@pytest.mark.parametrize("reference", ["..", "."])
def test_values_cannot_leave_their_path_segment(notifying_host, receiver, reference):
    tickets = receiver()
    host = notifying_host({"ticket": destination(f"{tickets.url}/{{{{object.source_ref}}}}/x", type="http")})
    host.post_alert(reference)
    delivery = host.delivery("ticket")
    assert delivery["status"] == "dead" and attempts(delivery)[0][0] == "request" and not tickets.received


def test_lines_of_a_file(notifying_host, tmp_path):
    raw, said = tmp_path / "raw.jsonl", tmp_path / "said.jsonl"
    raw.write_text('{"whole": 1}\n{"half": ')
    template = '{"t": "{{object.title}}",\n "d": {{json object.description}}}'
    steps = ["raw", {"to": "said", "template": template}]
    destinations = {"raw": {"type": "file", "path": str(raw)}, "said": {"type": "file", "path": str(said)}}
    host = notifying_host(destinations, [notification("incident_created", *steps)])
    for number in range(20):
        host.post_alert(str(number), title=HOSTILE, description=HOSTILE + BREAKS)
    host.over("raw", 20), host.over("said", 20)
    whole, half, *lines = raw.read_text().split("\n")
    assert (whole, half, lines.pop()) == ('{"whole": 1}', '{"half": ', "")
    entries = [json.loads(line) for line in lines]
    assert {entry["object"]["source_ref"] for entry in entries} == {str(number) for number in range(20)}
    assert all(entry["operation"] == "Creation" for entry in entries)
    incident = entries[0]["object"]
    lines = said.read_text().splitlines()
    assert len(lines) == 20 and json.loads(lines[0]) == {"t": incident["title"], "d": incident["description"]}
    assert (said.stat().st_mode & 0o777) == 0o600
    # The file can be rotated.
    raw.rename(tmp_path / "raw.1")
    host.post_alert("next")
    eventually("the new file has a line", lambda: raw.exists() and raw.read_text().endswith("\n"))
    assert json.loads(raw.read_text())["object"]["source_ref"] == "next"


@pytest.mark.parametrize("kind", ["webhook", "http"])
def test_payloads_are_forwarded_unchanged(notifying_host, receiver, kind):
    """A relay without a mapper forwards the bytes."""
    other = receiver()
    host = notifying_host(
        {"other": destination(other.url, type=kind)},
        [notification("event_received", "other")],
        sources={"relay": {"scheme": "none", "plugin": "none"}},
    )
    payloads = {
        b'{"a":  1, "a": 2 }\n': "application/json; charset=utf-8",
        b"\x00\xff<not json>\r\n": "application/x-thing",
        "ä=1".encode(): "text/plain",
    }
    for body, content_type in payloads.items():
        assert host.post("relay", body, {"content-type": content_type}).status_code == 202
    got = {request.body: request.headers["content-type"] for request in other.until(3)}
    assert got == payloads
    assert {one["status"] for one in host.over("other", 3)} == {"delivered"}


def test_operators_are_notified(notifying_host, receiver):
    operators = receiver()
    gone = receiver(answer=lambda request: 410)
    triggers = ("event_quarantined", "destination_disabled", "plugin_refused", "source_silent")
    host = notifying_host(
        {
            "operators": destination(operators.url, type="webhook"),
            "chat": destination(f"{operators.url}/chat", type="mattermost"),
            "gone": destination(gone.url, type="webhook"),
        },
        [
            notification("incident_created", "gone"),
            *(notification(trigger, "operators", "chat") for trigger in triggers),
        ],
        sources={
            "lab": {"scheme": "none", "plugin": "generic"},
            "quiet": {"scheme": "none", "plugin": "generic", "silent_after": "2s"},
        },
    )
    refused = host.post("lab", "no JSON")
    assert refused.status_code == 422
    host.post_alert("a")
    garbage = b"no plugin at all"
    (host.folder / "plugins" / "garbage.wasm").write_bytes(garbage)
    said = [request.json() for request in operators.until(4, lambda request: request.path == "/hook")]

    (quarantined,) = (one["event"] for one in said if "event" in one)
    assert quarantined["id"] == refused.json()["error"]["event_id"] and quarantined["source"] == "lab"
    assert quarantined["error"]["code"] == "malformed" and "no JSON" not in json.dumps(quarantined)
    others = {one["object"]["name"]: one["object"] for one in said if "object" in one}
    assert others.keys() == {"gone", "garbage", "quiet"}
    assert "410" in others["gone"]["reason"]
    assert others["garbage"]["sha256"] == hashlib.sha256(garbage).hexdigest() and others["garbage"]["error"]
    assert others["quiet"]["last_event_at"] is None and others["quiet"]["silent_after"]

    texts = [request.json()["text"] for request in operators.until(4, lambda request: request.path == "/hook/chat")]
    for words in ("could not be mapped", "gone is disabled", "Plugin garbage was refused", "quiet is silent"):
        assert sum(words in text for text in texts) == 1, (words, texts)
    # The source sends and is silent again: one notification for each silence.
    assert host.post("quiet", '{"event_type": "x", "data": {"alert_id": "q"}}').status_code == 202
    again = operators.until(5, lambda request: request.path == "/hook")[-1].json()
    assert again["object"]["name"] == "quiet" and again["object"]["last_event_at"]


def test_a_source_with_unmappable_payloads_is_not_silent(notifying_host, receiver):
    operators = receiver()
    quiet = {"scheme": "none", "plugin": "generic", "silent_after": "6s"}
    host = notifying_host(
        {"operators": destination(operators.url, type="webhook")},
        [notification("source_silent", "operators")],
        sources={"quiet": quiet, "nonsense": quiet | {"silent_after": "4s"}},
    )

    def notified():
        assert host.post("nonsense", f"no JSON {time.monotonic_ns()}").status_code == 422
        return operators.received

    (request, *_) = eventually("the silent source is reported", notified)
    assert request.json()["object"]["name"] == "quiet", "events of the other source arrived all the time"


def test_only_matching_changes_are_sent(notifying_host, receiver):
    soc = receiver()
    worth = {
        "_and": [
            {"_gte": {"_field": "object.severity", "_value": "high"}},
            {"_like": {"_field": "object.title", "_value": "*mal*"}},
        ]
    }
    raised = notification("severity_raised", "raised")
    names = ("filtered", "raised", "resolved")
    host = notifying_host(
        {name: destination(f"{soc.url}/{name}", type="http") for name in names},
        [
            notification("incident_created", "filtered", filter=worth),
            raised,
            notification("incident_resolved", "resolved"),
        ],
    )
    low = host.post_alert("low", severity="low", title="malware")
    other = host.post_alert("other", severity="high", title="phishing")
    high = host.post_alert("high", severity="high", title="some malware")
    host.post_alert("critical", severity="critical", title="mal")
    patch(host, low, severity="critical")
    patch(host, high, severity="low")
    patch(host, other, status="resolved")
    incidents = {name: {one["incident_id"] for one in host.over(name, 2 if name == "filtered" else 1)} for name in names}
    assert low["incident_id"] not in incidents["filtered"] and other["incident_id"] not in incidents["filtered"]
    assert high["incident_id"] in incidents["filtered"] and len(incidents["filtered"]) == 2
    assert incidents["raised"] == {low["incident_id"]} and incidents["resolved"] == {other["incident_id"]}
    assert len(soc.received) == 4


def test_dry_run_of_a_notification(notifying_host, receiver, mail_server):
    soc, server = receiver(), mail_server()
    hidden = {"type": "bearer", "token": SECRET}
    high = {"_gte": {"_field": "object.severity", "_value": "high"}}
    host = notifying_host(
        {
            "ticket": destination(f"{soc.url}/{{{{urlencode object.source_ref}}}}", type="http", auth=hidden),
            "chat": destination(f"{soc.url}/chat/{SECRET}", type="slack"),
            "hive": destination(f"{soc.url}", type="thehive", auth=hidden),
            "mail": by_mail(server, starttls=False),
        },
        [notification("incident_created", "ticket", "chat", "hive", "mail", filter=high)],
    )
    number = host.post_alert("a/b", severity="low", title=HOSTILE)["incident_number"]
    command = ("notification", "test", "incident_created", "--incident", number)
    shown = host.cli(*command)
    assert shown.returncode == 0, shown.stderr
    request = f"POST {soc.url}/a%2Fb"
    for words in ("does not match", request, "to chat (slack)", "to hive (thehive)", "&lt;!channel&gt;", "Subject:"):
        assert words in shown.stdout, (words, shown.stdout)
    assert not soc.received and not server.received
    sent = host.cli(*command, "--send", "--json")
    assert sent.returncode == 0, sent.stderr
    steps = {step["to"]: step for step in json.loads(sent.stdout)["steps"]}
    assert {name: step["sent"]["http_status"] for name, step in steps.items()} == {
        "ticket": 204,
        "chat": 204,
        "hive": 204,
        "mail": None,
    }
    assert sorted(request.path for request in soc.received) == sorted([
        "/hook/a%2Fb",
        f"/hook/chat/{SECRET}",
        "/hook/api/v1/alert",
    ])
    assert len(server.received) == 1
    for output in (shown, sent):
        assert SECRET not in output.stdout + output.stderr
    assert host.get("/api/deliveries")["data"] == [], "a dry run must not queue anything"
    assert host.cli("notification", "test", "nobody", "--incident", number).returncode != 0


def test_dry_run_of_a_mail_is_readable(notifying_host, mail_server):
    host = notifying_host({"mail": by_mail(mail_server(), starttls=False)})
    number = host.post_alert("a", title="Schadsoftware in Zürich")["incident_number"]
    shown = host.cli("notification", "test", "all", "--incident", number)
    # Without soft line breaks and encoded words.
    assert "\ufffd" not in shown.stdout, shown.stdout
    assert "Schadsoftware in Zürich" in shown.stdout.partition("Subject:")[2].splitlines()[0]


def test_the_shape_of_standard_webhooks(notifying_host, receiver):
    soc, secret = receiver(), "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
    host = notifying_host(
        {"soc": destination(soc.url, type="webhook", format="standard-webhooks", secret=secret)},
        [notification("any", "soc")],
    )
    answer = host.post_alert("a", title=HOSTILE)
    patch(host, answer, severity="high")
    host.call("DELETE", f"/api/incidents/{answer['incident_id']}")
    requests = soc.until(3)
    webhook = standardwebhooks.Webhook(secret)
    said = [webhook.verify(request.body, request.headers) for request in requests]
    assert [one["type"] for one in said] == ["incident.created", "incident.updated", "incident.deleted"]
    assert all(one.keys() == {"type", "timestamp", "data"} for one in said)
    assert said[1]["data"]["object"]["severity"] == "high" and said[1]["data"]["details"]["severity"] == "high"
    deliveries = host.over("soc", 3)
    assert [request.headers["webhook-id"] for request in requests] == [delivery["id"] for delivery in deliveries]


def test_changes_of_one_incident_follow_each_other(notifying_host, receiver):
    passes = threading.Event()
    soc = receiver(answer=lambda request: 204 if passes.is_set() or object_of(request) != "slow" else 503)
    host = notifying_host(
        {"soc": destination(soc.url, type="webhook", retry_schedule=["100ms", "1s", "1s"])},
        [notification("any", "soc")],
    )
    slow = host.post_alert("slow")
    soc.until(1)
    patch(host, slow, severity="high")
    host.post_alert("quick")
    soc.until(1, lambda request: object_of(request) == "quick")
    # The first change of this incident has not arrived yet, so the second has no attempt.
    assert {request.json()["operation"] for request in soc.received if object_of(request) == "slow"} == {"Creation"}
    passes.set()
    soc.until(1, lambda request: request.json()["operation"] == "Update")
    operations = [request.json()["operation"] for request in soc.received if object_of(request) == "slow"]
    assert operations == sorted(operations) and operations.count("Update") == 1 and operations.count("Creation") >= 2
    assert {one["status"] for one in host.over("soc", 3)} == {"delivered"}


def object_of(request: Request):
    return request.json()["object"]["source_ref"]
