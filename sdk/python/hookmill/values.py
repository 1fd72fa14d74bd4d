"""Reading a payload of any shape."""

import functools
from typing import Any, List, Optional, Union

from wit_world.imports.types import Event

from .problems import excerpt, problem
from .reading import to_json, unfold, well_formed

Key = Union[str, int]

# The most items of a list that are read: many more than the host takes incidents.
ITEMS_MAX = 10_000
# Texts that stand for an absent value.
ABSENT = frozenset((
    "", "-", "--", "---", "n/a", "<na>", "null", "(null)", "none", "nil", "unknown", "undefined", "not available",
    "notavailable",
))
ABSENT_CHARS_MAX = max(map(len, ABSENT))


def present(text: Optional[str]) -> Optional[str]:
    """Returns a text without surrounding white space; None if it stands for an absent value."""
    if text is None:
        return None
    trimmed = text.strip()
    return None if len(trimmed) <= ABSENT_CHARS_MAX and trimmed.lower() in ABSENT else trimmed


def at(value: Any, *path: Key) -> Any:
    """Returns the value at a path of names and indexes, or None. Never raises, whatever the shape of the payload.

    JSON in a text stands for its object or list. Another value that stands where the path needs an object or a list is
    reported as a problem."""
    for key in path:
        if isinstance(value, dict):
            value = value.get(key)
            continue
        if value is None:
            return None
        if isinstance(value, str):
            value = _unfolded(value)
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and isinstance(key, int):
            value = value[key] if key < len(value) else None
        else:
            _report_unless_absent(value, "an object")
            return None
    return value


def text(value: Any, *path: Key) -> Optional[str]:
    """Returns the scalar at a path as trimmed text: a string, a number, a boolean, or the first element of a list.

    Returns None for absent values: null, blank text, and the texts `-`, `N/A`, `none`, `null`, `unknown` and the like. An
    object is reported as a problem."""
    found = at(value, *path)
    if isinstance(found, str):
        return present(well_formed(found))
    if found is None:
        return None
    if isinstance(found, list) and found:
        found = found[0]
    if isinstance(found, bool):
        return "true" if found else "false"
    if not isinstance(found, (str, int, float)):
        _report_unless_absent(found, "a text or a number")
        return None
    if isinstance(found, float) and found.is_integer() and abs(found) < 1e21:
        # As JavaScript and Rust write it.
        found = int(found)
    return present(well_formed(str(found)))


def items(value: Any, *path: Key) -> List[Any]:
    """Returns the list at a path, also one that is JSON in a text. An absent value is an empty list; a single value is a
    list with one element."""
    found = at(value, *path)
    if isinstance(found, str) and found.lstrip().startswith("["):
        found = _unfolded(found)
    if isinstance(found, list):
        return _first_items(found)
    return [] if found is None or found == "" else [found]


def setting(event: Event, name: str) -> Optional[str]:
    """Returns the source's first setting with this name."""
    return next((known.value for known in event.settings if known.name == name), None)


def _first_items(found: List[Any]) -> List[Any]:
    """Returns the first items of a list, which can have half a million."""
    if len(found) > ITEMS_MAX:
        problem(f"{len(found) - ITEMS_MAX} of {len(found)} items of a list are not read: at most {ITEMS_MAX} are")
    return found[:ITEMS_MAX] if len(found) > ITEMS_MAX else found


@functools.lru_cache(maxsize=1)
def _unfolded(text: str) -> Any:
    """Returns what `unfold` returns, and keeps the last value, because mappers read many members of one object."""
    return unfold(text)


def forget_unfolded() -> None:
    """Forgets the last value of `_unfolded`."""
    _unfolded.cache_clear()


def _report_unless_absent(value: Any, expected: str) -> None:
    if value in (None, [], {}) or (isinstance(value, str) and present(value) is None):
        return
    shown = well_formed(value) if isinstance(value, str) else to_json(value)
    problem(f"`{excerpt(shown)}` stands where {expected} is expected; it is left out")
