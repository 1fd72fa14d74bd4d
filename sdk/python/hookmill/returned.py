"""Checks what a mapper returns.

A part of a wrong type is left out and reported as a problem that names its field, because the host would see only that
the instance ended."""

import re
from datetime import datetime
from enum import Enum
from typing import Any, Callable, List, Optional, Type, TypeVar

from wit_world.imports import types
from wit_world.imports.types import Description, Field, Observable, Outcome, Severity, State, Technique, Tlp

from .incident import TAG_BYTES_MAX, TITLE_BYTES_MAX, truncate
from .problems import excerpt, problem
from .reading import well_formed
from .times import timestamp

REF_BYTES_MAX = 512

T = TypeVar("T")
E = TypeVar("E", bound=Enum)
Read = Callable[[str, Any], Optional[T]]


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
    return Outcome(
        _all("incidents", incidents, _incident),
        _all("skipped", getattr(returned, "skipped", None), _text),
        _all("problems", getattr(returned, "problems", None), _text),
    )


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


def _incident(path: str, given: Any) -> Optional[types.Incident]:
    source_ref = getattr(given, "source_ref", None)
    if isinstance(source_ref, int) and not isinstance(source_ref, bool):
        source_ref = str(source_ref)
    if not isinstance(source_ref, str) or not source_ref:
        return _wrong(f"{path}.source_ref", source_ref, "the vendor's id")

    def member(name: str, read: Read[T]) -> Optional[T]:
        value = getattr(given, name, None)
        return None if value is None else read(f"{path}.{name}", value)

    return types.Incident(
        source_ref=_shortened(source_ref),
        title=truncate(member("title", _text), TITLE_BYTES_MAX) or None,
        description=member("description", _text),
        category=member("category", _text),
        severity=member("severity", _one_of(Severity)),
        vendor_severity=member("vendor_severity", _text),
        state=member("state", _one_of(State)),
        tlp=member("tlp", _one_of(Tlp)),
        occurred_at=member("occurred_at", _time),
        changed_at=member("changed_at", _time),
        external_link=member("external_link", _text),
        tags=_all(f"{path}.tags", getattr(given, "tags", None), _tag),
        observables=_all(f"{path}.observables", getattr(given, "observables", None), _observable),
        techniques=_all(f"{path}.techniques", getattr(given, "techniques", None), _technique),
        details=_all(f"{path}.details", getattr(given, "details", None), _detail),
    )


def _observable(path: str, given: Any) -> Optional[Observable]:
    data_type = getattr(given, "data_type", None)
    if not isinstance(data_type, str) or not re.fullmatch("[a-z0-9_-]+", data_type):
        return _wrong(f"{path}.data_type", data_type, "a type of a-z 0-9 _ -")
    value = _text(f"{path}.value", given.value)
    message = given.message if isinstance(given.message, str) else None
    tags = _all(f"{path}.tags", given.tags, _tag)
    return Observable(data_type, value, message and well_formed(message), tags, given.ioc is True) if value else None


def _technique(path: str, given: Any) -> Optional[Technique]:
    found = _text(f"{path}.id", getattr(given, "id", None))
    tactic = getattr(given, "tactic", None)
    return Technique(found, well_formed(tactic) if isinstance(tactic, str) else None) if found else None


def _detail(path: str, given: Any) -> Optional[Field]:
    name = _text(f"{path}.name", getattr(given, "name", None))
    value = _text(f"{path}.value", getattr(given, "value", None))
    return None if name is None or value is None else Field(name, value)


def _tag(path: str, value: Any) -> Optional[str]:
    return truncate(_text(path, value), TAG_BYTES_MAX) or None


def _text(path: str, value: Any) -> Optional[str]:
    return well_formed(value) if isinstance(value, str) else _wrong(path, value, "text")


def _time(path: str, value: Any) -> Optional[str]:
    if isinstance(value, datetime):
        return timestamp(value.isoformat())
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return timestamp(str(value))
    return _wrong(path, value, "a time as text")


def _one_of(words: Type[E]) -> Read[E]:
    names = ", ".join(f"{words.__name__}.{word.name}" for word in words)
    return lambda path, value: value if isinstance(value, words) else _wrong(path, value, names)


def _all(path: str, given: Any, read: Read[T]) -> List[T]:
    """Returns the elements of a list without those that `read` leaves out."""
    if given is None:
        return []
    if not isinstance(given, (list, tuple)):
        _wrong(path, given, "a list")
        return []
    elements = (read(f"{path}[{index}]", element) for index, element in enumerate(given))
    return [element for element in elements if element is not None]


def _wrong(path: str, value: Any, expected: str) -> None:
    problem(f"the mapper returned `{path}` = {_shown(value)}; expected {expected}; it is left out")


def _shown(value: Any) -> str:
    return excerpt(repr(value)) if isinstance(value, (str, int, float, type(None))) else f"a {type(value).__name__}"
