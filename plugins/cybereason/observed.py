"""The machines, users, files and addresses of a MalOp."""

from typing import Any, Iterator, Optional, Tuple

from hookmill import Incident, at, items, text

# The observables of Cybereason's types of elements.
TYPES = {
    "DomainName": "domain", "File": "filename", "IpAddress": "ip", "Machine": "hostname", "Process": "filename",
    "User": "user-account",
}
HASHES = ("fileHash", "md5String", "sha1String", "sha256String")


def first(malop: Any, *names: str) -> Optional[str]:
    """Returns the first value that is there, of a detection MalOp or of the older query."""
    values = ((text(malop, name) or text(malop, "simpleValues", name, "values")) for name in names)
    return next(filter(None, values), None)


def elements_of(malop: Any, name: str) -> Iterator[Tuple[str, Optional[str]]]:
    """Yields the type and the name of elements of the older query, such as `suspects`."""
    for element in items(malop, "elementValues", name, "elementValues"):
        yield text(element, "elementType") or "", text(element, "name")


def observe(found: Incident, malop: Any) -> None:
    elements = at(malop, "elementValues")
    for name in elements if isinstance(elements, dict) else ():
        for kind, value in elements_of(malop, name):
            observe_element(found, kind, value, name)
    root = first(malop, "rootCauseElementTypes", "rootCauseElementType")
    for name in items(malop, "simpleValues", "rootCauseElementNames", "values"):
        observe_element(found, root, text(name), "rootCauseElements")
    observe_element(found, root, first(malop, "displayName", "primaryRootCauseName"), "root cause")
    for value in (*items(malop, "simpleValues", "rootCauseElementHashes", "values"), *items(malop, "rootCauseElementHashes")):
        found.observe("hash", text(value), "root cause")
    found.observe("hash", text(malop, "fileHash"), "root cause")

    for machine in items(malop, "machines"):
        found.observe("hostname", text(machine, "displayName"), "machine")
    for user in items(malop, "users"):
        # The account of the system is the same on each machine.
        if text(user, "localSystem") != "true":
            found.observe("user-account", text(user, "displayName"), "user")
    for path in items(malop, "filePaths"):
        found.observe("filename", text(path), "file")
    for name in ("fileSuspects", "files", "processSuspects", "processes"):
        for element in items(malop, name):
            observe_file(found, element)
    for connection in items(malop, "connections"):
        # The server of an incoming connection is the organisation's own.
        if (text(connection, "direction") or "").upper() == "OUTGOING":
            found.observe("ip", text(connection, "serverAddress"), "connection")
        found.observe("hostname", text(connection, "ownerMachine"), "machine of a connection")


def observe_element(found: Incident, kind: Optional[str], name: Optional[str], message: str) -> None:
    data_type = TYPES.get(kind or "")
    if data_type:
        found.observe(data_type, name, message)


def observe_file(found: Incident, element: Any) -> None:
    """Adds a file, or the file, the machine and the user of a process."""
    name = text(element, "elementDisplayName")
    found.observe("filename", name, "file or process")
    for member in HASHES:
        found.observe("hash", text(element, member), name)
    owner = text(element, "ownerMachine") or text(element, "ownerMachineName")
    found.observe("hostname", owner, "machine of a file or process")
    found.observe("user-account", text(element, "calculatedUser"), "user of a process")
