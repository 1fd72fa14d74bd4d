"""Maps MalOps of Cybereason: detection MalOps, alone or in lists of the API, and MalOps of the older query, each of whose values
is an object `{totalValues, values}`.

A MalOp is a confirmed operation: without a severity or a priority it is high. Links use the source's setting `cybereason_url`,
such as `https://acme.cybereason.net`."""

from typing import Any, List, Optional
from urllib.parse import quote

import hookmill
from hookmill import (
    Description, Event, Incident, Outcome, Severity, State, at, items, read_json, setting, severity, tactic_id, text, timestamp,
    unfold, unsupported,
)

from observed import elements_of, first, observe

EXPECTED = "a MalOp of Cybereason with `guid` or `guidString`, alone, in `malops`, or in `data` of an answer"
STATES = {
    **dict.fromkeys(("closed", "excluded", "fp", "not relevant", "remediated"), State.RESOLVED),
    **dict.fromkeys(
        ("active", "open", "reopen", "reopened", "todo", "to review", "unread", "under investigation"), State.OPEN
    ),
}
# Activities whose names are not those of ATT&CK.
ACTIVITIES = {
    "CNC_COMMUNICATION": "TA0011", "CREDENTIAL_THEFT": "TA0006", "DATA_THEFT": "TA0010", "RANSOMWARE": "T1486",
}
CHANGES = ("malopLastUpdateTime", "lastUpdateTime", "metadataUpdateTime", "closeTime", "malopCloseTime")

# Members that become something else than a detail of their name, repeat another one or say nothing about the incident.
READ = {
    "@class", "closed", "creationTime", "descriptions", "detectionType", "displayName", "empty", "fileHash", "filterData", "guid",
    "guidString", "iconBase64", "isMalicious", "lastUpdateTime", "malicious", "malopDetectionType", "malopPriority",
    "malopSeverity", "malopStatus", "malopType", "metadataUpdateTime", "mitreSubTechniques", "mitreTactics", "mitreTechniques",
    "priority", "rootCauseElementHashes", "severity", "simpleValues", "status", "suspect", "users",
}
READ_OF_VALUES = {
    "creationTime", "detectionType", "elementDisplayName", "malopActivityTypes", "malopLastUpdateTime", "malopStartTime",
    "managementStatus", "rootCauseElementHashes", "severity",
}


class Mapper(hookmill.Mapper):
    def describe(self) -> Description:
        return Description("Cybereason", "0.1.0", "MalOps of Cybereason", scheme=None)

    def to_incidents(self, event: Event) -> Outcome:
        malops = malops_of(read_json(event.body, EXPECTED))
        result = Outcome([], [], [])
        for malop in malops or []:
            if is_malop(malop):
                result.incidents.append(incident(malop, setting(event, "cybereason_url")))
            else:
                result.problems.append(f"an entry is not {EXPECTED}")
        if malops == []:
            result.skipped.append("the answer has no MalOps")
        if not (result.incidents or result.skipped):
            raise unsupported(f"expected {EXPECTED}")
        return result


def malops_of(body: Any) -> Optional[List[Any]]:
    """Returns the MalOps of the inbox, of the answer of a query, or the body itself. Returns None for other bodies."""
    for holder in (body, unfold(at(body, "data"))):
        if is_malop(holder):
            return [holder]
        if not isinstance(holder, dict):
            continue
        elements, malops, entries = (unfold(holder.get(name)) for name in ("resultIdToElementDataMap", "malops", "data"))
        if isinstance(elements, dict):
            return list(elements.values())
        if isinstance(malops, list):
            return malops
        # Empty ones could be of another vendor.
        if isinstance(entries, list) and entries:
            return entries
    return None


def is_malop(malop: Any) -> bool:
    """Returns whether a value is a MalOp. Objects of other vendors have a `guid` too."""
    if not isinstance(malop, dict):
        return False
    names = {"detectionEngines", "detectionTypes", "malopDetectionType", "malopType", "rootCauseElementType"}
    is_known = bool(names & malop.keys()) or "Malop" in (text(malop, "@class") or "")
    return bool(text(malop, "guidString") or (text(malop, "guid") and is_known))


