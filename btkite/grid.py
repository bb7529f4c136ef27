"""Where candles meet the calendar: windows to anchor them, ends to close them, and what is missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np

from .market.calendar import EXCHANGES, Calendar, calendar
from .series import Array, Candles, Windows, stamp
from .values import INTERVALS


@dataclass(frozen=True, slots=True)
class Quality:
    """What a series lacks by the calendar: whole sessions, and bars within sessions that have some.

    ``outside`` bars start outside every session. An illiquid instrument has no bar for a minute
    without a trade, so missing bars are not an error.
    """

    days: tuple[date, ...] = ()
    bars: int = 0
    outside: int = 0


def quality(candles: Candles, *, calendar: Calendar | None = None) -> Quality:
    """Compare a series with the sessions between its first and its last bar."""
    if len(candles) == 0:
        return Quality()
    cal, exchange = _calendar(calendar), _exchange(candles.key)
    sessions = cal.sessions(exchange, candles.first.date(), candles.last.date())
    have = np.unique(candles.start.astype("datetime64[D]"))
    days = tuple(session.date for session in sessions if np.datetime64(session.date, "D") not in have)
    if candles.interval == "day":
        known = np.array([session.date for session in sessions], dtype="datetime64[D]")
        return Quality(days, 0, int((~np.isin(have, known)).sum()))
    step = INTERVALS[candles.interval]
    grids = [
        np.arange(stamp(start), stamp(end), np.timedelta64(step, "s"))
        for session in sessions
        if session.date not in days
        for start, end in session.parts
    ]
    grid = np.concatenate(grids) if grids else np.empty(0, "datetime64[s]")
    grid = grid[(grid >= candles.start[0]) & (grid <= candles.start[-1])]
    known_days = np.array([session.date for session in sessions if session.times_known], dtype="datetime64[D]")
    judged = candles.start[np.isin(candles.start.astype("datetime64[D]"), known_days)]
    outside = len(candles) - len(judged) + int((~np.isin(judged, grid)).sum())
    return Quality(days, int((~np.isin(grid, candles.start)).sum()), outside)


def windows_of(key: str, *, calendar: Calendar | None = None, instrument_class: Any = None) -> Windows:
    """The trading windows of an instrument by date, for aggregation.

    On a date that the calendar calls closed, or whose hours are unknown, the regular hours serve: a
    candle that exists needs an anchor. An exchange that the calendar does not know has NSE's hours.
    """
    cal, exchange = _calendar(calendar), _exchange(key)

    def windows(day: date) -> Sequence[Any]:
        session = cal.session(exchange, day, instrument_class=instrument_class)
        if session is None or not session.parts:
            session = cal.regular(exchange, day, instrument_class=instrument_class)
        return session.parts

    return windows


def ends_of(
    key: str, interval: str, *, calendar: Calendar | None = None, instrument_class: Any = None
) -> Callable[[Array], Array]:
    """Bar starts → bar ends, by the instrument's sessions."""
    cal, exchange = _calendar(calendar), _exchange(key)
    return lambda starts: cal.bar_ends(exchange, starts, interval, instrument_class=instrument_class)


def _calendar(given: Calendar | None) -> Calendar:
    return calendar() if given is None else given


def _exchange(key: str) -> str:
    exchange = key.partition(":")[0]
    return exchange if exchange in EXCHANGES else "NSE"
