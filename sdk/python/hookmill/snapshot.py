"""Prepares the memory that every instance starts with: what the interpreter has when the plugin is built.

An instance copies each page that its event changes. So objects of an event stand together, and `hookmill plugin build` makes
the objects that live as long as the instance immortal: Python does not count the references to those."""

import gc
from array import array
from typing import Any, Dict, List, Tuple

# Begins the list of objects, for `hookmill plugin build`.
MARKER = (0xD2C13A9F, 0x0F4BE877, 0x0E5DC6A1, 0x1387B942)
# The sizes of what fills gaps, in descending order, and the bytes that `bytes` and the allocator add.
FILLERS = (65_536, 16_384, 4096, 2048, 1024, 512, 256, 192, 128, 96, 80, 64, 48, 32)
FILLER_OVERHEAD = 21
# More than the objects of an event need.
ROOM = 1024 * 1024

# What must not be freed.
_kept: List[Any] = []


def is_prepared() -> bool:
    return bool(_kept)


def prepare() -> None:
    """Call this when everything is loaded."""
    # The garbage collection of an instance would change the objects that it looks at.
    gc.collect()
    objects = _living()
    words = array("I", [0]) * (len(MARKER) + 1 + 2 * len(objects))
    words[len(MARKER)] = len(objects)
    for index, one in enumerate(objects):
        start = len(MARKER) + 1 + 2 * index
        words[start], words[start + 1] = id(one), id(type(one))
    for index, word in enumerate(MARKER):
        words[index] = word
    _kept.extend((objects, words, _filled_gaps()))
    gc.freeze()


def _living() -> Tuple[Any, ...]:
    """Returns all objects that are reachable."""
    found: Dict[int, Any] = {}
    open_ = gc.get_objects()
    own = (id(found), id(open_))
    while open_:
        one = open_.pop()
        if id(one) not in found and id(one) not in own:
            found[id(one)] = one
            open_ += gc.get_referents(one)
    return tuple(found.values())


def _filled_gaps() -> List[Any]:
    """Returns objects that fill the gaps of the heap, so that later ones stand together behind it."""
    filling: List[Any] = []
    end = bytes(ROOM)
    for size in FILLERS:
        while id(one := bytes(size - FILLER_OVERHEAD)) < id(end):
            filling.append(one)
    while id(other := object()) < id(end):
        filling.append(other)
    return filling
