"""The five severities, from words and from numbers on vendors' scales."""

import re
from typing import Literal, Optional

from wit_world.imports.types import Severity

from .problems import problem

# Vendors' common names.
NAMES = {
    Severity.INFORMATIONAL: ("informational", "information", "info", "informative", "debug", "notice"),
    Severity.LOW: ("low", "minor"),
    Severity.MEDIUM: ("medium", "moderate", "warning", "warn"),
    Severity.HIGH: ("high", "error", "major", "severe"),
    Severity.CRITICAL: ("critical", "crit", "very high", "emergency", "emerg", "fatal"),
}

SEVERITIES = {name: severity for severity, names in NAMES.items() for name in names}
AROUND_NAME = re.compile("^[^a-z]+|[^a-z]+$")
NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")

# The highest number is the most severe one.
Scale = Literal["0-10", "0-100", "1-5", "0-16"]

# The least number of low, medium, high and critical; the greatest number.
SCALES = {
    "0-10": (1, 4, 7, 9, 10),
    "0-100": (20, 40, 60, 80, 100),
    "1-5": (2, 3, 4, 5, 5),
    "0-16": (4, 7, 12, 15, 16),
}


def severity(value: Optional[str], scale: Optional[Scale] = None) -> Optional[Severity]:
    """Parses vendors' common names of the five severities, ignoring case and signs around the name, such as `2 - WARNING`,
    and numbers if a scale is given: `0-10` as of CVSS and GuardDuty, `0-100` as of CrowdStrike, `1-5`, or `0-16` as of Wazuh.

    Returns None for other text. A number outside the scale is also reported as a problem."""
    number_text = (value or "").strip()
    known = SEVERITIES.get(AROUND_NAME.sub("", number_text.lower()))
    if known is not None or scale is None or not NUMBER.fullmatch(number_text):
        return known
    low, medium, high, critical, greatest = SCALES[scale]
    number = float(number_text)
    if number > greatest:
        problem(f"the severity {number_text} is not on the scale {scale}; it is left out")
        return None
    levels = (
        (critical, Severity.CRITICAL),
        (high, Severity.HIGH),
        (medium, Severity.MEDIUM),
        (low, Severity.LOW),
    )
    return next((level for least, level in levels if number >= least), Severity.INFORMATIONAL)
