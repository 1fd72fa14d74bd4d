"""A test double of OpenCTI's platform: its live streams and its GraphQL endpoint, as their readers see them."""

import bisect
import json
import random
import socket
import struct
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from conftest import Request

TOKEN = "a-token-of-the-tests"
EXTENSION = "extension-definition--ea279b3e-5c71-4632-ac08-831c66a786ba"
# The size of one write while more data is ready.
WRITE_BYTES = 64 * 1024
# 2026-01-31T08:00:00Z.
FIRST_MS = 1_769_846_400_000


def stix(number, **fields):
    """Makes a STIX 2.1 object in the platform's format."""
    identity = str(uuid.UUID(int=number, version=4))
    return {
        "id": f"incident--{identity}",
        "spec_version": "2.1",
        "type": "incident",
        "extensions": {EXTENSION: {"id": identity, "type": "Incident", "is_inferred": False}},
        "name": f"Incident {number}",
        **fields,
    }


def chunk(data):
    """Encodes one chunk of a chunked body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def frame(stream_id, topic, data):
    """Encodes one message as a chunk, with the lines in the platform's order."""
    name = b"id: %s\n" % stream_id.encode() if stream_id else b""
    return chunk(b"%sevent: %s\ndata: %s\n\n" % (name, topic.encode(), data))


