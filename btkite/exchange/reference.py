"""What an exchange's own price band lies about: the average of the last trades, renewed every half a minute.

NSE's limit price protection FAQ: the average trade price of the last 30 seconds, renewed every 30 seconds, and a
theoretical price where nothing was traded for a quarter of an hour, for which the last price stands here.
"""

from __future__ import annotations

from .clock import MINUTE

STALE = 15 * MINUTE


class Reference:
    """Of one instrument. ``length`` in microseconds: of the calendar intervals whose trades are averaged."""

    __slots__ = ("_count", "_last_us", "_length", "_sum", "_value", "_window")

    def __init__(self, length: int) -> None:
        self._length = length
        self._window = -1
        self._sum = 0.0
        self._count = 0
        self._value = 0.0  # of the last interval before this one in which there was a trade
        self._last_us = -STALE

    def note(self, us: int, price: float) -> None:
        """A trade."""
        window = us // self._length
        if window != self._window:
            self._value = self._average() if us - self._last_us < STALE else 0.0
            self._window, self._sum, self._count = window, 0.0, 0
        self._sum += price
        self._count += 1
        self._last_us = us

    def at(self, now: int, last: float) -> float:
        """Rupees; ``last`` where there is no interval that is over, or none that is young enough."""
        if now - self._last_us >= STALE:
            return last
        return (self._value if now // self._length == self._window else self._average()) or last

    def _average(self) -> float:
        return round(self._sum / self._count, 4) if self._count else 0.0
