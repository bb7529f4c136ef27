"""The first bar at which a resting order can trade: looked for in blocks of the feed's columns, not bar by bar."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..borrowed import numbers
from .timeline import MANY

_BLOCK, _LARGEST = 64, 1 << 16


class Extremes:
    """What each bar reaches at least and at most."""

    def __init__(self, low: Any, high: Any) -> None:
        self.low, self.high = low, high

    @classmethod
    def of_feed(cls, data: Any) -> Extremes:
        """Of a feed's lines; a bar's open counts too, should it lie outside."""
        size = data.buflen()
        opened, high, low = (numbers(line)[:size] for line in (data.lines.open, data.lines.high, data.lines.low))
        return cls(np.minimum(opened, low), np.maximum(opened, high))

    @classmethod
    def of_tape(cls, tape: Any) -> Extremes:
        """Of a simulator's tape, all four prints of each candle."""
        prints = [np.asarray(column) for column in tape._prices]
        return cls(np.minimum.reduce(prints), np.maximum.reduce(prints))

    def first_below(self, bar: int, price: float) -> int:
        """The first bar from ``bar`` on that comes down to ``price``; :data:`~.timeline.MANY` if none does."""
        return _first(self.low, bar, price, np.less_equal)

    def first_above(self, bar: int, price: float) -> int:
        """The first bar from ``bar`` on that comes up to ``price``."""
        return _first(self.high, bar, price, np.greater_equal)


def _first(column: Any, bar: int, price: float, reaches: Any) -> int:
    block = _BLOCK
    while bar < len(column):
        found = reaches(column[bar : bar + block], price)
        there = int(found.argmax())
        if found[there]:
            return bar + there
        bar += block
        block = min(2 * block, _LARGEST)
    return MANY
