"""Vendors' times in a form that the host accepts."""

import calendar
import re
from typing import Dict, Optional

from .problems import excerpt, problem
from .values import present

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_CLOCK = r"(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d+))?)?"
_HALF = r"(?: ?(?P<half>[ap])\.?m\.?)"
_ZONE = r"(?: ?\(?(?P<zone>z|utc|gmt|[+-]\d\d(?::?\d\d)?)\)?)?"
_DAY_NAME = r"(?:[a-z]{3,9},? +)?"
_MONTH_NAME = r"(?P<month>[a-z]{3,9})\.?"
_SPELLINGS = [
    re.compile(spelling, re.IGNORECASE | re.ASCII)
    for spelling in (
        # 2026-01-15T12:00:00.5Z and 2026/01/15 12:00
        rf"(?P<year>\d{{4}})[-/](?P<month>\d\d)[-/](?P<day>\d\d)(?:[t ] *{_CLOCK}{_ZONE})?",
        # 20260115T120000Z
        r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)t(?P<hour>\d\d)(?P<minute>\d\d)(?P<second>\d\d)"
        rf"(?:\.(?P<fraction>\d+))?{_ZONE}",
        # Thu, 15 Jan 2026 12:00:00 +0000 and 15/Jan/2026:12:00:00 +0000
        rf"{_DAY_NAME}(?P<day>\d{{1,2}})[ /-]{_MONTH_NAME}[ /-](?P<year>\d{{4}})[:,]? *{_CLOCK}{_HALF}?{_ZONE}",
        # Jan 15, 2026 12:00:00 PM
        rf"{_DAY_NAME}{_MONTH_NAME} +(?P<day>\d{{1,2}}),? +(?P<year>\d{{4}}),? +(?:at +)?{_CLOCK}{_HALF}?{_ZONE}",
        # Thu Jan 15 12:00:00 UTC 2026
        rf"{_DAY_NAME}{_MONTH_NAME} +(?P<day>\d{{1,2}}) +{_CLOCK}{_ZONE} +(?P<year>\d{{4}})",
        # 1/15/2026 12:00:00 PM, which is American because of the last word
        rf"(?P<month>\d{{1,2}})/(?P<day>\d{{1,2}})/(?P<year>\d{{4}}),? +{_CLOCK}{_HALF}{_ZONE}",
    )
]
_NEVER = "never"
_FILETIME_NEVER = "9223372036854775807"
# The last times and their conversions: mappers, and the checks of their results, read the same ones several times.
_known: Dict[str, str] = {}
KNOWN_MAX = 16


def timestamp(time: Optional[str]) -> Optional[str]:
    """Converts a vendor's time to a form that the host accepts: a number of seconds, milliseconds, microseconds,
    nanoseconds or FILETIME, or RFC 3339. Reads the usual spellings of dates; a missing offset is UTC.

    Returns None for absent text and for times that stand for "never": zero, the first days of the years 1, 1601, 1900
    and 1970, and the last day of 9999. Any other text that is not a time between 1970 and 9999, such as one with an impossible day, is also reported
    as a problem."""
    trimmed = present(time)
    if trimmed in _known:
        return _known[trimmed]
    if trimmed is None or not trimmed.strip("0.") or trimmed == _FILETIME_NEVER:
        return None
    is_number = re.fullmatch(r"[0-9.]+(?:e\+?[0-9]+)?", trimmed, re.IGNORECASE)
    converted = _count(trimmed) if is_number else _date(trimmed)
    if converted is None:
        problem(f"`{excerpt(trimmed)}` is not a time; it is left out")
    if converted is None or converted == _NEVER:
        return None
    if len(_known) > KNOWN_MAX:
        _known.clear()
    _known[trimmed] = _known[converted] = converted
    return converted


def _count(text: str) -> Optional[str]:
    """Returns a number that the host reads as a time between 1970 and 9999."""
    parts = re.fullmatch(r"([0-9]{1,19})(\.[0-9]+)?", text)
    if parts is None and re.fullmatch(r"[0-9](\.[0-9]+)?e\+?[0-9]{1,2}", text, re.IGNORECASE):
        parts = re.fullmatch(r"([0-9]{1,19})(\.[0-9]+)?", f"{float(text):f}".rstrip("0").rstrip("."))
    if parts is None:
        return None
    number = int(parts[1])
    # FILETIME begins with the year 1601; the host reads numbers of this size as FILETIME.
    if 10**17 <= number < 116_444_736_000_000_000:
        return None
    # Only seconds may have a fraction.
    return parts[1] + ((parts[2] or "") if number < 10**11 else "")


def _date(text: str) -> Optional[str]:
    """Returns RFC 3339, or `never` for a date that stands for it."""
    parts = next((found.groupdict() for spelling in _SPELLINGS if (found := spelling.fullmatch(text))), None)
    if parts is None:
        return None
    year, month, day = int(parts["year"]), _month(parts["month"]), int(parts["day"])
    hour, minute, second = (int(parts[name] or 0) for name in ("hour", "minute", "second"))
    if half := parts.get("half"):
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half.lower() == "p" else 0)
    if year in (0, 1, 1601, 1900) and month <= 1 and day <= 1:
        return _NEVER
    if year < 1970 or not 1 <= month <= 12 or not 1 <= day <= calendar.monthrange(year, month)[1]:
        return None
    if hour > 23 or minute > 59 or second > 60:
        return None
    date = f"{year:04}-{month:02}-{day:02}"
    if date in ("1970-01-01", "9999-12-31"):
        return _NEVER
    # The host's last time is 22 hours before the end of this day.
    if date >= "9999-12-30":
        return None
    offset = _offset(parts["zone"] or "z")
    fraction = f".{parts['fraction']}" if parts.get("fraction") else ""
    return f"{date}T{hour:02}:{minute:02}:{min(second, 59):02}{fraction}{offset}" if offset else None


def _month(text: str) -> int:
    """Returns the number of a month, or 0."""
    if text.isdigit():
        return int(text)
    name = text[:3].lower()
    return _MONTHS.index(name) + 1 if name in _MONTHS else 0


def _offset(zone: str) -> Optional[str]:
    if zone[0] not in "+-":
        return "Z"
    hours, minutes = zone[1:3], zone[3:].lstrip(":") or "00"
    return f"{zone[0]}{hours}:{minutes}" if int(hours) < 24 and int(minutes) < 60 else None
