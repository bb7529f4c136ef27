"""An equity curve made ready to be drawn: its drawdown, and fewer points of the same shape."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

POINTS = 5_000  # drawn at most, per curve


def running_drawdown(values: Sequence[float], first: float | None) -> list[float]:
    """Per cent below the highest value so far, 0 or negative, at every bar."""
    peak = first if first is not None else (values[0] if values else 0.0)
    found = []
    for value in values:
        peak = max(peak, value)
        found.append((value / peak - 1) * 100 if peak > 0 else 0.0)
    return found


def thin(values: Sequence[float], limit: int) -> list[int]:
    """Indices of at most ``limit`` values that draw the same curve: ends, and each stretch's extremes."""
    count = len(values)
    if count <= limit:
        return list(range(count))
    stretch = ceil((count - 2) / ((limit - 2) // 2))
    kept = {0, count - 1}
    for begin in range(1, count - 1, stretch):
        span = range(begin, min(begin + stretch, count - 1))
        kept.add(min(span, key=values.__getitem__))
        kept.add(max(span, key=values.__getitem__))
    return sorted(kept)
