"""The first bar at which a resting order can trade: looked for in blocks of the feed's columns, not bar by bar."""

from __future__ import annotations

from typing import Any

import numpy as np

from .timeline import MANY, Course
from .vectors import view

_BLOCK, _LARGEST = 64, 1 << 16


class Columns:
    """Prices of one feed: what each bar reaches at least and at most, also by its open alone."""

    def __init__(self, data: Any, course: Course) -> None:
        size = data.buflen()
        opened = view(data.lines.open.array)[:size]
        self.course = course
        self.low = np.minimum(opened, view(data.lines.low.array)[:size])
        self.high = np.maximum(opened, view(data.lines.high.array)[:size])

    def first_below(self, bar: int, price: float) -> int:
        """The first bar from ``bar`` on that comes down to ``price``; :data:`~.timeline.MANY` if none does."""
        return _first(self.low, bar, price, np.less_equal)

    def first_above(self, bar: int, price: float) -> int:
        """The first bar from ``bar`` on that comes up to ``price``."""
        return _first(self.high, bar, price, np.greater_equal)

    def first_after(self, moment: float) -> int:
        """The first bar with a stamp beyond ``moment``."""
        return int(np.searchsorted(self.course.stamps, moment, side="right"))


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
