"""Indicators anew, over a past that has been moved.

They are put back to their beginning and see every bar again, in the order in which it came. What an indicator keeps
beside its lines is not put back: one that counts in an attribute of its own counts on.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import backtrader as bt

_IND = bt.LineIterator.IndType


def recompute(strategies: Iterable[Any]) -> None:
    """Of all strategies; between two of Cerebro's turns."""
    for strategy in strategies:
        indicators = strategy._lineiterators[_IND]
        if indicators:
            _again(strategy, indicators)


def _again(strategy: Any, indicators: Any) -> None:
    datas = list(strategy.datas)
    seen = [len(data) for data in datas]
    stamps = [data.lines.datetime.array[: data.lines.datetime.idx + 1] for data in datas]
    for indicator in indicators:
        _reset(indicator)
    for data in datas:
        data.home()
    for moment in sorted({stamp for one in stamps for stamp in one}):
        for data, mine, whole in zip(datas, stamps, seen, strict=True):
            while len(data) < whole and mine[len(data)] <= moment:
                data.advance(ticks=False)
        for indicator in indicators:
            indicator._next()


def _reset(indicator: Any) -> None:
    for inner in getattr(indicator, "_lineiterators", {}).get(_IND, ()):
        _reset(inner)
    indicator.reset()
