"""Garbage: Python's cyclic collector, kept from going over the same living objects again and again."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_THRESHOLDS = (20_000, 20, 50)
"""How many new objects there are at a collection, and how many of these come before a larger one."""


@contextmanager
def rare_collections() -> Iterator[None]:
    """Collect less often while a run lasts, and leave out what was there before it.

    A run with many calls in flight makes and drops many small objects, hardly any in cycles; with Python's
    own thresholds a tenth of its time goes into looking for these. A program that has frozen or switched off
    the collector itself is left as it is.
    """
    if not gc.isenabled() or gc.get_freeze_count():
        yield
        return
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
