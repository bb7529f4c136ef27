"""How an account stands: what its run says of itself, what the journal says, and who holds the lock."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ..clock import Clock, SystemClock
from ..journal import AccountLock, Journal
from ..risk.gate import KillSwitch
from .places import Place

_SILENT = timedelta(seconds=15)
"""A run that has not spoken for so long is busy with something else, or hangs."""
LAST = 8
"""Events that are shown."""


@dataclass(frozen=True, slots=True)
class Standing:
    """All that can be said of one account from outside.

    ``running``: ``running``, ``silent`` (it lives and has not spoken for a while), ``died`` (it ended without a word),
    ``ended`` or ``never`` · ``owner``: what the holder of the lock wrote · ``said``: the run's own last word, empty if
    there is none · ``book``: the account in the journal, empty if there is none · ``events``: the newest, without
    their books · ``kill``: why the kill switch is engaged, empty if it is not.
    """

    place: Place
    running: str
    now: datetime
    owner: Mapping[str, Any] = field(default_factory=dict)
    said: Mapping[str, Any] = field(default_factory=dict)
    book: Mapping[str, Any] = field(default_factory=dict)
    events: tuple[Mapping[str, Any], ...] = ()
    kill: str = ""
    flatten: bool = False

    @property
    def is_running(self) -> bool:
        """Whether a process holds the account."""
        return self.running in ("running", "silent")

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "account": self.place.account,
            "mode": self.place.mode,
            "endpoint": self.place.endpoint,
            "folder": str(self.place.folder),
            "running": self.running,
            "now": self.now,
            "owner": dict(self.owner),
            "kill": self.kill,
            "flatten": self.flatten,
            "said": dict(self.said),
            "book": dict(self.book),
            "events": [dict(event) for event in self.events],
        }


def standing(place: Place, clock: Clock | None = None) -> Standing:
    """Look at an account. Nothing is made, written or locked.

    :raises JournalBroken: if its journal is damaged.
    """
    clock = clock or SystemClock()
    now = clock.now()
    owner, said = AccountLock(place.lock, clock).owner(), said_by(place.status)
    kill = KillSwitch(place.kill)
    book: dict[str, Any] = {}
    events: tuple[dict[str, Any], ...] = ()
    if place.journal.exists():
        with Journal(place.journal, clock, read_only=True) as journal:
            last = journal.last_book()
            book = {} if last is None else {"time": last.time, **last.data["book"]}
            events = tuple({"time": event.time, "kind": event.kind, **event.data} for event in journal.newest(LAST))
    return Standing(
        place=place,
        running=_running(owner, said, now, known=bool(book or said)),
        now=now,
        owner=owner,
        said=said,
        book=book,
        events=events,
        kill=kill.reason if kill.engaged() else "",
        flatten=kill.flatten,
    )


def said_by(path: Path) -> dict[str, Any]:
    """What a run has said of itself last; empty if there is nothing to read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _running(owner: Mapping[str, Any], said: Mapping[str, Any], now: datetime, *, known: bool) -> str:
    if not owner:
        return "ended" if known else "never"
    if not lives(owner, now):
        return "died"
    mine = said.get("pid") == owner.get("pid") and said.get("host") == owner.get("host")
    spoke = _moment(said.get("wall")) if mine else None
    begun = _moment(owner.get("since"))
    last = max((moment for moment in (spoke, begun) if moment is not None), default=None)
    return "running" if last is not None and now - last < _SILENT else "silent"


def lives(owner: Mapping[str, Any], now: datetime) -> bool:
    """Whether the process that wrote this note is there: asked of this machine; of another, its beat must do."""
    if owner.get("host") == socket.gethostname() and os.name == "posix":  # elsewhere the question would kill it
        return _is_there(owner.get("pid"))
    beat = _moment(owner.get("beat"))
    return beat is not None and now - beat < AccountLock.STALE


def _is_there(pid: Any) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, TypeError, ValueError):
        return False
    except OSError:  # it is somebody else's
        return True
    return True


def _moment(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return None
