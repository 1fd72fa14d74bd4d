"""The observation of one incident."""

import ipaddress
import re
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Collection, List, Optional

from wit_world.imports import types
from wit_world.imports.types import Field, Observable, Severity, State, Technique, Tlp

from .attack import attack_ids, tactic_id, technique_id
from .reading import to_json, well_formed
from .values import present

# The host's limits, see wit/plugin.wit.
TITLE_BYTES_MAX = 512
TAG_BYTES_MAX = 128
# A new one is compared with so many, because a payload can have tens of thousands of each.
OBSERVABLES_COMPARED_MAX = 1000
TAGS_COMPARED_MAX = 200
TECHNIQUES_COMPARED_MAX = 100
# The bounds of `keep`: the number of fields, and the characters of JSON of one value and of all values.
KEPT_MAX = 64
KEPT_CHARS_MAX = 2048
KEPT_TOTAL_CHARS_MAX = 16_384
# Names of fields that can contain secrets, which are not kept.
SECRET = re.compile("password|passwd|secret|token|api_?key|authorization|cookie", re.IGNORECASE)
DIGEST = re.compile("(?!0+$)[0-9a-f]{32,}")
NOT_KEPT = "fields_not_kept"


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

    def observe(self, data_type: str, value: Optional[str], message: Optional[str] = None) -> Optional[Observable]:
        """Adds an observable unless the incident has it, and returns it.

        Returns None and adds nothing if the value is absent or meaningless: an `ip` that is not an address or is
        loopback, link-local, multicast or unspecified; a `hash` that is not a hexadecimal digest or has only zeros.
        Hashes are stored in lower case."""
        value = present(value)
        if value is None or (data_type == "ip" and not _is_meaningful_ip(value)):
            return None
        if data_type == "hash":
            value = value.lower()
            if not DIGEST.fullmatch(value):
                return None
        for known in islice(self.observables, OBSERVABLES_COMPARED_MAX):
            if (known.data_type, known.value) == (data_type, value):
                return known
        observable = Observable(data_type, value, message, [], False)
        self.observables.append(observable)
        return observable

    def tag(self, tag: Optional[str]) -> None:
        """Adds a tag unless it is among the first 200, truncated to the host's limit of 128 bytes."""
        short = truncate(tag, TAG_BYTES_MAX)
        if short and short not in self.tags[:TAGS_COMPARED_MAX]:
            self.tags.append(short)

    def attack(self, text: Optional[str], tactic: Optional[str] = None) -> None:
        """Adds every ATT&CK id in a text once: `T1059`, `T1059.001` or `TA0002`. Other ids are ignored."""
        for found in attack_ids(text):
            if all(known.id != found for known in islice(self.techniques, TECHNIQUES_COMPARED_MAX)):
                self.techniques.append(Technique(found, tactic))

    def attack_named(self, attack_id: Optional[str], name: Optional[str], tactic: Optional[str] = None) -> None:
        """Adds the ATT&CK ids of a technique: those in `attack_id` or, if there is none, the one of `name`. If neither is
        known, adds the id of the tactic, unless the incident has a technique of this tactic."""
        ids = attack_id if attack_ids(attack_id) else technique_id(name)
        if ids:
            self.attack(ids, tactic)
        elif all(known.tactic != tactic for known in self.techniques):
            self.attack(tactic_id(tactic))

    def detail(self, name: str, value: Any) -> None:
        """Adds a vendor's field of any type, as JSON. None and empty values are ignored."""
        if value or value == 0:
            self.details.append(Field(name, to_json(value)))

    def keep(self, value: Any, read: Collection[str], prefix: str = "") -> None:
        """Adds the members of an object that the mapper does not read, so that nothing of a payload is lost without
        notice: all but those in `read`.

        Keeps 64 fields and 16 KiB, and no names that contain `password`, `secret`, `token` and the like; a longer value is
        cut. The detail `fields_not_kept` counts the others."""
        count, total, left = 0, 0, 0
        for name, member in value.items() if isinstance(value, dict) else ():
            if name in read or not (member or member == 0):
                continue
            json = to_json(member)
            size = min(len(json), KEPT_CHARS_MAX)
            if SECRET.search(name) or count == KEPT_MAX or total + size > KEPT_TOTAL_CHARS_MAX:
                left += 1
                continue
            count, total = count + 1, total + size
            short = member if isinstance(member, str) else json
            self.detail(prefix + name, short[:KEPT_CHARS_MAX] + "…" if len(json) > KEPT_CHARS_MAX else member)
        if left:
            left += sum(int(detail.value) for detail in self.details if detail.name == NOT_KEPT)
            self.details = [detail for detail in self.details if detail.name != NOT_KEPT]
            self.detail(NOT_KEPT, left)


def truncate(value: Optional[str], bytes_max: int) -> str:
    """Returns the longest prefix with at most `bytes_max` bytes of UTF-8 that ends at a character boundary."""
    text = well_formed(value or "").strip()
    return text if len(text) * 4 <= bytes_max else text.encode()[:bytes_max].decode("utf-8", "ignore")


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
