"""Another day for the tests, and for the programs that they start: ``BTKITE_CLOCK=2031-01-15 pytest …``."""

from __future__ import annotations

import os
import time
from datetime import datetime, timezone
from pathlib import Path

import time_machine

from btkite.clock import IST_OFFSET

IST = timezone(IST_OFFSET)
AHEAD = "CLOCK_OF_TESTS_AHEAD"
"""Seconds by which the clock of the tests is ahead of the machine's; no name of ours, which tests take away."""
SITE = Path(__file__).parent / "far_site"
"""A folder for PYTHONPATH, whose ``sitecustomize`` sets the clock of each Python that starts with it."""


def moment_of(said: str) -> datetime:
    """A day is ten in the morning of it; what has no zone is IST."""
    moment = datetime.fromisoformat(said)
    moment = moment if "T" in said else moment.replace(hour=10)
    return moment if moment.tzinfo else moment.replace(tzinfo=IST)


def environment(moment: datetime) -> dict[str, str]:
    """What a program must find in its environment so that it is ``moment`` now."""
    paths = [str(SITE), *filter(None, [os.environ.get("PYTHONPATH")])]
    real = time_machine.escape_hatch.time.time if time_machine.escape_hatch.is_travelling() else time.time
    ahead = moment.timestamp() - real()
    return {AHEAD: repr(ahead), "PYTHONPATH": os.pathsep.join(paths)}
