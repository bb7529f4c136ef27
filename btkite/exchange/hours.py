"""When an exchange is open on a date: the dated exceptions, else the regular hours of that date.

``btkite/data/sessions.csv`` holds the exceptions (holidays, muhurat, special and broken sessions),
``btkite/data/hours.csv`` the regular hours with their changes, by exchange and class of instrument; each row
of both has its source. A *broken* day has two windows; as one session it counts from the first open to the
last close.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from functools import cache
from typing import NamedTuple

from . import tables

Session = tuple[int, int]  # open and close in seconds of the day

ORDINARY: Session = (9 * 3600 + 15 * 60, 15 * 3600 + 30 * 60)
CAS, FUTURES = "cas", "futures"
CONTINUOUS, PRE_OPEN, CLOSING_AUCTION = "continuous", "pre_open", "closing_auction"
_EVENING = 17 * 3600
_MCX_RESTS = frozenset({(1, 26), (8, 15), (10, 2), (12, 25)})
_LIMITS_ONLY_SINCE = date(2026, 9, 7)


def _seconds(text: str) -> int:
    hours, minutes = text.split(":")[:2]
    return int(hours) * 3600 + int(minutes) * 60


_laid_over: list[Mapping[str, str]] = []


def lay_over(rows: Iterable[Mapping[str, str]]) -> None:
    """Rows over the table, in its columns: holidays declared late, hours notified late. They take the place of those
    that were laid over it before, for the whole process."""
    _laid_over[:] = rows
    for read in (_rows, _exceptions, _unknown, _closures):
        read.cache_clear()


@cache
def _rows() -> tuple[Mapping[str, str], ...]:
    own = {(row["date"], row["exchange_segment"]) for row in _laid_over}
    table = (row for row in tables.rows("sessions.csv") if (row["date"], row["exchange_segment"]) not in own)
    return (*table, *_laid_over)


@cache
def _exceptions() -> Mapping[tuple[date, str], tuple[Session, ...]]:
    """(date, exchange) -> its windows, none if closed. An opening beats a closure of the same date."""
    found: dict[tuple[date, str], tuple[Session, ...]] = {}
    for row in _rows():
        key = (date.fromisoformat(row["date"]), row["exchange_segment"])
        if row["kind"] == "closed" or not row["open"] or not (row["close"] or row["second_close"]):
            found.setdefault(key, ())
        elif not row["second_open"] or not row["close"]:  # the time of a stop may be unknown: no gap then
            found[key] = ((_seconds(row["open"]), _seconds(row["second_close"] or row["close"])),)
        else:
            first = (_seconds(row["open"]), _seconds(row["close"]))
            found[key] = (first, (_seconds(row["second_open"]), _seconds(row["second_close"])))
    return found


@cache
def _unknown() -> frozenset[tuple[date, str]]:
    """(date, exchange) of the sessions that were announced without their hours."""
    return frozenset(
        (date.fromisoformat(row["date"]), row["exchange_segment"])
        for row in _rows()
        if row["kind"] == "muhurat" and not row["open"]
    )


def hours_unknown(exchange: str, day: date) -> bool:
    """True if ``exchange`` has a muhurat session on ``day`` whose hours are not known: the day counts as closed."""
    return (day, "MCX" if exchange == "NCO" else exchange) in _unknown()


@cache
def _closures() -> Mapping[date, str]:
    """Days on which the stock exchanges are closed, and why."""
    rows = (row for row in _rows() if row["exchange_segment"] == "NSE" and row["kind"] == "closed")
    return {date.fromisoformat(row["date"]): row["note"] for row in rows}


def _by_pattern(segment: str, day: date) -> tuple[Session, ...]:
    """A weekday without a row: currency rests with the stock exchanges; MCX, on most of those days, until 17:00, and
    has no evening on New Year's Day."""
    usual = regular(segment, day)
    if day not in _closures():
        return ((usual[0], _EVENING),) if segment == "MCX" and (day.month, day.day) == (1, 1) else (usual,)
    if segment != "MCX" or (day.month, day.day) in _MCX_RESTS or "Good Friday" in _closures()[day]:
        return ()
    return ((_EVENING, usual[1]),)


