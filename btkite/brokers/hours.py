"""When an instrument can be traded, in seconds, for the brokers. Data of no exchange that the calendar knows
(a PandasData, a DataFrame without a symbol) is traded around the clock and has a session per calendar day."""

from __future__ import annotations

from datetime import date
from functools import lru_cache

from ..linetime import DAY, from_seconds, to_seconds
from ..market.calendar import EXCHANGES, Calendar, calendar
from ..values import Instrument


def has_sessions(instrument: Instrument) -> bool:
    """Whether its exchange opens and closes; other data is traded whenever it has a bar."""
    return instrument.exchange in EXCHANGES


def parts(exchange: str, day: int) -> tuple[tuple[int, int], ...]:
    """Open and close of each part of the session on ``day`` (days since 1970), in seconds.

    A weekday or Sunday that the table calls closed has none; hours that nobody knows neither.
    """
    return _parts(calendar(), exchange, day)


@lru_cache(maxsize=65536)
def _parts(known: Calendar, exchange: str, day: int) -> tuple[tuple[int, int], ...]:
    if exchange not in EXCHANGES:
        return ((day * DAY, (day + 1) * DAY),)
    session = known.session(exchange, from_seconds(day * DAY).date())
    if session is None:
        return ()
    return tuple((to_seconds(start), to_seconds(end)) for start, end in session.parts)


def session_at(instrument: Instrument, now: int, *, traded_anyway: bool = False) -> tuple[int, int] | None:
    """Open and close of the session that ``now`` falls in (from the first part's open to the last
    part's close), or None outside. ``traded_anyway``: history has candles on that day although the
    table calls it closed; then the regular hours serve."""
    found = session_on(instrument, now // DAY, traded_anyway=traded_anyway)
    return found if found is not None and found[0] <= now < found[1] else None


def session_on(instrument: Instrument, day: int, *, traded_anyway: bool = False) -> tuple[int, int] | None:
    """Open and close of the session of ``day``, see :func:`session_at`."""
    found = parts(instrument.exchange, day) or (_regular(instrument.exchange, day) if traded_anyway else ())
    return (found[0][0], found[-1][1]) if found else None


def next_open(instrument: Instrument, now: int, *, candle_days: frozenset[int] = frozenset()) -> int:
    """The first session open at or after ``now``; ``candle_days`` are days with candles all the same."""
    day = now // DAY
    for offset in range(4000):
        found = parts(instrument.exchange, day + offset)
        if not found and day + offset in candle_days:
            found = _regular(instrument.exchange, day + offset)
        if found and found[0][0] >= now:
            return found[0][0]
    raise ValueError(f"{instrument.key}: no session follows {from_seconds(now)}")


def close_of_day(instrument: Instrument, day_of: int) -> int:
    """When trading ends on the day of ``day_of`` (seconds): the session's close, or the day's end."""
    day = day_of // DAY
    found = parts(instrument.exchange, day) or _regular(instrument.exchange, day)
    return found[-1][1] if found else (day + 1) * DAY


@lru_cache(maxsize=65536)
def _regular(exchange: str, day: int) -> tuple[tuple[int, int], ...]:
    if exchange not in EXCHANGES:
        return parts(exchange, day)
    session = calendar().regular(exchange, from_seconds(day * DAY).date())
    return tuple((to_seconds(start), to_seconds(end)) for start, end in session.parts)


def next_session_day(exchange: str, day: date) -> date:
    """The trading day after ``day``."""
    return calendar().next_session_day(exchange, day)
