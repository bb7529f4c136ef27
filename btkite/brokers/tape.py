"""One instrument's prints: from candles of history, each with its number, or as ticks arrive."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Any, NamedTuple

import backtrader as bt
import numpy as np

from ..linetime import DAY
from ..market.matching import Quote, print_times, prints


class Print(NamedTuple):
    """The next print: when (seconds), its number, the quote before it (None for a jump) and itself."""

    time: int
    number: int
    before: Quote | None
    quote: Quote


class Tape:
    """The prints of candles, in order. Candles may be added while it is played."""

    def __init__(
        self,
        start: Sequence[int],
        end: Sequence[int],
        open_: Sequence[float],
        high: Sequence[float],
        low: Sequence[float],
        close: Sequence[float],
    ) -> None:
        self._start, self._end = start, end
        self._prices = (open_, high, low, close)
        self._count = 0  # prints that are over
        self._row = -1
        self._times: tuple[int, ...] = ()
        self._quotes: tuple[Quote, ...] = ()
        self._days: frozenset[int] | None = None
        self._known = -1

    @classmethod
    def of_columns(cls, *columns: Any) -> Tape:
        """Of numpy's columns, which it reads where they lie: no object is made of a number that nobody asks for."""
        return cls(*(memoryview(np.ascontiguousarray(column)) for column in columns))  # type: ignore[arg-type]

    @property
    def number(self) -> int:
        """Of the last print that is over; -1 before the first."""
        return self._count - 1

    @property
    def last_price(self) -> float:
        """Of the last print that is over, in rupees; 0 before the first."""
        row, step = divmod(self.number, 4)
        if row < 0:
            return 0.0
        return prints(*(float(column[row]) for column in self._prices))[step]

    @property
    def days(self) -> frozenset[int]:
        """Days since 1970 that have candles."""
        if self._days is None or len(self._start) != self._known:
            self._known = len(self._start)
            self._days = frozenset(np.unique(np.asarray(self._start, dtype=np.int64) // DAY).tolist())
        return self._days

    def add(self, start: int, end: int, open_: float, high: float, low: float, close: float) -> None:
        """One more candle, for data that is not known beforehand (then all columns are lists)."""
        for column, value in zip(
            (self._start, self._end, *self._prices), (start, end, open_, high, low, close), strict=True
        ):
            column.append(value)  # type: ignore[attr-defined]

    def seek(self, now: int, *, inclusive: bool = False) -> None:
        """All prints before ``now`` (with ``inclusive`` also those at it) are over."""
        row = (bisect_right if inclusive else bisect_left)(self._start, now) - 1
        if row < 0:
            self._count = 0
            return
        times = print_times(int(self._start[row]), int(self._end[row]))
        self._count = 4 * row + (bisect_right if inclusive else bisect_left)(times, now)

    def peek(self) -> Print | None:
        """The next print, or None if there is none yet."""
        row, step = divmod(self._count, 4)
        if row >= len(self._start):
            return None
        if row != self._row:
            self._times = print_times(int(self._start[row]), int(self._end[row]))
            self._quotes = tuple(Quote.at(p) for p in prints(*(float(column[row]) for column in self._prices)))
            self._row = row
        return Print(self._times[step], self._count, self._quotes[step - 1] if step else None, self._quotes[step])

    def end_of(self, number: int) -> int:
        """When the candle of print ``number`` ends."""
        return int(self._end[number // 4])

    def advance(self) -> None:
        """The print that :meth:`peek` showed is over."""
        self._count += 1


class Growing(Tape):
    """The tape of a data whose bars come one by one."""

    def __init__(self, data: Any) -> None:
        super().__init__([], [], [], [], [], [])
        self.data = data


def span_of(data: Any) -> int:
    """Seconds of one bar of a data that is not Kite's."""
    unit = {
        bt.TimeFrame.Seconds: 1,
        bt.TimeFrame.Minutes: 60,
        bt.TimeFrame.Days: DAY,
        bt.TimeFrame.Weeks: 7 * DAY,
        bt.TimeFrame.Months: 30 * DAY,
        bt.TimeFrame.Years: 365 * DAY,
    }
    return unit.get(data._timeframe, 1) * max(1, data._compression)
