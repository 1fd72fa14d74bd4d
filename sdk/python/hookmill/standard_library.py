"""Parts of Python's standard library that are loaded on their first use, which fails in an instance: it has no files.

They are imported here, while a plugin is built."""

import importlib
import sys
from typing import List

# `datetime.strptime`, the codecs of `bytes.decode`, and internationalised domain names.
_LAZY = (
    "_strptime",
    "encodings.ascii",
    "encodings.cp1252",
    "encodings.cp437",
    "encodings.idna",
    "encodings.iso8859_15",
    "encodings.latin_1",
    "encodings.punycode",
    "encodings.utf_16",
    "encodings.utf_16_be",
    "encodings.utf_16_le",
    "encodings.utf_32",
    "encodings.utf_8_sig",
)
# Time zones are read from files once and found again as long as they are referenced.
_zones: List[object] = []


def load_lazy_parts() -> None:
    """Imports what the mapper's modules may use later.

    Raises ImportError if the mapper imports `zoneinfo` and the package `tzdata` is not installed."""
    for name in _LAZY:
        importlib.import_module(name)
    "x.example".encode("idna")
    zoneinfo = sys.modules.get("zoneinfo")
    if zoneinfo and not _zones:
        _zones.extend(zoneinfo.ZoneInfo(name) for name in sorted(zoneinfo.available_timezones()))
        if not _zones:
            raise ImportError("zoneinfo has no time zones: add `tzdata` to requirements.txt and install it")
