"""Sends each generated request from an address of its own: an address that sends many wrong tokens is limited."""

import itertools

import schemathesis

NUMBERS = itertools.count()


@schemathesis.hook
def before_call(_context, case, _kwargs):
    high, low = divmod(next(NUMBERS), 256)
    case.headers = {**(case.headers or {}), "X-Forwarded-For": f"198.18.{high % 256}.{low}"}
