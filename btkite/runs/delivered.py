"""On which bars a run was made: of each symbol how many, the first, the last, and a hash of their numbers.

Known beforehand, or, where an exchange serves them, as they were delivered: equal bars have equal entries.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..grid import windows_of
from ..linetime import seconds_of
from ..series import Candles, bar_starts

_LINES = {"open": "open", "high": "high", "low": "low", "close": "close", "volume": "volume", "oi": "openinterest"}
_SECOND = np.timedelta64(1, "s")


def entries(candles: Mapping[str, Candles]) -> dict[str, dict[str, Any]]:
    """What ``data.json`` says, by symbol. ``first`` and ``last`` are bar starts in naive IST."""
    return {
        key: {"bars": len(one), "first": one.first.isoformat(), "last": one.last.isoformat(), "sha256": one.digest()}
        for key, one in candles.items()
        if len(one)
    }


def candles_of(datas: Iterable[Any]) -> dict[str, Candles]:
    """The bars that each feed of a finished run has in its lines, stamped at their start again."""
    return {data.instrument.key: _candles(data) for data in datas if len(data)}


def _candles(data: Any) -> Candles:
    key, interval = data.instrument.key, str(data.interval)
    stamps = np.array([seconds_of(number) for number in data.datetime.array[: len(data)]], dtype="datetime64[s]")
    columns = {name: np.array(getattr(data, line).array[: len(data)]) for name, line in _LINES.items()}
    starts = bar_starts(key, stamps - _SECOND, interval, windows_of(key))  # a bar ends where the next one begins
    return Candles.of(key, interval, {"date": starts, **columns}, source="delivered")
