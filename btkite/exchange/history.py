"""History as Kite serves it: candles of any interval up to now, the forming one included.

Longer intervals are grouped from the candles that are played, anchored at the session's open, as Kite
groups them from minutes (https://kite.trade/docs/connect/v3/historical/).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import schedule
from .candles import DAY_SECONDS, interval_seconds
from .clock import SECOND, iso
from .errors import bad_input
from .listing import Listing

# Days that one request may span.
CAPS = {
    "minute": 60,
    "3minute": 100,
    "5minute": 100,
    "10minute": 100,
    "15minute": 200,
    "30minute": 200,
    "60minute": 400,
    "day": 2000,
}
Columns = tuple[NDArray[np.int64], ...]


def check_span(interval: str, begin: int, end: int) -> None:
    """Refuse an interval that Kite does not have, and a span that is too wide."""
    if interval not in CAPS:
        raise bad_input("Invalid `interval`.")
    if end < begin:
        raise bad_input("Invalid `from` date: it is after `to`.")
    if end - begin > CAPS[interval] * DAY_SECONDS * SECOND:
        raise bad_input(f"interval exceeds max limit: {CAPS[interval]} days")


def candles(listing: Listing, interval: str, begin: int, end: int, oi: bool) -> list[list[Any]]:
    """Rows ``[start, o, h, l, c, v(, oi)]`` with ``begin <= start <= end`` of what was printed so far."""
    tape = listing.tape
    if tape is None or listing.candle < 0:
        return []
    have, want = tape.series.seconds, interval_seconds(interval)
    if want < have or (want % have and interval != "day"):
        return []  # it cannot be grouped from the candles that there are
    first_day, last_day = begin // SECOND // DAY_SECONDS, end // SECOND // DAY_SECONDS
    starts = tape.series.start
    low = int(np.searchsorted(starts, first_day * DAY_SECONDS))
    high = min(int(np.searchsorted(starts, (last_day + 1) * DAY_SECONDS)), listing.candle + 1)
    if low >= high:
        return []
    columns = _columns(listing, low, high)
    if not len(columns[0]):
        return []
    if want != have:
        columns = _grouped(listing, columns, want, interval)
    rows = []
    for start, *figures in zip(*(column.tolist() for column in columns), strict=True):
        if begin <= start * SECOND <= end:
            text = iso(start * SECOND).replace("+05:30", "+0530")
            rows.append([text, *figures] if oi else [text, *figures[:-1]])
    return rows


def _columns(listing: Listing, low: int, high: int) -> Columns:
    """Start, o, h, l, c, v, oi of the candles ``low:high``; the last one as far as it was printed.

    A candle that was not played as recorded (a halt, moved prices) is what was printed of it, or missing.
    """
    tape = listing.tape
    assert tape is not None
    series = tape.series
    names = ("start", "open", "high", "low", "close", "volume", "oi")
    columns: list[NDArray[Any]] = [getattr(series, name)[low:high] for name in names]
    altered = {at: prints for at, prints in listing.altered.items() if low <= at < high}
    at = listing.candle
    if high == at + 1 and at not in altered and (forming := tape.forming(at, listing.candle_print)) is not None:
        altered[at] = forming + listing.sampled
    if not altered:
        return tuple(columns)
    columns = [column.copy() for column in columns]
    kept = np.ones(high - low, dtype=bool)
    for at, prints in altered.items():
        kept[at - low] = bool(prints)
        if prints:
            prices = [price for price, _ in prints]
            values = (prices[0], max(prices), min(prices), prices[-1], sum(quantity for _, quantity in prints))
            for column, value in zip(columns[1:6], values, strict=True):
                column[at - low] = value
    return tuple(column[kept] for column in columns)


def _grouped(listing: Listing, columns: Columns, want: int, interval: str) -> Columns:
    start, opens, high, low, close, volume, oi = columns
    days = start // DAY_SECONDS
    if interval == "day":
        anchored = days * DAY_SECONDS
    else:
        tape = listing.tape
        assert tape is not None
        unique, inverse = np.unique(days, return_inverse=True)
        exchange = listing.row.exchange
        anchors = np.array([day * DAY_SECONDS + schedule.sessions_of(int(day), [tape])[exchange][0] for day in unique])[
            inverse
        ]
        anchored = anchors + (start - anchors) // want * want
    first = np.flatnonzero(np.diff(anchored, prepend=anchored[0] - 1))
    last = np.append(first[1:], len(anchored)) - 1
    return (
        anchored[first],
        opens[first],
        np.maximum.reduceat(high, first),
        np.minimum.reduceat(low, first),
        close[last],
        np.add.reduceat(volume, first),
        oi[last],
    )
