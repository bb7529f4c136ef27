"""An exchange's own list of trading holidays, read as rows over the calendar. Pure: text in, rows out.

Read are NSE's answer of ``/api/holiday-master?type=trading`` (JSON by segment), tables as the exchanges print them
(CSV, or columns between tabs: a date, a description, at MCX the morning and the evening session), and btkite's own
form (``date,exchange_segment,kind,…``).
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time
from typing import Any

from ..errors import ConfigError
from .calendar import EXCHANGES, Calendar
from .overlay import checked
from .sessions import ExceptionRow
from .tables import parse_table

SEGMENTS: Mapping[str, tuple[str, ...]] = {"CM": ("NSE",), "FO": ("NFO",), "CD": ("CDS", "BCD")}
"""NSE's names of segments. BSE and BFO keep NSE's equity holidays, BCD those of NSE's currency segment."""

FULL_YEAR = 8
"""A list of so many weekdays is a year's list, not a holiday declared late."""
ALWAYS = ((1, 26), (8, 15), (10, 2), (12, 25))
"""Closed in every year on record, if they are weekdays."""

_FORMS = ("%Y-%m-%d", "%d-%b-%Y", "%d-%m-%Y", "%d/%m/%Y", "%d-%b-%y", "%d %b %Y", "%d %B %Y", "%B %d %Y", "%b %d %Y")
_DATE = ("tradingdate", "date", "holidaydate", "tradedate")
_WHY = ("description", "holidays", "holiday", "particulars", "occasion", "name")
_MORNING, _EVENING = "morning", "evening"
_EVENING_BEGINS = time(17, 0)


def read_list(text: str, exchange: str, known: Calendar) -> list[ExceptionRow]:
    """The rows of a list. ``exchange`` is whose it is, where it does not say; ``known`` has the regular hours.

    :raises ConfigError: if nothing in it is a holiday, or a row is not understood.
    """
    body = text.lstrip("\ufeff \r\n\t")
    if not body or body.startswith(("%PDF", "<")):
        raise ConfigError("this is no table: save the exchange's list as CSV, or NSE's holiday-master as JSON")
    rows = _json(body, exchange, known) if body.startswith(("{", "[")) else _table(body, exchange, known)
    if not rows:
        raise ConfigError("the list has no holiday on a weekday and no muhurat session: is it the right file?")
    return rows


def covers(rows: Iterable[ExceptionRow]) -> dict[str, int]:
    """The year of which this is the whole list, by exchange whose list it is (:data:`.overlay.SPEAKS_FOR` says for whom
    that speaks); nothing of an exchange of which it has but a part.

    :raises ConfigError: if a year's list lacks a day that is always closed.
    """
    days: dict[str, set[date]] = {}
    for row in rows:
        if row.kind in ("closed", "muhurat") or row.exchange == "MCX":  # many of MCX's have an evening
            days.setdefault(row.exchange, set()).add(row.date)
    found = {}
    for exchange, listed in days.items():
        years = {day.year for day in listed}
        if len(years) == 1 and len(listed) >= FULL_YEAR:
            found[exchange] = year = years.pop()
            _check_whole(exchange, year, listed)
    return found


def _check_whole(exchange: str, year: int, listed: set[date]) -> None:
    for month, number in ALWAYS:
        day = date(year, month, number)
        if day.weekday() < 5 and day not in listed:
            raise ConfigError(
                f"the list of {year} lacks {day:%A, %d %B}, on which {exchange} was closed in every year: is it whole?"
            )


def _json(body: str, exchange: str, known: Calendar) -> list[ExceptionRow]:
    try:
        found = json.loads(body)
    except ValueError as error:
        raise ConfigError(f"the list is no JSON ({error})") from error
    if isinstance(found, list):
        found = {"": found}
    segments = {name: SEGMENTS.get(name, (exchange,) if not name else ()) for name in found}
    if not any(segments.values()):
        raise ConfigError(f"the list has none of NSE's segments {', '.join(SEGMENTS)}: it has {', '.join(found)}")
    return [row for name, exchanges in segments.items() for one in exchanges for row in _rows(found[name], one, known)]


def _table(body: str, exchange: str, known: Calendar) -> list[ExceptionRow]:
    if "exchange_segment" in body.partition("kind")[0]:
        return [checked(ExceptionRow.parse(row), EXCHANGES) for row in parse_table(body)]
    lines = [line for line in body.splitlines() if line.strip()]
    mark = max(",\t;|", key=lines[0].count)
    return _rows(list(csv.DictReader(lines, delimiter=mark)), exchange, known)


def _rows(found: Sequence[Mapping[str, Any]], exchange: str, known: Calendar) -> list[ExceptionRow]:
    rows = []
    for each in found:
        cells = {re.sub(r"[^a-z]", "", str(name).lower()): str(value or "").strip() for name, value in each.items()}
        written = next((cells[name] for name in _DATE if cells.get(name)), "")
        if not written:
            raise ConfigError(f"{dict(each)} has no date: the list needs a column Date, and Description beside it")
        why = next((cells[name] for name in _WHY if cells.get(name)), "")
        row = _row(_date(written), why.rstrip("*# "), exchange, cells, known)
        if row is not None:
            rows.append(checked(row, EXCHANGES))
    return rows


def _row(day: date, why: str, exchange: str, cells: Mapping[str, str], known: Calendar) -> ExceptionRow | None:
    if re.search(r"la(x|ks)(h)?mi|muhurat", why, re.IGNORECASE):
        return ExceptionRow(day, exchange, "muhurat", note=why)  # its hours are notified some days before
    if day.weekday() >= 5:
        return None
    morning, evening = (
        next((text.lower() for name, text in cells.items() if part in name), "") for part in (_MORNING, _EVENING)
    )
    if exchange == "MCX" and "open" in (morning, evening):
        opens, closes = (moment.time() for moment in known.regular("MCX", day).parts[0])
        if morning == evening:
            return None
        if morning == "open":
            return ExceptionRow(day, "MCX", "early", opens, _EVENING_BEGINS, note=why)
        return ExceptionRow(day, "MCX", "special", _EVENING_BEGINS, closes, note=f"evening only: {why}")
    return ExceptionRow(day, exchange, "closed", note=why)


def _date(written: str) -> date:
    plain = " ".join(written.replace(",", " ").split())
    for form in _FORMS:
        try:
            return datetime.strptime(plain, form).date()
        except ValueError:
            continue
    raise ConfigError(f"{written!r} is no date that is understood: write 2027-01-26 or 26-Jan-2027")
