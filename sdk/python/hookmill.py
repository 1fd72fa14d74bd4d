"""Write Hookmill mappers in Python.

A mapper is a module `mapper` with a class `Mapper`:

    class Mapper(hookmill.Mapper):
        def describe(self) -> Description:
            return Description("Acme EDR", "0.1.0", "Alerts of Acme's endpoint agent", scheme=None)

        def to_incidents(self, event: Event) -> Outcome:
            alert = read_json(event.body, "an Acme alert with `alert_id`")
            alert_id = text(alert, "alert_id")
            if alert_id is None:
                raise unsupported("expected an Acme alert with `alert_id`")
            return outcome(Incident(alert_id, title=text(alert, "name")))

Import modules at the top: an instance has no files.

Types: those of wit/plugin.wit, which documents every field. `stubs/` is generated from it, for editors and type checkers
only; a build uses its own copy. `Event` is one payload, with `body` as bytes and `received_at` in milliseconds since the
Unix epoch. `Incident` is the observation of one incident; None leaves the stored value unchanged. `Outcome` contains the
incidents of one payload with the reasons for parts that are not incidents (`skipped`) or could not be mapped (`problems`).
Times in an incident are text: RFC 3339 or a number, see `timestamp`.

Errors: raise `unsupported` for payloads of another kind: if the source has several mappers, the host calls the next one.
Raise `malformed` for broken payloads of the right kind. The sender sees the text. After either error, and after any other
exception, the host keeps the event in quarantine.
"""

import ipaddress
import json
import re
from dataclasses import dataclass, field
from typing import Any, List, Optional, Union

from componentize_py_types import Err
from wit_world.exports import Mapper
from wit_world.imports import log
from wit_world.imports import types
from wit_world.imports.types import (
    Description, Event, Field, MappingError, Observable, Outcome, Severity, State, Technique, Tlp,
)

__all__ = [
    "Description", "Event", "Field", "Incident", "Mapper", "Observable", "Outcome", "Severity", "State", "Technique",
    "Tlp", "at", "items", "log", "malformed", "outcome", "read_json", "setting", "severity", "skip", "text",
    "timestamp", "unsupported",
]

# The host's limits, see wit/plugin.wit.
TITLE_BYTES_MAX = 512
TAG_BYTES_MAX = 128
# Python's JSON parser recurses; a stack overflow would end the instance without an error text.
NESTING_MAX = 200
AS_SQUARE = bytes.maketrans(b"{}", b"[]")
NEITHER_BRACKET_NOR_QUOTE = bytes(set(range(256)) - set(b'[]{}"'))

Key = Union[str, int]


def malformed(reason: str) -> Err[MappingError]:
    """Returns the error for a broken payload of a known kind, such as invalid JSON: `raise malformed("…")`."""
    return Err(types.MappingError_Malformed(reason))


def unsupported(reason: str) -> Err[MappingError]:
    """Returns the error for a payload of an unknown kind: `raise unsupported("expected …")`."""
    return Err(types.MappingError_Unsupported(reason))


def read_json(body: Union[bytes, str], expected: str) -> Any:
    """Parses the body as JSON and ignores a byte order mark. `expected` names the expected payload in the error text.

    Raises an error from `malformed` if the body is not JSON."""
    try:
        document = body.encode() if isinstance(body, str) else body.removeprefix(b"\xef\xbb\xbf")
        if _is_deep(document):
            raise ValueError(f"nested more than {NESTING_MAX} deep")
        return json.loads(document.decode())
    except ValueError as error:
        raise malformed(f"not JSON: {error}; expected {expected}") from None


def at(value: Any, *path: Key) -> Any:
    """Returns the value at a path of names and indexes, or None. Never raises, whatever the shape of the payload."""
    for key in path:
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and isinstance(key, int) and key < len(value):
            value = value[key]
        else:
            return None
    return value


def text(value: Any, *path: Key) -> Optional[str]:
    """Returns the scalar at a path as trimmed text: a string, a number, a boolean, or the first element of a list.

    Returns None for absent values: null, blank text, the texts `-`, `N/A` and `null`, and objects."""
    found = at(value, *path)
    if isinstance(found, list) and found:
        found = found[0]
    if isinstance(found, bool):
        return "true" if found else "false"
    if not isinstance(found, (str, int, float)):
        return None
    # JSON can contain half of a surrogate pair, which the component model does not accept in text.
    trimmed = str(found).encode("utf-8", "replace").decode().strip()
    return None if trimmed.lower() in ("", "-", "n/a", "null") else trimmed


def items(value: Any, *path: Key) -> List[Any]:
    """Returns the list at a path. An absent value is an empty list; a single value is a list with one element."""
    found = at(value, *path)
    if isinstance(found, list):
        return found
    return [] if found is None or found == "" else [found]


def setting(event: Event, name: str) -> Optional[str]:
    """Returns the source's first setting with this name."""
    return next((known.value for known in event.settings if known.name == name), None)


def severity(name: Optional[str]) -> Optional[Severity]:
    """Parses vendors' common names of the five severities, ignoring case. Returns None for other text."""
    severities = {
        Severity.INFORMATIONAL: ("informational", "information", "info", "debug", "notice"),
        Severity.LOW: ("low", "minor"),
        Severity.MEDIUM: ("medium", "moderate", "warning", "warn"),
        Severity.HIGH: ("high", "error", "major", "severe"),
        Severity.CRITICAL: ("critical", "crit", "emergency", "fatal"),
    }
    return next((known for known, names in severities.items() if (name or "").lower() in names), None)