def incident(malop: Any, console: Optional[str]) -> Incident:
    malop_id = text(malop, "guidString") or text(malop, "guid") or ""
    found = Incident(malop_id, title=title(malop))
    found.description = "\n".join(filter(None, map(text, items(malop, "descriptions")))) or None
    found.category = category(malop)
    found.vendor_severity = first(malop, "severity", "malopSeverity", "malopPriority", "priority")
    found.severity = severity(found.vendor_severity) if found.vendor_severity else Severity.HIGH
    found.state = state(malop)
    found.occurred_at = timestamp(first(malop, "malopStartTime", "creationTime"))
    # The time of an update does not move when a MalOp is closed.
    found.changed_at = max((time for name in CHANGES if (time := timestamp(first(malop, name)))), key=moment, default=None)
    if console:
        kind = "detection-malop" if "false" in (text(malop, "edr"), text(malop, "isEdr")) else "malop"
        found.external_link = f"{console.rstrip('/')}/#/{kind}/{quote(malop_id, safe='')}"
    classify(found, malop)
    observe(found, malop)

    found.detail("status", first(malop, "managementStatus", "status", "malopStatus"))
    found.detail("priority", first(malop, "malopPriority", "priority"))
    values = at(malop, "simpleValues")
    names = values if isinstance(values, dict) else {}
    found.keep({name: alone(items(values, name, "values")) for name in names}, READ_OF_VALUES)
    found.keep(malop, READ)
    return found


def moment(time: str) -> int:
    """Returns milliseconds, the unit of every time of Cybereason, to compare them."""
    return int(time) if time.isdigit() else 0


def alone(values: List[Any]) -> Any:
    """Returns the only element of a list, or the list."""
    return values[0] if len(values) == 1 else values


def category(malop: Any) -> Optional[str]:
    return first(malop, "elementDisplayName", "malopDetectionType", "malopType", "detectionType")


def title(malop: Any) -> Optional[str]:
    """Returns a title such as `CNC_COMMUNICATION: powershell.exe on host1 and 2 more`."""
    suspect = next((name for _, name in elements_of(malop, "suspects")), None)
    subject = suspect or first(malop, "displayName", "primaryRootCauseName", "rootCauseElementNames")
    named = ": ".join(filter(None, (text(malop, "detectionTypes") or category(malop), subject)))
    machines = [name for _, name in elements_of(malop, "affectedMachines")]
    machines += [text(machine, "displayName") for machine in items(malop, "machines")]
    if not machines or not machines[0]:
        return named or None
    more = f" and {len(machines) - 1} more" if len(machines) > 1 else ""
    return f"{named or 'MalOp'} on {machines[0]}{more}"


def state(malop: Any) -> Optional[State]:
    """Returns the state of the status. Only a MalOp without one has the state that its other members imply."""
    status = first(malop, "managementStatus", "status", "malopStatus")
    if status:
        return STATES.get(status.lower().replace("_", " "))
    is_closed = text(malop, "closed") == "true" or timestamp(first(malop, "closeTime", "malopCloseTime"))
    return State.RESOLVED if is_closed else None


def classify(found: Incident, malop: Any) -> None:
    """Adds the tags and the references to ATT&CK."""
    activities = items(malop, "simpleValues", "malopActivityTypes", "values")
    for word in [first(malop, "detectionType"), *map(text, activities)]:
        found.tag(word if word != found.category else None)
        found.attack(ACTIVITIES.get(word or "") or tactic_id(word or ""))
    for label in items(malop, "labels"):
        found.tag(text(label, "labelText") if isinstance(label, dict) else text(label))
    for name in ("mitreSubTechniques", "mitreTechniques", "mitreTactics"):
        for entry in items(malop, name):
            known_id, word = (text(entry, "id"), text(entry, "name")) if isinstance(entry, dict) else (None, text(entry))
            if name == "mitreTactics":
                found.attack(known_id or tactic_id(word or "") or word)
            else:
                found.attack_named(known_id or word, word)
