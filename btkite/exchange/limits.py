"""Kite's rate limits, counted in calendar seconds (and minutes, and days) of the exchange's clock.

Order calls count for the account, whatever the app; quotes 1, history 3, all other calls 10 a second
(https://kite.trade/docs/connect/v3/exceptions/#api-rate-limit). What is over is refused at once and not
counted; who goes on after that may be blocked for a while.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .clock import DAY, MINUTE, SECOND
from .refusals import too_many_calls

ORDERS, QUOTES, HISTORY, OTHER = "orders", "quotes", "history", "other"
Windows = tuple[tuple[int, int], ...]  # length in microseconds, calls within it
WINDOWS: Mapping[str, Windows] = {
    ORDERS: ((SECOND, 10), (MINUTE, 400), (DAY, 5000)),
    QUOTES: ((SECOND, 1),),
    HISTORY: ((SECOND, 3),),
    OTHER: ((SECOND, 10),),
}


class Limits:
    """Counts calls by kind.

    ``order_windows`` says for a moment how many orders are allowed (None: today's figures). Beyond
    ``abuse_refusals`` refusals within a minute everything is refused for ``abuse_block`` microseconds.
    """

    def __init__(
        self,
        order_windows: Callable[[int], Windows] | None = None,
        *,
        abuse_refusals: int = 0,
        abuse_block: int = 0,
    ) -> None:
        self._order_windows = order_windows
        self._abuse_refusals, self._abuse_block = abuse_refusals, abuse_block
        self._counts: dict[tuple[str, int], tuple[int, int]] = {}
        self._refusals = (-1, 0)
        self._blocked_until = 0

    def windows(self, kind: str, now: int) -> Windows:
        """The windows of a kind on the day of ``now``."""
        if kind == ORDERS and self._order_windows is not None:
            return self._order_windows(now)
        return WINDOWS[kind]

    def count(self, kind: str, now: int) -> None:
        """Count one call, or refuse it with 429; a refused call is not counted."""
        windows = self.windows(kind, now)
        if now < self._blocked_until or any(self.left(kind, length, most, now) < 1 for length, most in windows):
            self._note_refusal(now)
            raise too_many_calls()
        self.add(kind, now)

    def left(self, kind: str, length: int, most: int, now: int) -> int:
        """How many calls a window still takes."""
        window, calls = self._counts.get((kind, length), (-1, 0))
        return most - calls if window == now // length else most

    def add(self, kind: str, now: int, calls: int = 1) -> None:
        """Count calls without asking: the slices of an order, beside the request that brought them."""
        for length, _ in self.windows(kind, now):
            window, known = self._counts.get((kind, length), (-1, 0))
            current = now // length
            self._counts[kind, length] = current, known + calls if window == current else calls

    def take(self, kind: str, now: int) -> bool:
        """Count one slice if it still fits; False if it is over the limit."""
        if any(self.left(kind, length, most, now) < 1 for length, most in self.windows(kind, now)):
            return False
        self.add(kind, now)
        return True

    def _note_refusal(self, now: int) -> None:
        if not self._abuse_refusals:
            return
        window, refusals = self._refusals
        minute = now // MINUTE
        refusals = refusals + 1 if window == minute else 1
        self._refusals = minute, refusals
        if refusals > self._abuse_refusals:
            self._blocked_until = max(self._blocked_until, now + self._abuse_block)
