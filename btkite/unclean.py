"""Runs that ended without saying so: killed, crashed, switched off. Three within ten minutes are a pattern.

Each run of an account that lasts writes *began* and *ended* into its journal, with the machine's time. A beginning
that finds the one before it not ended counts one unclean end, at that moment. After three of them within ten
minutes, the next run opens no positions until it has lasted ten minutes itself; a clean end, or a person's word
(`btkite resume`), wipes the count. A run that an error ends in good order, all written down and everything stopped, is
neither: it does not count, and wipes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime, timedelta

from .journal import Journal

CAUSE = "UncleanEnds"
ENDS = 3
WITHIN = timedelta(minutes=10)


def begin(journal: Journal, wall: datetime) -> list[datetime]:
    """A run begins, at the machine's time ``wall`` (naive IST): written down, with the unclean ends that count now."""
    found = ends(journal, wall)
    journal.append("began", {"pid": os.getpid(), "wall": wall, "unclean": found})
    return found


def end(journal: Journal, wall: datetime, why: str, before: Sequence[datetime] = ()) -> None:
    """It ended as it was meant to, or on purpose; or by an error, in good order: then the ends ``before`` it still
    count."""
    journal.append("ended", {"pid": os.getpid(), "wall": wall, "why": why, "unclean": list(before)})


def ends(journal: Journal, wall: datetime, *, running: bool = False) -> list[datetime]:
    """The unclean ends within the last ten minutes before ``wall``, were a run to begin then. ``running``: the run
    that was the last to begin goes on, and has not ended at all."""
    last = max(
        (event for kind in ("began", "ended", "resumed") if (event := journal.last(kind)) is not None),
        key=lambda event: event.seq,
        default=None,
    )
    if last is None or last.kind == "resumed":
        return []
    known = [datetime.fromisoformat(text) for text in last.data.get("unclean") or ()]
    if last.kind == "began" and not running:
        known.append(wall)
    return [moment for moment in known if wall - moment < WITHIN]


def sentence(found: Sequence[datetime]) -> str:
    """Why entries are paused; empty if they are not."""
    if len(found) < ENDS:
        return ""
    return f"the last {len(found)} runs ended without a word within {WITHIN.total_seconds() / 60:.0f} minutes"
