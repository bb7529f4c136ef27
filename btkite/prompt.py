"""Prompt: while a live run lasts, a tick does not wait for whoever computes, nor for Python's search for garbage."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_QUICK = 0.0005
"""Seconds after which a waiting thread gets its turn in a live run, instead of Python's 0.005."""

_lock = threading.Lock()
_runs = 0
_before = _QUICK


@contextmanager
def prompt(*, on: bool) -> Iterator[None]:
    """Threads change places often, and the search for garbage passes over what was there before the run (modules, a
    hundred thousand instruments): a full one would hold all threads for a tenth of a second. Both are the process's:
    when the last run of several that overlap is over, all is as it was before the first."""
    if not on:
        yield
        return
    _enter()
    try:
        yield
    finally:
        _leave()


def _enter() -> None:
    global _runs, _before
    with _lock:
        if not _runs:
            _before = sys.getswitchinterval()
            sys.setswitchinterval(min(_before, _QUICK))
        _runs += 1
        gc.freeze()


def _leave() -> None:
    global _runs
    with _lock:
        _runs -= 1
        if not _runs:
            gc.unfreeze()
            sys.setswitchinterval(_before)
