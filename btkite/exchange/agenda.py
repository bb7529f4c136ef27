"""What is to happen at a moment of market time beside the candles: scripted prices, late order updates, faults.

The market asks for the next moment and plays up to it; what is due there is done before the prints of that
moment.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import NamedTuple

Action = Callable[[], None]


class _Entry(NamedTuple):
    us: int
    serial: int
    action: Action
    holds: bool


class Agenda:
    """Actions by moment; those of one moment in the order in which they were entered."""

    def __init__(self) -> None:
        self._entries: list[_Entry] = []
        self._serial = 0
        self._holding = 0

    def at(self, us: int, action: Action, *, holds: bool = True) -> None:
        """Do ``action`` at ``us``. ``holds``: the market is not over before it is done."""
        self._serial += 1
        self._holding += holds
        heapq.heappush(self._entries, _Entry(us, self._serial, action, holds))

    @property
    def next(self) -> int | None:
        """The first moment, if there is one."""
        return self._entries[0].us if self._entries else None

    @property
    def holds(self) -> bool:
        """True while something is entered that the market must not end without."""
        return self._holding > 0

    def run(self, now: int) -> int:
        """Do what is due by ``now``; how much that was."""
        done = 0
        while self._entries and self._entries[0].us <= now:
            entry = heapq.heappop(self._entries)
            self._holding -= entry.holds
            entry.action()
            done += 1
        return done
