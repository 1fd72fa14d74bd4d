"""The errors of payloads that could not be mapped."""

from typing import List

from componentize_py_types import Err
from wit_world.imports import types
from wit_world.imports.types import MappingError


def malformed(reason: str) -> Err[MappingError]:
    """Returns the error for a broken payload of a known kind, such as invalid JSON: `raise malformed("…")`."""
    return Err(types.MappingError_Malformed(reason))


def unsupported(reason: str) -> Err[MappingError]:
    """Returns the error for a payload of an unknown kind: `raise unsupported("expected …")`."""
    return Err(types.MappingError_Unsupported(reason))


class SeveralDocuments(Exception):
    """The request of `read_json` to call the mapper once for each JSON value of a body."""

    def __init__(self, documents: List[str], problems: List[str]):
        super().__init__(f"the body has {len(documents)} JSON values and {len(problems)} parts that are not JSON")
        self.documents = documents
        self.problems = problems
