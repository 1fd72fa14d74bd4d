"""Maps the payloads of the project while the plugin is built.

Python fills caches on their first use: those of bytecode, of regular expressions, and of attributes. An instance starts with
what is filled while the plugin is built."""

import contextlib
import io
import sys
from pathlib import Path
from typing import Any

from wit_world.imports import log
from wit_world.imports.types import Event

from . import snapshot
from .problems import take_problems
from .values import forget_unfolded

# The bounds of the payloads that an instance is warmed up with.
PAYLOADS_MAX = 32
PAYLOAD_BYTES_MAX = 65_536
# The number of times that each is mapped. Bytecode is specialised after a few calls.
ROUNDS = 3
NIL_ID = "00000000-0000-0000-0000-000000000000"


def warm_up(mapper: Any) -> None:
    """Maps the first payloads of the mapper's project that are not very large, and forgets the results. Does so once: a build
    makes several mappers."""
    if snapshot.is_prepared():
        return
    module = sys.modules[type(mapper).__module__]
    folder = Path(module.__file__ or "").with_name("payloads")
    files = sorted(file for file in folder.glob("*.json") if "." not in file.stem)
    bodies = [file.read_bytes() for file in files if file.stat().st_size <= PAYLOAD_BYTES_MAX][:PAYLOADS_MAX]
    write = log.write
    # There is no host while a plugin is built.
    log.write = lambda level, message: None
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        for body in bodies * ROUNDS:
            # Payloads of the project can be broken ones.
            with contextlib.suppress(Exception):
                mapper.to_incidents(Event(NIL_ID, "build", 0, None, [], [], [], body))
    log.write = write
    take_problems()
    forget_unfolded()
    snapshot.prepare()
