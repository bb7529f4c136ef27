"""When an exchange is open on a date: the dated table, else the regular hours.

The table (``btkite/data/sessions.csv``) holds the exceptions: holidays, muhurat, special and broken
sessions, with a source in each row. The regular hours and their changes are those of its companion
notes: NSE/BSE 09:15-15:30; NFO/BFO to 15:40 since 2026-08-03; MCX 09:00-23:30 in the US summer, else
23:55; CDS/BCD 09:00-17:00. A broken session counts as one, from its first open to its last close.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path

Session = tuple[int, int]  # open and close in seconds of the day

TABLE = Path(__file__).resolve().parent.parent / "data" / "sessions.csv"
ORDINARY: Session = (9 * 3600 + 15 * 60, 15 * 3600 + 30 * 60)
_DERIVATIVES_TO_1540 = date(2026, 8, 3)


def _seconds(text: str) -> int:
    hours, minutes = text.split(":")[:2]
    return int(hours) * 3600 + int(minutes) * 60


@lru_cache(maxsize=4)
def _exceptions(path: Path) -> Mapping[tuple[date, str], Session | None]:
    """(date, exchange) -> session, or None if closed. An opening beats a closure of the same date."""
    found: dict[tuple[date, str], Session | None] = {}
    if not path.is_file():
        return found
    with path.open(newline="", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            key = (date.fromisoformat(row["date"]), row["exchange_segment"])
            close = row["second_close"] or row["close"]
            if row["kind"] == "closed" or not row["open"] or not close:
                found.setdefault(key, None)
            else:
                found[key] = (_seconds(row["open"]), _seconds(close))
    return found


def _us_summer(day: date) -> bool:
    """US daylight time, from the Monday after it starts to the Monday after it ends."""
    march, november = date(day.year, 3, 1), date(day.year, 11, 1)
    starts = march + timedelta(days=(6 - march.weekday()) % 7 + 7 + 1)
    ends = november + timedelta(days=(6 - november.weekday()) % 7 + 1)
    return starts <= day < ends


def regular(exchange: str, day: date) -> Session:
    """The ordinary hours of ``exchange`` on ``day``, were it open."""
    if exchange in ("NFO", "BFO") and day >= _DERIVATIVES_TO_1540:
        return ORDINARY[0], _seconds("15:40")
    if exchange in ("CDS", "BCD"):
        return _seconds("09:00"), _seconds("17:00")
    if exchange in ("MCX", "NCO"):
        return _seconds("09:00"), _seconds("23:30") if _us_summer(day) else _seconds("23:55")
    return ORDINARY


def session(exchange: str, day: date) -> Session | None:
    """Open and close of ``exchange`` on ``day`` in seconds of the day; None if it is closed."""
    table = _exceptions(TABLE)
    segment = "MCX" if exchange == "NCO" else exchange
    if (day, segment) in table:
        return table[day, segment]
    return None if day.weekday() >= 5 else regular(exchange, day)


def session_for_candles(exchange: str, day: date) -> Session:
    """The session in which candles of ``day`` are played: on a closed date 09:15-15:30."""
    return session(exchange, day) or ORDINARY
