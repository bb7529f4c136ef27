"""Halts: of one instrument, of an exchange, or of the whole market by its circuit breaker.

While it is halted an instrument does not print and nothing trades; its recorded prints are dropped, and the
first one afterwards is a jump. The breaker's durations are those in force since 2013-10 (NSE and BSE,
equity and its derivatives).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .errors import BadSettings

HOUR = 3600
EQUITY_EXCHANGES = ("NSE", "BSE", "NFO", "BFO")
LEVELS = (10, 15, 20)
AUCTION_MINUTES = 15
# level -> (until this second of the day, minutes of the halt before its call auction; None: rest of the day)
_DURATIONS: dict[int, tuple[tuple[int, int | None], ...]] = {
    10: ((13 * HOUR, 45), (14 * HOUR + 1800, 15), (24 * HOUR, 0)),
    15: ((13 * HOUR, 105), (14 * HOUR, 45), (24 * HOUR, None)),
    20: ((24 * HOUR, None),),
}


def breaker_minutes(level: int, second: int) -> int | None:
    """Minutes without trading after the market moved ``level`` per cent at this second of the day.

    0: it goes on; None: it is over for the day. Raises BadSettings for another level.
    """
    if level not in LEVELS:
        raise BadSettings(f"the market-wide breaker has the levels {', '.join(map(str, LEVELS))}, not {level}")
    minutes = next(minutes for until, minutes in _DURATIONS[level] if second < until)
    return minutes + AUCTION_MINUTES if minutes else minutes


@dataclass(slots=True)
class Halts:
    """What is halted: ``EXCHANGE:SYMBOL``, an exchange, or everything (the empty name)."""

    names: set[str] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.names)

    def holds(self, exchange: str, key: str) -> bool:
        """True if this instrument does not trade now."""
        names = self.names
        return key in names or exchange in names or "" in names
