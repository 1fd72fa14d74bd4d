"""Write Hookmill mappers in Python.

A mapper is a module `mapper` with a class `Mapper`:

    class Mapper(hookmill.Mapper):
        def describe(self) -> Description:
            return Description("Acme EDR", "0.1.0", "Alerts of Acme's endpoint agent", scheme=None)

        def to_incidents(self, event: Event) -> Outcome:
            alert = read_json(event.body, "an Acme alert with `alert_id`")
            alert_id = text(alert, "alert_id")
            if alert_id is None:
                raise unsupported("expected an Acme alert with `alert_id`")
            return outcome(Incident(alert_id, title=text(alert, "name")))

Import modules at the top: an instance has no files. The same holds for packages: those installed in the project's `.venv`
are built in. `zoneinfo` needs the package `tzdata`.

The rule for payloads: a part that is wrong, unknown or too large costs that part, is reported in the outcome's `problems`,
and never costs the payload or another part. `read_json`, `text`, `timestamp` and `severity` follow it, and `Mapper` applies
it to the result. Call `problem` for parts that only your mapper can judge.

Types: those of wit/plugin.wit, which documents every field. `stubs/` is generated from it, for editors and type checkers
only; a build uses its own copy. `Event` is one payload, with `body` as bytes and `received_at` in milliseconds since the
Unix epoch. `Incident` is the observation of one incident; None leaves the stored value unchanged. `Outcome` contains the
incidents of one payload with the reasons for parts that are not incidents (`skipped`) or could not be mapped (`problems`).
Times in an incident are text: RFC 3339 or a number, see `timestamp`.

Errors: raise `unsupported` for payloads of another kind: if the source has several mappers, the host calls the next one.
Raise `malformed` for broken payloads of the right kind. The sender sees the text. After either error, and after any other
exception, the host keeps the event in quarantine.
"""

from wit_world.imports import log
from wit_world.imports.types import (
    Description, Event, Field, MappingError, Observable, Outcome, Severity, State, Technique, Tlp,
)

from .attack import tactic_id, technique_id
from .errors import malformed, unsupported
from .incident import Incident
from .mapper import Mapper
from .problems import problem
from .reading import read_json, to_json, unfold
from .severities import Scale, severity
from .times import timestamp
from .values import at, items, setting, text

__all__ = [
    "Description", "Event", "Field", "Incident", "Mapper", "MappingError", "Observable", "Outcome", "Scale", "Severity",
    "State", "Technique", "Tlp", "at", "items", "log", "malformed", "outcome", "problem", "read_json", "setting", "severity",
    "skip", "tactic_id", "technique_id", "text", "timestamp", "to_json", "unfold", "unsupported",
]


def outcome(*incidents: Incident) -> Outcome:
    """Returns an outcome with these incidents, without skipped parts and problems."""
    return Outcome(list(incidents), [], [])


def skip(reason: str) -> Outcome:
    """Returns an outcome without incidents, with the reason why the payload is not an incident."""
    return Outcome([], [reason], [])
