"""MITRE ATT&CK: the ids of tactics and techniques, and their names."""

import re
from pathlib import Path
from typing import List, Optional

# The tactics of ATT&CK for Enterprise with their ids.
TACTICS = {
    "reconnaissance": "TA0043",
    "resourcedevelopment": "TA0042",
    "initialaccess": "TA0001",
    "execution": "TA0002",
    "persistence": "TA0003",
    "privilegeescalation": "TA0004",
    "defenseevasion": "TA0005",
    "credentialaccess": "TA0006",
    "discovery": "TA0007",
    "lateralmovement": "TA0008",
    "collection": "TA0009",
    "commandandcontrol": "TA0011",
    "exfiltration": "TA0010",
    "impact": "TA0040",
}
# Read while the plugin is built, because an instance has no files.
_LINES = "\n" + Path(__file__).with_name("techniques.txt").read_text("utf-8")
_IDS = re.compile(r"\b(?:TA[0-9]{4}|T[0-9]{4}(?:\.[0-9]{3})?)\b(?!\.[0-9])")


def tactic_id(name: Optional[str]) -> Optional[str]:
    """Returns the id of a tactic by name, ignoring case and separators: `initial-access`, `InitialAccess` and `Initial
    Access` are `TA0001`. Returns None for other text."""
    return TACTICS.get(_signs(name or ""))


def technique_id(name: Optional[str]) -> Optional[str]:
    """Returns the id of a technique by name, ignoring case and separators: `PowerShell`, `Command and Scripting
    Interpreter: PowerShell` and `power-shell` are `T1059.001`. Returns None for other text and for names that several
    techniques share, such as `Local Account`."""
    key = _signs((name or "").rsplit(": ", 1)[-1])
    found = re.search(f"\n{key} (.*)", _LINES) if key else None
    return found[1] if found else None


def attack_ids(text: Optional[str]) -> List[str]:
    """Returns every ATT&CK id in a text: `T1059`, `T1059.001` or `TA0002`."""
    return _IDS.findall(text or "")


def _signs(name: str) -> str:
    return re.sub("[^a-z0-9]", "", name.lower())