def timestamp(time: Optional[str]) -> Optional[str]:
    """Converts a vendor's time to a form that the host accepts: a number, or RFC 3339.

    A space between date and time becomes `T`, a missing offset becomes `Z`, and an offset without a colon gets one.
    Returns None if the text is not a time or is before 1970: the host rejects a whole event for one invalid time."""
    if time is None or not time.strip("0."):
        return None
    if re.fullmatch(r"[0-9]{1,19}(\.[0-9]+)?", time):
        return time
    date, clock = "([0-9]{4}-[0-9]{2}-[0-9]{2})", "([0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.][0-9]+)?)"
    zone = "[+-][0-9]{2}:?[0-9]{2}"
    parts = re.fullmatch(f"{date}[Tt ]{clock} ?(Z|z|UTC|{zone})?", time)
    if parts is None or parts[1] < "1970" or parts[1] + parts[2][:8] == "1970-01-0100:00:00":
        return None
    zone = parts[3] or "Z"
    zone = zone[:3] + ":" + zone[-2:] if zone[0] in "+-" else "Z"
    return f"{parts[1]}T{parts[2]}{zone}"


def outcome(*incidents: "Incident") -> Outcome:
    """Returns an outcome with these incidents, without skipped parts and problems."""
    return Outcome(list(incidents), [], [])


def skip(reason: str) -> Outcome:
    """Returns an outcome without incidents, with the reason why the payload is not an incident."""
    return Outcome([], [reason], [])


@dataclass
class Incident(types.Incident):
    """The observation of one incident, with the vendor's own stable id. None leaves the stored value unchanged.

    The title is truncated to the host's limit of 512 bytes."""

    source_ref: str
    title: Optional[str] = None
    description: Optional[str] = None
    category: Optional[str] = None
    severity: Optional[Severity] = None
    vendor_severity: Optional[str] = None
    state: Optional[State] = None
    tlp: Optional[Tlp] = None
    occurred_at: Optional[str] = None
    changed_at: Optional[str] = None
    external_link: Optional[str] = None
    tags: List[str] = field(default_factory=list)
    observables: List[Observable] = field(default_factory=list)
    techniques: List[Technique] = field(default_factory=list)
    details: List[Field] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.title = _truncate(self.title, TITLE_BYTES_MAX) or None

    def observe(self, data_type: str, value: Optional[str], message: Optional[str] = None) -> Optional[Observable]:
        """Adds an observable unless the incident has it, and returns it.

        Returns None and adds nothing if the value is absent or meaningless: an `ip` that is not an address or is
        loopback, link-local, multicast or unspecified; a `hash` that is not a hexadecimal digest or has only zeros.
        Hashes are stored in lower case."""
        if value is None or (data_type == "ip" and not _is_meaningful_ip(value)):
            return None
        if data_type == "hash":
            value = value.lower()
            if not re.fullmatch(r"(?!0+$)[0-9a-f]{32,}", value):
                return None
        for known in self.observables:
            if (known.data_type, known.value) == (data_type, value):
                return known
        observable = Observable(data_type, value, message, [], False)
        self.observables.append(observable)
        return observable

    def tag(self, tag: Optional[str]) -> None:
        """Adds a tag unless the incident has it, truncated to the host's limit of 128 bytes."""
        short = _truncate(tag, TAG_BYTES_MAX)
        if short and short not in self.tags:
            self.tags.append(short)

    def attack(self, text: Optional[str], tactic: Optional[str] = None) -> None:
        """Adds every ATT&CK id in a text once: `T1059`, `T1059.001` or `TA0002`. Other ids are ignored."""
        for found in re.findall(r"\b(?:TA[0-9]{4}|T[0-9]{4}(?:\.[0-9]{3})?)\b(?!\.[0-9])", text or ""):
            if all(known.id != found for known in self.techniques):
                self.techniques.append(Technique(found, tactic))

    def detail(self, name: str, value: Any) -> None:
        """Adds a vendor's field of any type, as JSON. None and empty values are ignored."""
        if value not in (None, "", [], {}):
            self.details.append(Field(name, json.dumps(value, separators=(",", ":"))))


def _is_deep(body: bytes) -> bool:
    """Returns whether a JSON text nests deeper than NESTING_MAX. All steps are loops in C: a megabyte takes
    milliseconds."""
    unescaped = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    # Keep only brackets and quotes, and quotes only around strings that contain brackets.
    brackets = unescaped.translate(AS_SQUARE, NEITHER_BRACKET_NOR_QUOTE).replace(b'""', b"")
    brackets = re.sub(rb'"[^"]*"', b"", brackets)
    for _ in range(NESTING_MAX):
        if len(brackets) <= NESTING_MAX or b"[" * NESTING_MAX in brackets:
            break
        # Remove the innermost pairs.
        brackets = brackets.replace(b"[]", b"")
    return len(brackets) > NESTING_MAX


def _is_meaningful_ip(value: str) -> bool:
    """Returns whether an address is worth recording.

    The cloud's metadata address is link-local but meaningful: requests to it can be an attack."""
    try:
        ip = ipaddress.ip_address(value)
    except ValueError:
        return False
    ip = getattr(ip, "ipv4_mapped", None) or ip
    is_metadata = str(ip) == "169.254.169.254"
    if (ip.is_link_local and not is_metadata) or str(ip) == "255.255.255.255":
        return False
    return not (ip.is_unspecified or ip.is_loopback or ip.is_multicast)


def _truncate(value: Optional[str], bytes_max: int) -> str:
    """Returns the longest prefix with at most `bytes_max` bytes of UTF-8 that ends at a character boundary."""
    return (value or "").strip().encode("utf-8", "replace")[:bytes_max].decode("utf-8", "ignore")