def text(value):
    """Encodes JSON as the platform does."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def position(stream_id):
    """Returns the sort key of an id."""
    ms, _, number = stream_id.partition("-")
    return int(ms), int(number or 0)


class Gone(Exception):
    """The connection was cut."""


class Connection:
    """The connection to one client, which may be cut after a number of bytes."""

    def __init__(self, handler, cut_after):
        self.handler, self.left = handler, cut_after

    def write(self, data):
        if self.left is not None and len(data) >= self.left:
            self.handler.connection.sendall(data[: self.left])
            self.cut()
        self.left = None if self.left is None else self.left - len(data)
        self.handler.connection.sendall(data)

    def cut(self):
        """Cuts the connection with a reset or an early end."""
        if random.random() < 0.5:
            linger = struct.pack("ii", 1, 0)
            self.handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        raise Gone


class Platform(ThreadingHTTPServer):
    """The platform.

    `publish` appends to the stream, which is kept completely. `cut_after` returns for each connection after how many
    bytes it is cut; `None` for never. `refuse` ends every connection and answers new ones with a status and, like the
    platform, with the reason in the status line instead of a body. The real platform does not send `retry_ms`. `signs`
    are topics of further messages about the connection, which newer platforms send with each heartbeat. `answer`
    returns the answer to a GraphQL query and its variables: a value, a status, or `None` to cut the connection.
    """

    request_queue_size = 128
    daemon_threads = True

    def __init__(self, heartbeat_s=0.2, retry_ms=None, cut_after=lambda: None, signs=(), answer=lambda *_: 404):
        self.heartbeat_s, self.retry_ms, self.signs = heartbeat_s, retry_ms, signs
        self.cut_after, self.answer = cut_after, answer
        self.changed = threading.Condition()
        self.ids, self.messages, self.refusal, self.generation = [], [], None, 0
        self.asked, self.heartbeats = [], 0
        super().__init__(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server_port}"
        self.url = f"http://{self.address}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_):
        """Ignores clients that disconnect."""

    def stop(self):
        self.end_connections()
        self.shutdown()
        self.server_close()

    def publish(self, topic, data, dependencies=(), inner=None, **fields):
        """Appends an event, preceded by its dependencies under the same id. Returns the id."""
        with self.changed:
            stream_id = f"{FIRST_MS + len(self.ids)}-0"
            before = [
                {"data": one, "message": "creates it", "origin": {"referer": "dependencies"}, "version": "4", **fields}
                for one in dependencies
            ]
            event = {
                "version": "4",
                "type": inner or topic,
                "scope": "external",
                "message": f"{topic}s it",
                "origin": {"user_id": "88ec0c6a-13ce-5e39-b486-354fe4a7084f"},
                "data": data,
                "event_id": stream_id,
                **fields,
            }
            if event["type"] == "update":
                patch = {"op": "replace", "path": "/name", "value": data["name"]}
                event["context"] = {"patch": [patch], "reverse_patch": [{**patch, "value": "before"}]}
            messages = [(stream_id, "create", text(one)) for one in before], (stream_id, topic, text(event))
            self.ids.append(position(stream_id))
            self.messages.append(messages)
            self.changed.notify_all()
        return stream_id

    def all(self, listen_delete=True, no_dependencies=False):
        """Returns every message as id, topic and data."""
        return [
            message
            for before, event in self.messages
            if listen_delete or event[1] != "delete"
            for message in [*([] if no_dependencies else before), event]
        ]

    def connections(self, stream="live"):
        """Returns the requests for a stream."""
        return [asked for asked in list(self.asked) if urlsplit(asked.path).path == f"/stream/{stream}"]

    def queries(self):
        """Returns the requests with a query."""
        return [asked for asked in list(self.asked) if asked.path == "/graphql"]

    def end_connections(self):
        """Ends all sessions, as the platform does after a day."""
        with self.changed:
            self.generation += 1
            self.changed.notify_all()

    def refuse(self, status, reason):
        # Set first, so that no client connects in between.
        self.refusal = (status, reason)
        self.end_connections()

    def accept(self):
        self.refusal = None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def ask(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        asked = Request(self.command, self.path, {name.lower(): value for name, value in self.headers.items()}, body)
        self.server.asked.append(asked)
        return asked

    def refuse(self, status, reason=None):
        self.send_response(status, reason)
        self.send_header("content-length", "0")
        self.end_headers()

    def do_POST(self):
        asked = self.ask()
        if urlsplit(asked.path).path != "/graphql":
            return self.refuse(404)
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            return self.refuse(401)
        query = asked.json()
        answer = self.server.answer(query["query"], query.get("variables") or {})
        if answer is None:
            self.close_connection = True
            return None
        if isinstance(answer, int):
            return self.refuse(answer)
        body = text(answer)
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        return None

    def do_GET(self):
        # Read first: a later end of all connections also ends this one.
        generation = self.server.generation
        asked, server = self.ask(), self.server
        url = urlsplit(asked.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path.rpartition("/")[0] != "/stream":
            return self.refuse(404)
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            return self.refuse(401, "You are not authenticated, please check your credentials")
        if refusal := server.refusal:
            return self.refuse(*refusal)
        start = query.get("from") or asked.headers.get("from") or asked.headers.get("last-event-id")
        if (query.get("recover") or asked.headers.get("recover")) and not start:
            return self.refuse(500, "Error in stream: Recovery mode is only possible with a start date.")
        flags = [query.get(name) or asked.headers.get(name) for name in ("listen-delete", "no-dependencies")]
        self.close_connection = True
        try:
            self.stream(generation, start, listen_delete=flags[0] != "false", no_dependencies=flags[1] == "true")
        except (Gone, OSError):
            pass
        return None

    def stream(self, generation, start, listen_delete, no_dependencies):
        server = self.server
        connection = Connection(self, server.cut_after())
        connection.write(
            b"HTTP/1.1 200 OK\r\nconnection: keep-alive\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
            b"cache-control: no-cache, no-transform\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        if server.retry_ms is not None:
            connection.write(chunk(b"retry: %d\n\n" % server.retry_ms))
        ids = [f"{ms}-{number}" for ms, number in (*server.ids[:1], *server.ids[-1:])]
        info = {"firstEventId": ids[0], "lastEventId": ids[-1], "streamSize": len(server.ids)} if ids else {}
        connection.write(frame(None, "connected", text({**info, "connectionId": str(uuid.uuid4())})))
        # After the given id; without one, from now on.
        at = bisect.bisect_right(server.ids, position(start)) if start else len(server.ids)
        last_id, beat = start, time.monotonic() + server.heartbeat_s
        while True:
            with server.changed:
                server.changed.wait_for(
                    lambda at=at: len(server.ids) > at or server.generation != generation,
                    timeout=max(0, beat - time.monotonic()),
                )
                is_over, end = server.generation != generation, len(server.ids)
            if is_over:
                connection.write(b"0\r\n\r\n")
                return
            pieces, size = [], 0
            while at < end and size < WRITE_BYTES:
                before, event = server.messages[at]
                at += 1
                if event[1] == "delete" and not listen_delete:
                    continue
                for message in [event] if no_dependencies else [*before, event]:
                    pieces.append(frame(*message))
                    size += len(pieces[-1])
                    last_id = message[0]
            if pieces:
                connection.write(b"".join(pieces))
            if time.monotonic() >= beat and last_id:
                moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(position(last_id)[0] / 1000))
                connection.write(frame(last_id, "heartbeat", text(f"{moment}.{position(last_id)[0] % 1000:03}Z")))
                for sign in server.signs:
                    connection.write(frame(last_id, sign, text({"deliveries": server.heartbeats})))
                server.heartbeats += 1
            if time.monotonic() >= beat:
                beat = time.monotonic() + server.heartbeat_s
