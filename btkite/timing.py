"""Timers by the clock: until when they are due, and what they would otherwise take from a bar."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from .market.calendar import calendar

_AFTER = timedelta(seconds=60)
"""So long after the close a timer of the session's end still fires."""


def due(moment: datetime, exchanges: Iterable[str]) -> datetime | None:
    """Up to when timers are due at ``moment``: then, where one of the exchanges trades, or right after it has closed
    its close. None elsewhere, and while all of them are halted."""
    known, ends = calendar(), []
    for exchange in exchanges:
        session = known.session(exchange, moment.date())
        parts = () if session is None else session.parts
        ends += [close for start, close in parts if start <= moment <= close + _AFTER]
    return min(moment, max(ends)) if ends else None


def begin_day(timer: Any, moment: datetime) -> None:
    """A timer of a feed's session takes the end of the day from the feed's newest bar, which is yesterday's until the
    first of today: by that, one that repeats would be over for today with its first time."""
    if not timer._isdata or moment <= timer._nexteos or timer._lastcall == moment.date():
        return
    data = timer._tzdata
    if data._calendar is not None:
        end = data._calendar.schedule(moment, data._tz)[1]
    else:
        end = datetime.combine(moment, data.p.sessionend)
        end += timedelta(days=moment > end)
    timer._nexteos = end
    timer._reset_when()
