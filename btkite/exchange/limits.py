"""Kite's rate limits, counted in calendar seconds (and minutes, and days) of the exchange's clock.

10 order calls a second, 400 a minute, 5000 a day; quotes 1, history 3, all other calls 10 a second
(https://kite.trade/docs/connect/v3/exceptions/#api-rate-limit). What is over is refused at once.
"""

from __future__ import annotations

from .clock import DAY, MINUTE, SECOND
from .errors import Refusal

ORDERS, QUOTES, HISTORY, OTHER = "orders", "quotes", "history", "other"
_WINDOWS = {
    ORDERS: ((SECOND, 10), (MINUTE, 400), (DAY, 5000)),
    QUOTES: ((SECOND, 1),),
    HISTORY: ((SECOND, 3),),
    OTHER: ((SECOND, 10),),
}


class Limits:
    """Counts calls by kind."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, int], tuple[int, int]] = {}

    def count(self, kind: str, now: int) -> None:
        """Count one call, or refuse it with 429; a refused call is not counted."""
        for length, most in _WINDOWS[kind]:
            window, calls = self._counts.get((kind, length), (-1, 0))
            if window == now // length and calls >= most:
                raise Refusal(429, "NetworkException", "Too many requests")
        for length, _ in _WINDOWS[kind]:
            window, calls = self._counts.get((kind, length), (-1, 0))
            current = now // length
            self._counts[kind, length] = (current, calls + 1 if window == current else 1)
