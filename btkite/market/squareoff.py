"""When the broker closes intraday positions by itself (and charges for it), by date: ``data/rules.csv``."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from functools import cache

from .tables import read_table

SHORT = timedelta(hours=2)
"""A session below this is a special one: positions are closed ten minutes before its end (Zerodha, muhurat days)."""
BEFORE_SHORT_CLOSE = timedelta(minutes=10)


def square_off_time(exchange: str, opens: datetime, closes: datetime, *, cas: bool = False) -> datetime | None:
    """The time on the day of a session; None if none is known. ``cas``: a share with a closing auction."""
    if closes - opens < SHORT:
        return closes - BEFORE_SHORT_CLOSE
    before = _in_force("mis_before_close", exchange, opens.date())
    if before is not None:
        return closes - timedelta(minutes=int(before))
    at = (_in_force("mis_cutoff", f"{exchange}:cas", opens.date()) if cas else None) or _in_force(
        "mis_cutoff", exchange, opens.date()
    )
    if at is None:
        return None
    usual = datetime.combine(opens.date(), time.fromisoformat(at))
    return usual if usual < closes else closes - BEFORE_SHORT_CLOSE  # a day that ends before its usual time


def _in_force(rule: str, scope: str, day: date) -> str | None:
    found = None
    for since, value in _rows().get((rule, scope), ()):
        if since <= day:
            found = value
    return found


@cache
def _rows() -> dict[tuple[str, str], list[tuple[date, str]]]:
    rows: dict[tuple[str, str], list[tuple[date, str]]] = {}
    for row in read_table("rules"):
        rows.setdefault((row["rule"], row["scope"]), []).append((date.fromisoformat(row["from"]), row["value"]))
    return {key: sorted(dated) for key, dated in rows.items()}
