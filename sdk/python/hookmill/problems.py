"""The problems of one call: parts of a payload that are wrong and were left out."""

from typing import Dict, List

# The most problems that one payload reports one by one.
PROBLEMS_MAX = 50
EXCERPT_CHARS_MAX = 60

# In the order in which they were reported.
_noted: Dict[str, None] = {}


def problem(text: str) -> None:
    """Reports a part of the payload that could not be mapped. The host stores the event as `partial`."""
    _noted[text] = None


def take_problems() -> List[str]:
    """Returns the problems that were noted since the last call, and forgets them."""
    taken = list(_noted)
    _noted.clear()
    return taken


def bounded(problems: List[str]) -> List[str]:
    """Returns the first problems and the number of the others."""
    if len(problems) <= PROBLEMS_MAX:
        return problems
    return [*problems[:PROBLEMS_MAX], f"{len(problems) - PROBLEMS_MAX} further problems"]


def excerpt(text: str) -> str:
    """Returns the beginning of a text, for a problem."""
    return text if len(text) <= EXCERPT_CHARS_MAX else text[:EXCERPT_CHARS_MAX] + "…"
