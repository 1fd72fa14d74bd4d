"""Calls a mapper: once for each JSON value of a payload, with checks of what it returns."""

import functools
import os
import sys
import traceback
from dataclasses import replace
from typing import Any, Callable, List

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import log
from wit_world.imports.types import Description, Event, Outcome

from . import standard_library
from .errors import SeveralDocuments
from .problems import bounded, take_problems
from .reading import VALUES_MAX, elements_of, well_formed
from .returned import checked_description, checked_outcome
from .warm_up import warm_up

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

    def __init__(self) -> None:
        """The generated code makes one mapper while the plugin is built, after all modules are loaded."""
        super().__init__()
        if sys.platform == "wasi":
            warm_up(self)


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
        return _map_all(to_incidents, event, several.documents, several.problems)
    except Err:
        elements = elements_of(event.body)
        if not elements:
            raise
        return _map_all(to_incidents, event, elements, [])


def _map_one(to_incidents: Callable[[Event], Outcome], event: Event) -> Outcome:
    take_problems()
    outcome = checked_outcome(to_incidents(event))
    # A kind that cannot be read is not one that is rightly skipped: a reason that quotes a broken character is a problem.
    broken = [f"{reason}; a character of it is broken" for reason in outcome.skipped if "\ufffd" in reason]
    skipped = [reason for reason in outcome.skipped if "\ufffd" not in reason]
    return Outcome(outcome.incidents, skipped, bounded(outcome.problems + broken + take_problems()))


def _map_all(
    to_incidents: Callable[[Event], Outcome], event: Event, documents: List[str], problems: List[str]
) -> Outcome:
    """Maps each of these JSON values, or raises the first error if none can be mapped."""
    merged, errors, count = Outcome([], [], []), [], 0
    # In reverse.
    parts = documents[::-1]
    while parts:
        if count == VALUES_MAX:
            more = len(parts)
            merged.problems.append(f"{more} of {count + more} JSON values are not read: at most {VALUES_MAX} are")
            break
        body = parts.pop().encode()
        try:
            outcome = _map_one(to_incidents, replace(event, body=body))
        except Err as error:
            # A mapper that does not know a list of its payloads gets each of them.
            elements = elements_of(body)
            if elements:
                parts += elements[::-1]
                continue
            errors.append((count + 1, error))
        else:
            merged.incidents += outcome.incidents
            merged.skipped += outcome.skipped
            merged.problems += outcome.problems
        count += 1
    if len(errors) == count:
        raise errors[0][1]
    failed = [f"JSON value {number} of {count}: {error.value.value}" for number, error in errors]
    return replace(merged, problems=bounded(merged.problems + failed + problems))


def _report(error: Exception) -> None:
    """Writes an exception to the log, with the author's files and lines, the innermost first."""
    frames = [
        f"  at {frame.name} ({os.path.basename(frame.filename)}:{frame.lineno})"
        for frame in reversed(traceback.extract_tb(error.__traceback__))
        if os.path.dirname(frame.filename) != os.path.dirname(__file__)
    ]
    log.write(log.Level.ERROR, well_formed("\n".join([f"{type(error).__name__}: {error}", *frames])))
