"""The curve of the account: cash and value of each step, from the few steps at which something changed and from
prices, in BackBroker's own additions in their order."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..borrowed import numbers
from .timeline import Timeline

Floats = NDArray[np.float64]


class Money(NamedTuple):
    """Of each step of a range: what the broker tells strategies then."""

    cash: Floats
    value: Floats
    fund: Floats
    """What one share of the fund is worth."""


class Curve:
    """Noted while a run goes. A step without a note is valued by its prices, with what was noted last."""

    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline
        self.tight = True
        self.on_loose: list[Callable[[], None]] = []
        self._noted: list[tuple[int, float, float, float, float]] = []  # step, cash, value, fund value, shares
        self._held: dict[int, list[tuple[int, float, float]]] = {}
        self._terms: dict[int, tuple[float, float]] = {}
        self._feeds: dict[int, Any] = {}
        self.order: Callable[[], Iterable[Any]] = tuple

    def loose(self) -> None:
        """Money has changed between two turns: from now on nobody is served from the curve."""
        if self.tight:
            self.tight = False
            for tell in self.on_loose:
                tell()

    def terms(self, data: Any, leverage: float, mult: float) -> None:
        """How a position in ``data`` is valued."""
        self._terms[id(data)] = (float(leverage), float(mult))

    def note(self, step: int, cash: float, value: float, fund: float, shares: float) -> None:
        """What a turn of the broker ended with."""
        self._noted.append((step, cash, value, fund, shares))

    def hold(self, step: int, data: Any, size: float, price: float) -> None:
        """A position from ``step`` on."""
        self._feeds[id(data)] = data
        self._held.setdefault(id(data), []).append((step, size, price))

    def closes(self, data: Any, begin: int, end: int) -> Floats:
        """The close of ``data`` that is seen at each step; where it has no bar yet, any."""
        course = self.timeline.course_of[id(data)]
        prices: Floats = numbers(data.lines.close)[: len(course.stamps)]
        return prices[begin:end] if course.at is None else prices[course.at[begin:end]]

    def positions(self, data: Any, begin: int, end: int) -> tuple[Floats, Floats]:
        """Size and price of the position in ``data`` at each step."""
        return self.filled(self._held.get(id(data)), begin, end)

    def filled(self, held: list[tuple[int, float, float]] | None, begin: int, end: int) -> tuple[Floats, Floats]:
        """What was noted at some steps, of each step."""
        sizes, prices = np.zeros(end - begin), np.zeros(end - begin)
        if held:
            steps = np.array([step for step, _, _ in held])
            row = np.searchsorted(steps, np.arange(begin, end), side="right") - 1
            known = row >= 0
            sizes[known] = np.array([float(size) for _, size, _ in held])[row[known]]
            prices[known] = np.array([float(price) for _, _, price in held])[row[known]]
        return sizes, prices

    def worth(self, data: Any, begin: int, end: int) -> Floats:
        """What the broker says the position in ``data`` alone is worth."""
        size, _ = self.positions(data, begin, end)
        return size * self.closes(data, begin, end)

    def between(self, begin: int, end: int) -> Money:
        """Of the steps from ``begin`` to before ``end``; the turn at step 0 is always noted."""
        noted = self._noted
        steps = np.array([note[0] for note in noted])
        columns = [np.array([float(note[n]) for note in noted]) for n in (1, 2, 3, 4)]
        row = np.searchsorted(steps, np.arange(begin, end), side="right") - 1
        cash, shares = columns[0][row], columns[3][row]
        worth = np.zeros(end - begin)
        for data in self.order():
            if id(data) not in self._held or id(data) not in self._terms:
                continue
            leverage, mult = self._terms[id(data)]
            size, price = self.positions(data, begin, end)
            close = self.closes(data, begin, end)
            value = size * close
            gain = size * (close - price) * mult
            long = value > 0
            worth = np.where(long, worth + (value - gain) / leverage + gain, worth + value)
        value = cash + worth
        fund = value / shares
        there = np.searchsorted(steps, begin), np.searchsorted(steps, end)
        exact = steps[there[0] : there[1]] - begin
        value[exact], fund[exact] = columns[1][there[0] : there[1]], columns[2][there[0] : there[1]]
        return Money(cash, value, fund)
