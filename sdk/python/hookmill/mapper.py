"""Calls a mapper: once for each JSON value of a payload, with checks of what it returns."""

import functools
import json
import os
import traceback
from dataclasses import replace
from typing import Any, Callable, List, Optional

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import log
from wit_world.imports.types import Description, Event, Outcome

from . import standard_library
from .errors import SeveralDocuments
from .problems import bounded, take_problems
from .reading import to_json, well_formed
from .returned import checked_description, checked_outcome

Map = Callable[[Any, Event], Outcome]


class Mapper(exports.Mapper):
    """The base of a mapper, which implements `describe` and `to_incidents`.

    `to_incidents` is called once for each JSON value of the payload: most payloads have one, forwarders send several in
    one body or in one list. A value that cannot be mapped is a problem of the outcome if another one can. Parts of the
    result that have a wrong type are left out and are problems too.

    An error from `malformed` or `unsupported` is the mapper's result. Any other exception is written to the log with its
    stack before the instance ends, because the host cannot see its text."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "describe" in cls.__dict__:
            cls.describe = _described(cls.describe)  # type: ignore[method-assign]
        if "to_incidents" in cls.__dict__:
            cls.to_incidents = _mapped(cls.to_incidents)  # type: ignore[method-assign]
        standard_library.load_lazy_parts()


def _described(describe: Callable[[Any], Description]) -> Callable[[Any], Description]:
    @functools.wraps(describe)
    def checked(self: Any) -> Description:
        try:
            return checked_description(describe(self))
        except Exception as error:
            _report(error)
            raise

    return checked


def _mapped(to_incidents: Map) -> Map:
    @functools.wraps(to_incidents)
    def mapped(self: Any, event: Event) -> Outcome:
        map_one = functools.partial(to_incidents, self)
        try:
            return _map(map_one, event)
        except Err:
            raise
        except Exception as error:
            _report(error)
            raise

    return mapped


def _map(to_incidents: Callable[[Event], Outcome], event: Event) -> Outcome:
    try:
        return _map_one(to_incidents, event)
    except SeveralDocuments as several:
        return _map_all(to_incidents, event, several.documents, several.problems, None)
    except Err as error:
        elements = _elements_of(event)
        if not elements:
            raise
        return _map_all(to_incidents, event, elements, [], error)


def _map_one(to_incidents: Callable[[Event], Outcome], event: Event) -> Outcome:
    take_problems()
    outcome = checked_outcome(to_incidents(event))
    return replace(outcome, problems=bounded(outcome.problems + take_problems()))


def _map_all(
    to_incidents: Callable[[Event], Outcome],
    event: Event,
    documents: List[str],
    problems: List[str],
    whole: Optional[Err[Any]],
) -> Outcome:
    """Maps each of these JSON values, or raises the first error if none can be mapped."""
    merged, errors = Outcome([], [], []), []
    for number, document in enumerate(documents, 1):
        try:
            outcome = _map_one(to_incidents, replace(event, body=document.encode()))
        except Err as error:
            errors.append(error)
            merged.problems.append(f"JSON value {number} of {len(documents)}: {error.value.value}")
            continue
        merged.incidents += outcome.incidents
        merged.skipped += outcome.skipped
        merged.problems += outcome.problems
    if len(errors) == len(documents):
        raise whole or errors[0]
    return replace(merged, problems=bounded(merged.problems + problems))


def _elements_of(event: Event) -> List[str]:
    """Returns the elements of a body that is a list of objects."""
    try:
        body = json.loads(event.body) if event.body.lstrip()[:1] == b"[" else None
    except (ValueError, RecursionError):
        return []
    is_list = isinstance(body, list) and all(isinstance(element, (dict, list)) for element in body)
    return [to_json(element) for element in body] if is_list else []


def _report(error: Exception) -> None:
    """Writes an exception to the log, with the author's files and lines, the innermost first."""
    frames = [
        f"  at {frame.name} ({os.path.basename(frame.filename)}:{frame.lineno})"
        for frame in reversed(traceback.extract_tb(error.__traceback__))
        if os.path.dirname(frame.filename) != os.path.dirname(__file__)
    ]
    log.write(log.Level.ERROR, well_formed("\n".join([f"{type(error).__name__}: {error}", *frames])))