class _Hours(NamedTuple):
    since: date
    opens: int
    closes: int
    closes_winter: int


@cache
def _regular() -> Mapping[tuple[str, str, str], tuple[_Hours, ...]]:
    """(exchange, class, kind) -> its hours, oldest first."""
    found: dict[tuple[str, str, str], list[_Hours]] = {}
    for row in tables.rows("hours.csv"):
        closes = _seconds(row["close"])
        winter = _seconds(row["close_winter"]) if row["close_winter"] else closes
        found.setdefault((row["exchange"], row["instrument_class"], row["kind"]), []).append(
            _Hours(date.fromisoformat(row["from"]), _seconds(row["open"]), closes, winter)
        )
    return {key: tuple(sorted(rows)) for key, rows in found.items()}


def _us_summer(day: date) -> bool:
    """US daylight time, from the Monday after it starts to the Monday after it ends."""
    march, november = date(day.year, 3, 1), date(day.year, 11, 1)
    starts = march + timedelta(days=(6 - march.weekday()) % 7 + 7 + 1)
    ends = november + timedelta(days=(6 - november.weekday()) % 7 + 1)
    return starts <= day < ends


def window(exchange: str, kind: str, day: date, of: str = "") -> Session | None:
    """The ordinary hours of ``kind`` on ``day`` for the class ``of`` (``cas``, ``futures`` or none); None without."""
    exchange = "MCX" if exchange == "NCO" else exchange
    table = _regular()
    rows = [row for row in table.get((exchange, of, kind), ()) if row.since <= day]
    if not rows and of:
        return window(exchange, kind, day) if kind == CONTINUOUS else None
    if not rows:
        return None
    latest = rows[-1]
    return latest.opens, latest.closes if _us_summer(day) else latest.closes_winter


def regular(exchange: str, day: date) -> Session:
    """The ordinary hours of ``exchange`` on ``day``, were it open."""
    return window(exchange, CONTINUOUS, day) or ORDINARY


def windows(exchange: str, day: date) -> tuple[Session, ...]:
    """The continuous sessions of ``exchange`` on ``day`` in seconds of the day; none if it is closed."""
    table = _exceptions()
    segment = "MCX" if exchange == "NCO" else exchange
    if (day, segment) in table:
        return table[day, segment]
    return () if day.weekday() >= 5 else _by_pattern(segment, day)


def ordinary_day(exchange: str, day: date) -> bool:
    """True if ``exchange`` has its regular hours on ``day``."""
    return windows(exchange, day) == (regular(exchange, day),)


def session(exchange: str, day: date) -> Session | None:
    """Open and close of ``exchange`` on ``day`` in seconds of the day; None if it is closed."""
    found = windows(exchange, day)
    return (found[0][0], found[-1][1]) if found else None


def session_for_candles(exchange: str, day: date) -> Session:
    """The session in which candles of ``day`` are played: on a closed date 09:15-15:30."""
    return session(exchange, day) or ORDINARY


def pre_open(exchange: str, day: date, of: str = "") -> tuple[int, int, int] | None:
    """Begin, from when limit orders only, and end of order entry before the open; None if there is none.

    It ends as long before the open as on an ordinary day, whatever the day's hours are.
    """
    found, opens = window(exchange, PRE_OPEN, day, of), session(exchange, day)
    if found is None or opens is None:
        return None
    shift = opens[0] - regular(exchange, day)[0]
    begin, end = found[0] + shift, found[1] + shift
    return begin, begin + 300 if day >= _LIMITS_ONLY_SINCE else end, end


def closing_auction(exchange: str, day: date) -> Session | None:
    """Begin (the end of continuous trading) and end of the closing auction, if ``day`` has one.

    A special session has it too, with the same durations, at its own end.
    """
    found, today = window(exchange, CLOSING_AUCTION, day, CAS), session(exchange, day)
    if found is None or today is None:
        return None
    shift = today[1] - regular(exchange, day)[1]
    return found[0] + shift, found[1] + shift
