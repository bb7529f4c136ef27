"""Kite's candle intervals: their names, their lengths, and what backtrader calls them.

Kite's eight names and their lengths are in :data:`btkite.values.INTERVALS`; anything else is refused by name.
"""

from __future__ import annotations

import difflib
import re
from enum import StrEnum

from ..errors import ConfigError
from ..values import INTERVALS

DAY_SECONDS = 86_400


class Interval(StrEnum):
    """A candle interval. It *is* Kite's name, so a plain ``"5minute"`` does wherever one is asked for."""

    MINUTE = "minute"
    MINUTE_3 = "3minute"
    MINUTE_5 = "5minute"
    MINUTE_10 = "10minute"
    MINUTE_15 = "15minute"
    MINUTE_30 = "30minute"
    MINUTE_60 = "60minute"
    DAY = "day"

    @property
    def seconds(self) -> int:
        """Length in seconds; a day counts 86,400 although its session is shorter."""
        return INTERVALS[self]

    @property
    def timeframe(self) -> str:
        """Name of backtrader's ``TimeFrame``: ``Minutes`` or ``Days``."""
        return "Days" if self is Interval.DAY else "Minutes"

    @property
    def compression(self) -> int:
        """backtrader's ``compression``."""
        return 1 if self is Interval.DAY else self.seconds // 60

    @property
    def intraday(self) -> bool:
        return self is not Interval.DAY


_UNITS = {"": 60, "m": 60, "min": 60, "mins": 60, "minute": 60, "minutes": 60}
_UNITS |= dict.fromkeys(("h", "hr", "hour", "hours"), 3600)
_UNITS |= dict.fromkeys(("d", "day", "days", "daily"), DAY_SECONDS)
_WRITTEN = re.compile(r"(\d*)\s*([a-z]*)")


def parse_interval(text: str) -> Interval:
    """``5minute``, ``5m``, ``1h``, ``60min``, ``day``, ``1d`` … as one of Kite's intervals.

    A bare number means minutes. :raises ConfigError: if Kite has no such interval.
    """
    if isinstance(text, Interval):
        return text
    written = str(text).strip().lower()
    seconds = _seconds(written)
    for interval in Interval:
        if interval.seconds == seconds:
            return interval
    if seconds:
        nearest = min(Interval, key=lambda interval: abs(interval.seconds - seconds))
    else:
        close = difflib.get_close_matches(written, list(Interval), n=1, cutoff=0.4)
        nearest = Interval(close[0]) if close else Interval.DAY
    raise ConfigError(
        f"Kite has no candle interval {str(text)!r}; did you mean {str(nearest)!r}? It has {', '.join(Interval)}"
    )


def from_backtrader(timeframe: str, compression: int) -> Interval:
    """The interval of a backtrader timeframe *name* and compression, e.g. ``("Minutes", 5)``.

    :raises ConfigError: if Kite has no such interval.
    """
    for interval in Interval:
        if (interval.timeframe, interval.compression) == (timeframe, compression):
            return interval
    raise ConfigError(
        f"Kite has no candles of timeframe {timeframe} x {compression}; it has {', '.join(Interval)}: "
        "take one of these and resample it"
    )


def _seconds(written: str) -> int:
    match = _WRITTEN.fullmatch(written)
    if match is None or not written or match[2] not in _UNITS or match[1] == "" == match[2]:
        return 0
    return int(match[1] or 1) * _UNITS[match[2]]
