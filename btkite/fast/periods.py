"""When an analyzer's period is over, of all steps at once: years, months, weeks, days, minutes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import backtrader as bt
import numpy as np
from numpy.typing import NDArray

_TimeFrame = bt.TimeFrame
_UNITS = {_TimeFrame.Years: "Y", _TimeFrame.Months: "M", _TimeFrame.Days: "D"}
_EPOCH_ORDINAL = datetime(1970, 1, 1).toordinal()


def moments(stamps: NDArray[np.float64]) -> NDArray[np.datetime64]:
    """As ``backtrader.num2date`` without a timezone, of many numbers at once."""
    days = np.floor(stamps)
    hour, rest = np.divmod(24.0 * (stamps - days), 1)
    minute, rest = np.divmod(60.0 * rest, 1)
    second, rest = np.divmod(60.0 * rest, 1)
    micro = np.floor(1e6 * rest)
    micro[micro < 10] = 0
    micro[micro > 999990] = 1e6
    whole = (days - _EPOCH_ORDINAL) * 86_400 + hour * 3600 + minute * 60 + second
    return (whole.astype(np.int64) * 1_000_000 + micro.astype(np.int64)).astype("datetime64[us]")


class Periods:
    """``starts``: the steps that begin a period; ``keys``: what backtrader compares and what it files them under."""

    def __init__(self, starts: NDArray[np.int64], keys: list[tuple[Any, Any]]) -> None:
        self.starts = starts
        self.keys = keys

    def rows(self, begin: int, end: int) -> slice:
        """Those that start from step ``begin`` to before ``end``."""
        return slice(*np.searchsorted(self.starts, (begin, end)).tolist())


def is_known(timeframe: int) -> bool:
    """Whether :func:`periods_of` can tell."""
    return timeframe in _UNITS or timeframe in (
        _TimeFrame.NoTimeFrame, _TimeFrame.Weeks, _TimeFrame.Minutes, _TimeFrame.Seconds,
    )  # fmt: skip


def periods_of(analyzer: Any, when: NDArray[np.datetime64]) -> Periods:
    """Those of a started TimeFrameAnalyzerBase over the steps' times."""
    timeframe = analyzer.timeframe
    if timeframe == _TimeFrame.NoTimeFrame:
        return Periods(np.zeros(1, dtype=np.int64), [(bt.utils.py3.MAXINT, datetime.max)])
    numbers = _numbers(timeframe, analyzer.compression, when)
    starts = np.flatnonzero(np.diff(numbers, prepend=numbers[0] - 1))
    moments_of = when[starts].tolist()
    return Periods(starts, [analyzer._get_dt_cmpkey(moment) for moment in moments_of])


def _numbers(timeframe: int, compression: int, when: NDArray[np.datetime64]) -> NDArray[np.int64]:
    if timeframe in _UNITS:
        return when.astype(f"datetime64[{_UNITS[timeframe]}]").astype(np.int64)
    days = when.astype("datetime64[D]").astype(np.int64)
    if timeframe == _TimeFrame.Weeks:
        return (days + 3) // 7  # the epoch was a Thursday
    seconds = when.astype("datetime64[s]").astype(np.int64) - days * 86_400
    points = seconds // 60 if timeframe == _TimeFrame.Minutes else seconds
    return days * 100_000 + points // compression
