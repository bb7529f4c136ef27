"""What a bar builder knows of its instrument at this moment, as one record: on its own, or a row of a table.

A record in a table is the table's memory. So a bar is built of one tick or of a thousand (:mod:`.bartable`) in turn,
and nothing is ever copied from the one way to the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import Structure, c_double, c_int64
from typing import TYPE_CHECKING

PARTS = 4
"""Parts of a session that a record has room for; a table leaves instruments with more to their builders."""


class BarState(Structure):
    """Times are epoch seconds, prices rupees, flags 0 or 1."""

    if TYPE_CHECKING:
        since: int
        closed_until: int
        midnight: int
        parts: int
        opens: list[int]
        closes: list[int]
        last_close: int
        volume: int
        counted: int
        start: int
        end: int
        base: int
        oi: int
        time: int
        step: int
        daily: int
        ready: int
        muted: int
        late: int
        stale: int
        outside: int
        untimed: int
        open: float
        high: float
        low: float
        close: float

    _fields_ = [
        ("since", c_int64),  # when the subscription began
        ("closed_until", c_int64),  # end of the last closed bar
        # the session of the day of the last tick
        ("midnight", c_int64),
        ("parts", c_int64),
        ("opens", c_int64 * PARTS),
        ("closes", c_int64 * PARTS),
        ("last_close", c_int64),
        # the day's volume at the last packet, and whether the next bar may count from it
        ("volume", c_int64),
        ("counted", c_int64),
        # the forming bar; start < 0 if there is none
        ("start", c_int64),
        ("end", c_int64),
        ("base", c_int64),
        ("oi", c_int64),
        ("time", c_int64),
        # what the builder is
        ("step", c_int64),
        ("daily", c_int64),
        # bars are closed and not yet taken
        ("ready", c_int64),
        # ticks are not for bars now: whoever owns the builder says so, and looks
        ("muted", c_int64),
        # ticks that were of no use
        ("late", c_int64),
        ("stale", c_int64),
        ("outside", c_int64),
        ("untimed", c_int64),
        ("open", c_double),
        ("high", c_double),
        ("low", c_double),
        ("close", c_double),
    ]

    def take_session(self, midnight: int, parts: Sequence[tuple[int, int]]) -> None:
        """A new day: its session, and no volume yet."""
        self.midnight, self.volume, self.counted = midnight, 0, 0
        self.parts = len(parts)
        self.last_close = parts[-1][1] if parts else 0
        for place in range(PARTS):
            self.opens[place], self.closes[place] = parts[place] if place < len(parts) else (0, 0)


def fresh() -> BarState:
    """Of an instrument of which nothing is known yet."""
    return BarState(since=-1, closed_until=-1, midnight=NO_DAY, start=-1, end=-1)


NO_DAY = -(1 << 60)
