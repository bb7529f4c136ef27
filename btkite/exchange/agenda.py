"""What is to happen at a moment of market time beside the candles: appointments, and rules of every day.

Scripted prices, late order updates, square-offs and auctions are appointments. The market asks for the next
one and plays up to it.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence

from .clock import DAY

Action = Callable[[int], bool | None]
"""Is given the moment; True if it changed an order."""
Rule = Callable[[int], Iterable[tuple[int, Action]]]
"""Gives, for a day's number since 1970, the moments and actions of that day."""


class Agenda:
    """Actions by moment, then by rank, then in the order in which they were entered."""

    def __init__(self) -> None:
        self._entries: list[tuple[int, int, int, Action]] = []
        self._serial = 0
        self._rules: list[Rule] = []

    def at(self, us: int, action: Action, rank: int) -> None:
        """Enter an appointment."""
        self._serial += 1
        heapq.heappush(self._entries, (us, rank, self._serial, action))

    def every_day(self, rule: Rule) -> None:
        """Ask ``rule`` on each day to come."""
        self._rules.append(rule)

    def lay_out(self, day: int, now: int, rank: int, rules: Sequence[Rule] | None = None) -> None:
        """Enter what the rules say of ``day``, but for what is past."""
        for rule in self._rules if rules is None else rules:
            for us, action in rule(day):
                if us >= now and us // DAY == day:
                    self.at(us, action, rank)

    def first(self) -> tuple[int, int] | None:
        """Moment and rank of the next appointment."""
        return self._entries[0][:2] if self._entries else None

    def keep(self) -> bool:
        """Do the next one; True if an order changed."""
        us, _, _, action = heapq.heappop(self._entries)
        return bool(action(us))
