"""Checks what a mapper returns.

A part of a wrong type is left out and reported as a problem that names its field, because the host would see only that
the instance ended."""

import re
from datetime import datetime
from enum import Enum
from typing import Any, Callable, List, Optional, Tuple, Type, TypeVar

from wit_world.imports import types
from wit_world.imports.types import Description, Field, Observable, Outcome, Severity, State, Technique, Tlp

from .incident import TAG_BYTES_MAX, TITLE_BYTES_MAX, truncate
from .problems import excerpt, problem
from .reading import well_formed
from .times import timestamp

REF_BYTES_MAX = 512
_DATA_TYPE = re.compile("[a-z0-9_-]+")
# The parts that are left out, with their paths inside the value that is being read.
_faults: List[Tuple[str, str]] = []

T = TypeVar("T")
E = TypeVar("E", bound=Enum)
# Returns a part of the right type, or None after recording a fault.
Read = Callable[[Any], Optional[T]]


def checked_description(returned: Any) -> Description:
    """Raises TypeError if a field is not a text."""
    for name in ("name", "version", "summary"):
        value = getattr(returned, name, None)
        if not isinstance(value, str):
            raise TypeError(f"describe() returned `{name}` = {_shown(value)}; expected Description(name, version, summary, scheme)")
    return returned


def checked_outcome(returned: Any) -> Outcome:
    """Raises TypeError if the result is not an outcome at all."""
    incidents = getattr(returned, "incidents", None)
    if not isinstance(incidents, list):
        raise TypeError(f"to_incidents() returned {_shown(returned)}; expected Outcome(incidents, skipped, problems)")
    _faults.clear()
    checked = Outcome(
        _all("incidents", incidents, _incident),
        _all("skipped", getattr(returned, "skipped", None), _text),
        _all("problems", getattr(returned, "problems", None), _text),
    )
    for path, rest in _faults:
        problem(f"the mapper returned `{path}` {rest}")
    return checked


def _shortened(source_ref: str) -> str:
    """Returns an id within the host's limit. A longer one ends with a digest of the whole, so that different ids stay
    different."""
    whole = well_formed(source_ref).strip().encode()
    if len(whole) <= REF_BYTES_MAX:
        return whole.decode()
    problem(f"the id `{excerpt(source_ref)}` has {len(whole)} bytes and is shortened")
    # FNV-1a.
    digest = 0xCBF29CE484222325
    for byte in whole:
        digest = (digest ^ byte) * 0x100000001B3 % 2**64
    return truncate(source_ref, REF_BYTES_MAX - 16) + f"{digest:016x}"


def _incident(given: Any) -> Optional[types.Incident]:
    source_ref = getattr(given, "source_ref", None)
    if isinstance(source_ref, int) and not isinstance(source_ref, bool):
        source_ref = str(source_ref)
    if not isinstance(source_ref, str) or not source_ref:
        return _wrong(".source_ref", source_ref, "the vendor's id")
    return types.Incident(
        source_ref=_shortened(source_ref),
        title=truncate(_member(given, "title", _text), TITLE_BYTES_MAX) or None,
        description=_member(given, "description", _text),
        category=_member(given, "category", _text),
        severity=_member(given, "severity", _SEVERITY),
        vendor_severity=_member(given, "vendor_severity", _text),
        state=_member(given, "state", _STATE),
        tlp=_member(given, "tlp", _TLP),
        occurred_at=_member(given, "occurred_at", _time),
        changed_at=_member(given, "changed_at", _time),
        external_link=_member(given, "external_link", _text),
        tags=_all(".tags", getattr(given, "tags", None), _tag),
        observables=_all(".observables", getattr(given, "observables", None), _observable),
        techniques=_all(".techniques", getattr(given, "techniques", None), _technique),
        details=_all(".details", getattr(given, "details", None), _detail),
    )


def _observable(given: Any) -> Optional[Observable]:
    data_type = getattr(given, "data_type", None)
    if not isinstance(data_type, str) or not _DATA_TYPE.fullmatch(data_type):
        return _wrong(".data_type", data_type, "a type of a-z 0-9 _ -")
    value = _part(".value", given.value, _text)
    message = given.message if isinstance(given.message, str) else None
    tags = _all(".tags", given.tags, _tag)
    return Observable(data_type, value, message and well_formed(message), tags, given.ioc is True) if value else None


def _technique(given: Any) -> Optional[Technique]:
    found = _part(".id", getattr(given, "id", None), _text)
    tactic = getattr(given, "tactic", None)
    return Technique(found, well_formed(tactic) if isinstance(tactic, str) else None) if found else None


def _detail(given: Any) -> Optional[Field]:
    name, value = getattr(given, "name", None), getattr(given, "value", None)
    # There are many details, and most have no fault.
    if isinstance(name, str) and isinstance(value, str):
        return Field(well_formed(name), well_formed(value))
    _part(".name", name, _text)
    _part(".value", value, _text)
    return None


def _tag(value: Any) -> Optional[str]:
    return truncate(_text(value), TAG_BYTES_MAX) or None


def _text(value: Any) -> Optional[str]:
    return well_formed(value) if isinstance(value, str) else _wrong("", value, "text")


def _time(value: Any) -> Optional[str]:
    if isinstance(value, datetime):
        return timestamp(value.isoformat())
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return timestamp(str(value))
    return _wrong("", value, "a time as text")


def _one_of(words: Type[E]) -> Read[E]:
    names = ", ".join(f"{words.__name__}.{word.name}" for word in words)
    return lambda value: value if isinstance(value, words) else _wrong("", value, names)


_SEVERITY, _STATE, _TLP = _one_of(Severity), _one_of(State), _one_of(Tlp)


def _all(path: str, given: Any, read: Read[T]) -> List[T]:
    """Returns the elements of a list without those that `read` leaves out."""
    if given is None:
        return []
    if not isinstance(given, (list, tuple)):
        _wrong(path, given, "a list")
        return []
    known = []
    for index, value in enumerate(given):
        before = len(_faults)
        element = read(value)
        if len(_faults) > before:
            _move_faults(before, f"{path}[{index}]")
        if element is not None:
            known.append(element)
    return known


def _member(given: Any, name: str, read: Read[T]) -> Optional[T]:
    value = getattr(given, name, None)
    return None if value is None else _part(f".{name}", value, read)


def _part(path: str, value: Any, read: Read[T]) -> Optional[T]:
    before = len(_faults)
    known = read(value)
    if len(_faults) > before:
        _move_faults(before, path)
    return known


def _wrong(path: str, value: Any, expected: str) -> None:
    """Records that a part is left out. The path is relative to the value that is being read: most values have no fault."""
    _faults.append((path, f"= {_shown(value)}; expected {expected}; it is left out"))


def _move_faults(before: int, path: str) -> None:
    """Puts a path before those of the faults that were found after the first `before` ones."""
    _faults[before:] = [(path + inner, rest) for inner, rest in _faults[before:]]


def _shown(value: Any) -> str:
    return excerpt(repr(value)) if isinstance(value, (str, int, float, type(None))) else f"a {type(value).__name__}"
