"""Write Hookmill mappers in Python.

A mapper is a module `mapper` with a class `Mapper` that has `describe` and `to_incidents`. The records are those of
wit/plugin.wit; `stubs/` is generated from it, so that editors know every field. A build brings its own copy of the
stubs: nothing here is imported from them. Import whatever you need at the top of the module: an instance has no files.
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

# The host's limits, wit/plugin.wit.
TITLE_BYTES_MAX = 512
TAG_BYTES_MAX = 128
# Python's JSON parser recurses, and a stack that overflows ends the instance without a word.
NESTING_MAX = 200
AS_SQUARE = bytes.maketrans(b"{}", b"[]")
NEITHER_BRACKET_NOR_QUOTE = bytes(set(range(256)) - set(b'[]{}"'))

Key = Union[str, int]


def malformed(why: str) -> Err[MappingError]:
    """`raise malformed("…")`: the payload is not what its kind promises, such as broken JSON or without its id."""
    return Err(types.MappingError_Malformed(why))


def unsupported(why: str) -> Err[MappingError]:
    """`raise unsupported("…")`: the payload is of a kind that this mapper does not know; say what was expected."""
    return Err(types.MappingError_Unsupported(why))


def read_json(body: Union[bytes, str], expected: str) -> Any:
    """The body as JSON; `expected` names, in the error, what this mapper takes. A byte order mark is passed over."""
    try:
        document = body.encode() if isinstance(body, str) else body.removeprefix(b"\xef\xbb\xbf")
        if _is_deep(document):
            raise ValueError(f"nested more than {NESTING_MAX} deep")
        return json.loads(document.decode())
    except ValueError as error:
        raise malformed(f"not JSON: {error}; expected {expected}") from None


def at(value: Any, *path: Key) -> Any:
    """What stands at a path of names and indexes, or None where there is none: no payload's shape makes it raise."""
    for key in path:
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and isinstance(key, int) and key < len(value):
            value = value[key]
        else:
            return None
    return value


def text(value: Any, *path: Key) -> Optional[str]:
    """The scalar at a path as text: a string, a number or a boolean, trimmed; of a list its first element.

    What vendors write for "nothing" is None: null, blanks, `-`, `N/A` and `null` as text, objects."""
    found = at(value, *path)
    if isinstance(found, list) and found:
        found = found[0]
    if isinstance(found, bool):
        return "true" if found else "false"
    if not isinstance(found, (str, int, float)):
        return None
    # Half of a surrogate pair, which JSON can write, is no text that could cross the boundary.
    trimmed = str(found).encode("utf-8", "replace").decode().strip()
    return None if trimmed.lower() in ("", "-", "n/a", "null") else trimmed


def items(value: Any, *path: Key) -> List[Any]:
    """The list at a path; nothing is an empty one, a single thing a list of it."""
    found = at(value, *path)
    if isinstance(found, list):
        return found
    return [] if found is None or found == "" else [found]


def setting(event: Event, name: str) -> Optional[str]:
    """The first setting of the source with this name."""
    return next((known.value for known in event.settings if known.name == name), None)


def severity(word: Optional[str]) -> Optional[Severity]:
    """Reads the words that vendors use for the five steps, without case."""
    steps = {
        Severity.INFORMATIONAL: ("informational", "information", "info", "debug", "notice"),
        Severity.LOW: ("low", "minor"),
        Severity.MEDIUM: ("medium", "moderate", "warning", "warn"),
        Severity.HIGH: ("high", "error", "major", "severe"),
        Severity.CRITICAL: ("critical", "crit", "emergency", "fatal"),
    }
    return next((step for step, words in steps.items() if (word or "").lower() in words), None)


def timestamp(time: Optional[str]) -> Optional[str]:
    """A vendor's time as the host reads it, or None where it says nothing, as a time that the host refuses would cost
    the whole event: a space between date and time becomes `T`, a missing zone `Z`, an offset gets its colon."""
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
    """What most mappers return: these incidents, with nothing skipped and no problem."""
    return Outcome(list(incidents), [], [])


def skip(reason: str) -> Outcome:
    """Nothing in the payload makes an incident, and why."""
    return Outcome([], [reason], [])


@dataclass
class Incident(types.Incident):
    """What a payload says of one incident, by the vendor's own stable id; what is left out leaves what is stored."""

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
        self.title = _cut(self.title, TITLE_BYTES_MAX) or None

    def observe(self, data_type: str, value: Optional[str], message: Optional[str] = None) -> Optional[Observable]:
        """Adds an observable once, and returns it. One that says nothing is passed over: None, an `ip` that is none or
        is loopback, link-local, multicast or unspecified, a `hash` that is none or all zeros. Hashes become
        lower-case."""
        if value is None or (data_type == "ip" and not _is_telling_ip(value)):
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
        """Adds a tag once, cut to what the host takes."""
        short = _cut(tag, TAG_BYTES_MAX)
        if short and short not in self.tags:
            self.tags.append(short)

    def attack(self, words: Optional[str], tactic: Optional[str] = None) -> None:
        """Adds every ATT&CK id in a text once: `T1059`, `T1059.001`, `TA0002`. Vendors' own ids are passed over."""
        for found in re.findall(r"\b(?:TA[0-9]{4}|T[0-9]{4}(?:\.[0-9]{3})?)\b(?!\.[0-9])", words or ""):
            if all(known.id != found for known in self.techniques):
                self.techniques.append(Technique(found, tactic))

    def detail(self, name: str, value: Any) -> None:
        """Keeps a vendor's value of any shape. None and what is empty are passed over."""
        if value not in (None, "", [], {}):
            self.details.append(Field(name, json.dumps(value, separators=(",", ":"))))


def _is_deep(body: bytes) -> bool:
    """Whether a JSON text nests deeper than NESTING_MAX. Every step is one of C's loops: a megabyte takes
    milliseconds."""
    unescaped = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    # Only brackets and quotes stay, and of those only where a string has brackets in it.
    brackets = unescaped.translate(AS_SQUARE, NEITHER_BRACKET_NOR_QUOTE).replace(b'""', b"")
    brackets = re.sub(rb'"[^"]*"', b"", brackets)
    for _ in range(NESTING_MAX):
        if len(brackets) <= NESTING_MAX or b"[" * NESTING_MAX in brackets:
            break
        # The innermost ones go.
        brackets = brackets.replace(b"[]", b"")
    return len(brackets) > NESTING_MAX


def _is_telling_ip(value: str) -> bool:
    """The cloud's metadata address is link-local and telling: it matters who asks it."""
    try:
        ip = ipaddress.ip_address(value)
    except ValueError:
        return False
    ip = getattr(ip, "ipv4_mapped", None) or ip
    telling_link = str(ip) == "169.254.169.254" or not ip.is_link_local
    return telling_link and not (ip.is_unspecified or ip.is_loopback or ip.is_multicast or str(ip) == "255.255.255.255")


def _cut(value: Optional[str], bytes_max: int) -> str:
    """The longest beginning with at most so many bytes of UTF-8 that ends between two characters."""
    return (value or "").strip().encode("utf-8", "replace")[:bytes_max].decode("utf-8", "ignore")
